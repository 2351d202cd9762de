package reference

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Whatever ids come, each is counted by itself, in the order they come and in any other.
func TestEffectsOfEach(t *testing.T) {
	for name, id := range map[string]func(n int) string{
		"of a load": func(n int) string { return fmt.Sprintf("%032x", n) },
		"decimal":   func(n int) string { return fmt.Sprint(n) },
		"one byte":  func(n int) string { return string([]byte{byte(n)}) },
		"far apart": func(n int) string { return fmt.Sprintf("%016x-%d", uint64(n)*0x9e37_79b9_7f4a_7c15, n%7) },
	} {
		const ids = 256
		e, want, rng := newEffects(1<<20), map[string]uint32{}, rand.New(rand.NewPCG(1, 2))
		for n := range 5 * ids {
			next := id(n % ids)
			if n >= 2*ids {
				next = id(rng.IntN(ids))
			}
			e.count(next)
			want[next]++
		}
		for n := range ids {
			if got := e.of(id(n)); got != want[id(n)] {
				t.Errorf("%s: %q was processed %d times, want %d", name, id(n), got, want[id(n)])
			}
		}
		if got := e.totals(); got.Requests != 5*ids || got.IDs != uint64(len(want)) || got.Duplicates != uint64(5*ids-len(want)) || got.Forgotten > 0 {
			t.Errorf("%s: %+v of %d ids", name, got, len(want))
		}
	}
	if got := newEffects(1).of(""); got != 0 {
		t.Errorf("no id was processed %d times", got)
	}
}

// The oldest are forgotten, and no other.
func TestEffectsForgetTheOldest(t *testing.T) {
	const remember, ids = 256 * 256, 200_000
	e := newEffects(remember)
	for n := range ids {
		e.count(fmt.Sprintf("%032x", n))
	}
	first := 0
	for first < ids && e.of(fmt.Sprintf("%032x", first)) == 0 {
		first++
	}
	lost := 0 // of the newest half of those that fit: shards forget by themselves
	for n := ids - remember/2; n < ids; n++ {
		if e.of(fmt.Sprintf("%032x", n)) == 0 {
			lost++
		}
	}
	if got := e.totals(); lost > 0 || first < ids-2*remember || got.Forgotten+remember < ids || got.Duplicates > 0 {
		t.Errorf("the first that is remembered is %d, %d of the newest are not, %+v", first, lost, got)
	}
}

// A group that is forgotten because an id came to it is not counted in any more.
func TestEffectsForgetTheLast(t *testing.T) {
	e := newEffects(1)
	for _, id := range []string{"0", "1", "0"} {
		e.count(id)
	}
	if got, want := e.totals(), (effectTotals{Requests: 3, IDs: 3, MaxPerID: 1, Forgotten: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func BenchmarkEffects(b *testing.B) {
	e := newEffects(1_000_000)
	id := []byte("0123456789abcdef0000000000000000")
	const digits = "0123456789abcdef"
	for n := range b.N {
		for at := range 8 {
			id[31-at] = digits[n>>(4*at)&15]
		}
		e.count(string(id))
	}
}
