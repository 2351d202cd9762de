package hist

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever the writers and the taker do at the same time, each count is in
// exactly one interval. Under -race this also checks that the plain counters are
// never touched by two at once.
func TestEachCountIsInOneInterval(t *testing.T) {
	const routes, shards, intervals = 2, 2, 50
	c := NewCollector(routes, shards)
	var (
		stop     atomic.Bool
		writers  sync.WaitGroup
		recorded [shards][routes]int64
		sent     [shards][routes]int64
	)
	response := func(route int) time.Duration { return time.Duration(route+1) * time.Second }
	for shard := range shards {
		writers.Go(func() {
			r := c.Recorder(shard)
			for i := 0; !stop.Load(); i++ {
				route, isSent := i%routes, i%3 == 0
				r.Record(route, Times{Response: response(route), Service: response(route) / 1000, Lag: time.Duration(i % 1000), Sent: isSent})
				recorded[shard][route]++
				if isSent {
					sent[shard][route]++
				}
				if i%64 == 0 {
					runtime.Gosched() // on few cores the taker would wait for its turn, not for us
				}
			}
		})
	}
	sum, filled := NewSet(routes), 0
	take := func() {
		interval := c.Delta()
		if interval.Lag.Count() > 0 {
			filled++
		}
		for route := range routes {
			sum.Response[route].Merge(interval.Response[route])
			sum.Service[route].Merge(interval.Service[route])
		}
		sum.Lag.Merge(interval.Lag)
	}
	for filled < intervals { // until so many were taken while others were written
		take()
		runtime.Gosched()
	}
	stop.Store(true)
	writers.Wait()
	take() // what came after the last one

	for name, s := range map[string]*Set{"sum of intervals": sum, "total": c.Total()} {
		all := int64(0)
		for route := range routes {
			responses, services := s.Response[route], s.Service[route]
			if got, want := responses.Count(), recorded[0][route]+recorded[1][route]; got != want {
				t.Errorf("%s: route %d: %d responses, want %d", name, route, got, want)
			}
			if got, want := services.Count(), sent[0][route]+sent[1][route]; got != want {
				t.Errorf("%s: route %d: %d services, want %d", name, route, got, want)
			}
			if got := responses.Quantile(1); !near(got, response(route)) {
				t.Errorf("%s: route %d: response %v, want %v", name, route, got, response(route))
			}
			if got := services.Quantile(1); !near(got, response(route)/1000) {
				t.Errorf("%s: route %d: service %v, want %v", name, route, got, response(route)/1000)
			}
			all += responses.Count()
		}
		if got := s.Lag.Count(); got != all {
			t.Errorf("%s: %d send lags, but %d responses", name, got, all)
		}
		if s.Clamped() != 0 || s.Lost() != 0 {
			t.Errorf("%s: clamped %d, lost %d", name, s.Clamped(), s.Lost())
		}
	}
	if again := c.Delta(); again.Lag.Count() != 0 {
		t.Errorf("%d counts came twice", again.Lag.Count())
	}
}

// The taker must not read a set that is being recorded into, however long that
// takes.
func TestTakeWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder(1)
		// A writer in the middle of a Record, between steps 3 and 5.
		set := r.active.Load()
		r.inside.Store(set)
		set.response[0].record(time.Second)

		into, total, taken := NewSet(1), NewSet(1), false
		var taker sync.WaitGroup
		taker.Go(func() { r.Take(into, total); taken = true })
		synctest.Wait() // until the taker waits, or is done
		if taken || r.active.Load() == set {
			t.Errorf("taken %t while the writer was inside, other set active %t; want false, true", taken, r.active.Load() != set)
		}
		set.lag.record(time.Second)
		r.inside.Store(nil)
		taker.Wait()
		if into.Response[0].Count() != 1 || into.Lag.Count() != 1 {
			t.Errorf("took %d responses, %d lags; want both", into.Response[0].Count(), into.Lag.Count())
		}
		r.Record(0, Times{Response: 1, Service: 1, Lag: 1, Sent: true})
		r.Take(into, total)
		if into.Lag.Count() != 2 || lags(set) != 0 {
			t.Errorf("%d lags after one more, %d left in the old set; want 2, 0", into.Lag.Count(), lags(set))
		}
	})
}

// lags is how many lags are in the trays.
func lags(t *trays) (n uint32) {
	for _, doubling := range t.lag.doublings {
		if doubling == nil {
			continue
		}
		for _, p := range doubling {
			if p == nil {
				continue
			}
			for _, c := range p {
				n += c
			}
		}
	}
	return n
}

// A writer that read active just before it changed must notice, and record into
// the other set.
func TestWriterFollowsTheTaker(t *testing.T) {
	r := NewRecorder(1)
	first := r.active.Load()
	r.Take(NewSet(1), NewSet(1))
	second := r.active.Load()
	if first == second {
		t.Fatal("a take did not change the active set")
	}
	r.Record(0, Times{Response: 1, Service: 1, Lag: 1, Sent: true})
	if lags(first) != 0 || lags(second) != 1 {
		t.Errorf("%d in the taken set, %d in the active one; want 0, 1", lags(first), lags(second))
	}
}

// A tray must count in the cells of a Histogram.
func TestTrayIsAHistogram(t *testing.T) {
	recorded, poured, total, tray := New(), New(), New(), &tray{}
	count := func(d time.Duration) {
		recorded.Record(d)
		tray.record(d)
		if low := least(cell(min(max(d, 0), Highest))); low > max(d, 0) || cell(low) != cell(min(max(d, 0), Highest)) {
			t.Errorf("%v is counted as %v", d, low)
		}
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, Highest, Highest + 1, math.MaxInt64} {
		count(d)
	}
	for d := time.Duration(1); d < Highest; d *= 2 { // both sides of every power of two
		count(d - 1)
		count(d)
		count(d + 1)
	}
	rng := rand.New(rand.NewPCG(7, 0))
	for range 100_000 {
		count(time.Duration(rng.Int64()) >> (20 + rng.UintN(43)))
	}
	tray.pour(poured, total)
	for name, h := range map[string]*Histogram{"interval": poured, "total": total} {
		if !equal(h, recorded) || h.Clamped() != recorded.Clamped() || recorded.Clamped() < 4 {
			t.Errorf("%s: %+v, want %+v", name, h.Summary(), recorded.Summary())
		}
	}
	tray.pour(poured, total)
	if poured.Count() != recorded.Count() {
		t.Error("what was poured came twice")
	}
}

func TestUnsentHasNoServiceTime(t *testing.T) {
	c := NewCollector(1, 1)
	c.Recorder(0).Record(0, Times{Response: 3 * time.Second, Lag: 3 * time.Second})
	s := c.Delta()
	if s.Response[0].Count() != 1 || s.Service[0].Count() != 0 || s.Lag.Count() != 1 {
		t.Errorf("responses %d, services %d, lags %d; want 1, 0, 1", s.Response[0].Count(), s.Service[0].Count(), s.Lag.Count())
	}
}

// What waited for an answer before it says nothing of the harness's lag.
func TestWhatFollowsHasNoLag(t *testing.T) {
	c := NewCollector(1, 1)
	c.Recorder(0).Record(0, Times{Response: 1, Service: 1, Lag: time.Second, Sent: true, Follows: true})
	if s := c.Delta(); s.Lag.Count() != 0 || s.Late.Count() != 0 || s.Response[0].Count() != 1 {
		t.Errorf("lag %d, late %d, response %d, want 0, 0, 1", s.Lag.Count(), s.Late.Count(), s.Response[0].Count())
	}
}

// What may not wait has neither a response time nor a lag; that the harness came
// to it late is true all the same.
func TestWhatIsSkippedHasNoTimes(t *testing.T) {
	c := NewCollector(1, 1)
	c.Recorder(0).Record(0, Times{Response: 1, Lag: 1, Late: 1, Skipped: true})
	if s := c.Delta(); s.Response[0].Count() != 0 || s.Service[0].Count() != 0 || s.Lag.Count() != 0 || s.Late.Count() != 1 {
		t.Errorf("response %d, service %d, lag %d, late %d, want 0, 0, 0, 1", s.Response[0].Count(), s.Service[0].Count(), s.Lag.Count(), s.Late.Count())
	}
}

func TestAllResponse(t *testing.T) {
	c := NewCollector(2, 1)
	c.Recorder(0).Record(0, Times{Response: time.Second, Sent: true})
	c.Recorder(0).Record(1, Times{Response: 2 * Highest, Sent: true})
	interval := c.Delta()
	interval.AllResponse()
	all := interval.AllResponse() // the second time must not add to the first
	if all.Count() != 2 || all.Clamped() != 1 || all.Quantile(1) != Highest {
		t.Errorf("%+v; want 2, one clamped", all.Summary())
	}
	if c.Total().Clamped() != 1 {
		t.Errorf("total has %d clamped, want 1", c.Total().Clamped())
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	r := NewRecorder(2)
	if n := testing.AllocsPerRun(1000, func() { r.Record(1, Times{Response: 2 * Highest, Service: time.Millisecond, Lag: -1, Sent: true}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTakeDoesNotAllocate(t *testing.T) { // steady memory however long a run is
	c := NewCollector(2, 2)
	if n := testing.AllocsPerRun(10, func() {
		c.Recorder(1).Record(1, Times{Response: time.Second, Service: time.Millisecond, Sent: true})
		c.Delta()
	}); n != 0 {
		t.Errorf("%v allocations for each interval", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(1)
	for i := 0; b.Loop(); i++ {
		d := time.Duration(i&0xfffff) * 16
		r.Record(0, Times{Response: d, Service: d / 2, Lag: d / 4, Sent: true})
	}
}

func BenchmarkDelta(b *testing.B) {
	c := NewCollector(5, 2)
	for b.Loop() {
		for i := range 1000 {
			d := time.Duration(i) * 10 * time.Microsecond
			c.Recorder(i&1).Record(i%5, Times{Response: d, Service: d, Lag: d, Sent: true})
		}
		c.Delta()
	}
}

// Clamped and Lost sum up what is said of every histogram.
func (s *Set) Clamped() (n int64) { return s.sum((*Histogram).Clamped) }
func (s *Set) Lost() (n int64)    { return s.sum((*Histogram).Lost) }

func (s *Set) sum(of func(*Histogram) int64) int64 {
	n := of(s.Lag) + of(s.Late)
	for i := range s.Response {
		n += of(s.Response[i]) + of(s.Service[i])
	}
	return n
}
