package chapters

import (
	"slices"
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
)

// Of a thousand chapters the first, the last and all that did not hold are kept, and of
// the others a sample in which early and late ones are alike.
func TestKeeper(t *testing.T) {
	var sum, n int
	for seed := range uint64(50) {
		k := NewKeeper(8, 0, seed)
		there := map[int]bool{}
		for number := 1; number <= 1000; number++ {
			ruling := judge.Held
			if number%100 == 50 {
				ruling = judge.Refuted
			} else if number == 333 {
				ruling = judge.Inconclusive
			}
			there[number] = true
			for _, drop := range k.Judged(number, ruling, 1) {
				if !there[drop] {
					t.Fatalf("chapter %d is dropped and was not there", drop)
				}
				delete(there, drop)
			}
		}
		kept := k.Kept()
		if len(kept) != len(there) || len(kept) != 8+2+11 || kept[0] != 1 || kept[len(kept)-1] != 1000 || !there[333] || !there[950] {
			t.Fatalf("seed %d: %v of %d", seed, kept, len(there))
		}
		for _, number := range kept[1 : len(kept)-1] {
			if number%100 != 50 && number != 333 {
				sum, n = sum+number, n+1
			}
		}
	}
	// 400 draws from about 2..999: the mean is 500, with a standard deviation of 288/20.
	if mean := sum / n; mean < 500-70 || mean > 500+70 {
		t.Errorf("the mean chapter of %d samples is %d", n, mean)
	}
}

// Where there is no room the sample goes first, then the latest that did not hold, the
// first chapter after all of them; the last one stays.
func TestKeeperMakesRoom(t *testing.T) {
	k := NewKeeper(8, 10, 1)
	for number := 1; number <= 40; number++ {
		ruling := judge.Held
		if number >= 20 {
			ruling = judge.Refuted
		}
		k.Judged(number, ruling, 1)
	}
	if got, want := k.Kept(), []int{1, 20, 21, 22, 23, 24, 25, 26, 27, 40}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	k = NewKeeper(8, 1, 1)
	k.Judged(1, judge.Held, 50)
	k.Judged(2, judge.Refuted, 50)
	k.Judged(3, judge.Held, 50)
	if got, want := k.Kept(), []int{3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What was kept before a resume is kept on, and the sample goes on being one.
func TestKeeperIsRestored(t *testing.T) {
	var entries []Entry
	for number := 1; number <= 100; number++ {
		entries = append(entries, Entry{Number: number})
	}
	entries[49].Ruling = judge.Refuted
	k := NewKeeper(2, 0, 1)
	k.Restore(entries, func(number int) int64 {
		if number == 1 || number == 50 || number == 70 || number == 90 {
			return 1
		}
		return 0
	})
	if got, want := k.Kept(), []int{1, 50, 70, 90}; !slices.Equal(got, want) || k.held != 98 {
		t.Errorf("%v, want %v; %d held", got, want, k.held)
	}
}

// Kept are the chapters whose evidence is kept.
func (k *Keeper) Kept() (numbers []int) {
	for _, list := range [][]stored{k.first, k.bad, k.sample} {
		for _, s := range list {
			numbers = append(numbers, s.number)
		}
	}
	if k.latest != nil {
		numbers = append(numbers, k.latest.number)
	}
	slices.Sort(numbers)
	return numbers
}
