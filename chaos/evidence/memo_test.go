package evidence

import (
	"sync"
	"testing"
)

// It is worked out once for all that ask, and again when what it was made of has
// changed.
func TestBeside(t *testing.T) {
	run := &Run{}
	worked := 0
	ask := func(key, of any) int {
		return Memoized(run, key, of, func() int { worked++; return worked })
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := ask("a", 1); got != 1 {
				t.Errorf("got %d, want what was worked out first", got)
			}
		})
	}
	wg.Wait()
	for _, c := range []struct {
		key, of any
		want    int
	}{{"b", 1, 2}, {"a", 1, 1}, {"a", 2, 3}, {"a", 2, 3}, {"b", 1, 2}, {"a", 1, 4}} {
		if got := ask(c.key, c.of); got != c.want {
			t.Errorf("%v of %v: got %d, want %d", c.key, c.of, got, c.want)
		}
	}
	outer := Memoized(run, "outer", 1, func() int { return 10 * ask("b", 1) })
	if outer != 20 {
		t.Errorf("got %d of another that is kept, want 20", outer)
	}
}
