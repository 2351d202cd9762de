package load

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/load/arrivals"
)

// scheduleOf draws a schedule of any kind, some hundred arrivals long.
func scheduleOf(t *rapid.T) arrivals.Schedule {
	r, length := rate.Limit(rapid.IntRange(1, 400).Draw(t, "rate")), time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms"))*time.Millisecond
	seed := rapid.Uint64().Draw(t, "schedule's seed")
	var s arrivals.Schedule
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		s = arrivals.Constant(r, length)
	case 1:
		s = arrivals.Poisson(r, length, seed)
	case 2:
		s = arrivals.Stages([]arrivals.Stage{{To: r, Over: length / 2}, {To: r / 2, Hold: length / 2}}, arrivals.Spacing{Poisson: true, Seed: seed})
	case 3:
		s = arrivals.Sine(r, r/2, 300*time.Millisecond, length)
	case 4:
		s = arrivals.Spike(r, 3*r, length/4, length/4, length)
	default:
		var times []time.Duration
		for range rapid.IntRange(0, 300).Draw(t, "replayed") {
			times = append(times, time.Duration(len(times))*time.Millisecond)
		}
		s, _ = arrivals.Replay(times)
	}
	if rapid.Bool().Draw(t, "warmed") {
		s = arrivals.Warmed(r, 150*time.Millisecond, s)
	}
	return s
}

// dealt gives each of some processes its part of the loops.
func dealt(p Plan, loops []int) []Plan {
	of := 0
	for _, n := range loops {
		of += n
	}
	var parts []Plan
	first := 0
	for _, n := range loops {
		part := p
		part.Loops, part.Stripes = n, Stripes{First: first, Of: of}
		parts = append(parts, part)
		first += n
	}
	return parts
}

func byID(a, b Sample) int { return cmp.Compare(a.ID, b.ID) }

// Whatever the schedule and however it is dealt out, the parts of one to five processes
// are the load of one: the same arrivals with the same numbers, times and routes, and as
// many connections and places in queues.
func TestStripesOfProcessesAreTheLoadOfOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{
			Schedule: scheduleOf(t), Seed: rapid.Uint64().Draw(t, "seed"), Loops: rapid.IntRange(1, 4).Draw(t, "loops of one"),
			MaxConns: rapid.IntRange(15, 60).Draw(t, "connections"), MaxQueue: rapid.IntRange(1, 60).Draw(t, "queue"),
			InOrder: rapid.Bool().Draw(t, "in order"),
			Routes:  []Route{{Name: "a", Addr: "127.0.0.1:1"}, {Name: "b", Addr: "127.0.0.1:1", Weight: 3}, {Name: "c", Addr: "127.0.0.1:1"}},
		}
		want := slices.SortedFunc(Due(p), byID)
		for i, s := range want {
			if s.ID != uint64(i+1) {
				t.Fatalf("arrival %d has number %d", i, s.ID)
			}
		}
		var got []Sample
		conns, queue := 0, 0
		loops := rapid.SliceOfN(rapid.IntRange(1, 3), 1, 5).Draw(t, "loops of processes")
		for _, part := range dealt(p, loops) {
			g, err := prepare(part)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.AppendSeq(got, Due(part))
			for k := range g.shards {
				conns += g.connsOf(k)
				queue += g.queueOf(k)
			}
		}
		slices.SortFunc(got, byID)
		if !slices.EqualFunc(got, want, func(a, b Sample) bool { return a == b }) {
			t.Fatalf("%v loops send %d arrivals that are not the %d of one process", loops, len(got), len(want))
		}
		if conns != p.MaxConns || queue != p.MaxQueue {
			t.Fatalf("%v loops have %d connections of %d, and %d places of %d", loops, conns, p.MaxConns, queue, p.MaxQueue)
		}
	})
}

// The loops send what Due says, process for process.
func TestRunSendsItsStripes(t *testing.T) {
	server := listen(t, says(okAnswer))
	p := Plan{Schedule: arrivals.Poisson(2000, 100*time.Millisecond, 18), Seed: 7, MaxConns: 64, Loops: 2,
		Routes: []Route{{Name: "a", Addr: server.addr}, {Name: "b", Addr: server.addr, Weight: 2}}}
	want := slices.SortedFunc(Due(p), byID)
	for _, loops := range [][]int{{1}, {2, 1}, {1, 1, 1}, {1, 2, 1, 1}, {1, 1, 1, 1, 1}} {
		var mu sync.Mutex
		sent := map[uint64]Sample{}
		var running sync.WaitGroup
		start := time.Now()
		for _, part := range dealt(p, loops) {
			running.Go(func() {
				err := Run(t.Context(), part, start, func(_ int, s Sample) {
					mu.Lock()
					defer mu.Unlock()
					if _, twice := sent[s.ID]; twice {
						t.Errorf("arrival %d was sent twice", s.ID)
					}
					sent[s.ID] = Sample{ID: s.ID, Route: s.Route, Intended: s.Intended}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if got := slices.SortedFunc(maps.Values(sent), byID); !slices.EqualFunc(got, want, func(a, b Sample) bool { return a == b }) {
			t.Errorf("%v loops sent %d arrivals that are not the %d of one process", loops, len(got), len(want))
		}
	}
}

// Stripes that are nobody's are refused.
func TestStripesAreChecked(t *testing.T) {
	p := Plan{Schedule: arrivals.Constant(1, time.Second), Routes: []Route{{Addr: "127.0.0.1:1"}}, Loops: 2, MaxConns: 8}
	for _, c := range []struct {
		stripes Stripes
		loops   int
		sound   bool
	}{
		{Stripes{}, 0, true}, {Stripes{First: 6, Of: 8}, 2, true}, {Stripes{First: 7, Of: 8}, 2, false}, {Stripes{First: -1, Of: 8}, 2, false},
		{Stripes{First: 0, Of: 8}, 0, false}, {Stripes{First: 1}, 1, false}, {Stripes{First: 0, Of: 9}, 2, false},
	} {
		p.Stripes, p.Loops = c.stripes, c.loops
		if _, err := prepare(p); (err == nil) != c.sound {
			t.Errorf("%+v of %d loops: %v", c.stripes, c.loops, err)
		}
	}
	closed := Plan{Closed: &Closed{Connections: 8}, Routes: p.Routes, Loops: 2, Stripes: Stripes{Of: 4}}
	if _, err := prepare(closed); err == nil {
		t.Error("the closed model is dealt out")
	}
}
