package load

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQueueIsFirstInFirstOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []uint64
		next := uint64(0)
		for _, burst := range rapid.SliceOf(rapid.IntRange(-300, 300)).Draw(t, "bursts") {
			for ; burst > 0; burst-- {
				next++
				q.push(arrival{id: next})
				model = append(model, next)
			}
			for ; burst < 0 && len(model) > 0; burst++ {
				if got := q.pop().id; got != model[0] {
					t.Fatalf("got %d, want %d", got, model[0])
				}
				model = model[1:]
			}
			if q.size != len(model) {
				t.Fatalf("size %d, want %d", q.size, len(model))
			}
		}
	})
}

// A stall of a minute at 100,000/s must not be paid for in memory afterwards.
func TestQueueGivesMemoryBack(t *testing.T) {
	var q queue
	for range keepRing + 1 {
		q.push(arrival{})
	}
	for q.size > 0 {
		q.pop()
	}
	if len(q.ring) != 0 {
		t.Errorf("an empty queue keeps room for %d arrivals", len(q.ring))
	}
}

func TestQueueDoesNotAllocateWhenWarm(t *testing.T) {
	var q queue
	if n := testing.AllocsPerRun(100, func() {
		for range 50 {
			q.push(arrival{})
		}
		for range 50 {
			q.pop()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What comes back goes before what was due later, wherever the ring begins.
func TestQueueInsert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []arrival
		due, id := time.Duration(0), uint64(0)
		for _, what := range rapid.SliceOf(rapid.IntRange(0, 9)).Draw(t, "what") {
			id++
			switch {
			case what < 5:
				due += time.Duration(what)
				q.push(arrival{id: id, intended: due})
				model = append(model, arrival{id: id, intended: due})
			case what < 8 && q.size > 0:
				if got := q.pop(); got != model[0] {
					t.Fatalf("got %+v, want %+v", got, model[0])
				}
				model = model[1:]
			default:
				a := arrival{id: id, intended: time.Duration(rapid.IntRange(0, int(due)+1).Draw(t, "due"))}
				due = max(due, a.intended)
				q.insert(a)
				at, _ := slices.BinarySearchFunc(model, a, func(b, a arrival) int { return cmp.Compare(b.intended, a.intended) })
				model = slices.Insert(slices.Clone(model), at, a)
			}
		}
		for _, want := range model {
			if got := q.pop(); got != want {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
	})
}
