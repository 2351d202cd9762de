package export

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/watch"
)

const hostile = "pa\"y\\\n\xff{x=\"y\"} 1"

// told is a load that tells a Live of its seconds.
type told struct {
	*Live
	tally *load.Tally
	at    time.Duration
	times []*hist.Histogram // all that it told, by route
	sent  [][load.Outcomes]uint64
	rng   *rand.Rand
}

// newTold is one with these routes, a link and a fault.
func newTold(routes ...string) *told {
	l := &told{Live: &Live{Version: "v1"}, tally: load.NewTally(len(routes), 1), rng: rand.New(rand.NewPCG(1, 2)),
		sent: make([][load.Outcomes]uint64, len(routes))}
	for range routes {
		l.times = append(l.times, hist.New())
	}
	l.Begin(Start{Name: "shop", Started: time.Now(), Routes: routes, Links: []string{"bank"},
		Faults: []Fault{{"errors 503 on bank", "bank"}, {"pause of shop", "shop"}}, Claims: []string{"steady", "breaker: link bank"}})
	return l
}

// second tells of n requests of each route, that take about as long as typical.
func (l *told) second(n int, typical time.Duration) {
	for r := range l.times {
		for range n {
			took := time.Duration(l.rng.ExpFloat64() * float64(typical))
			s := load.Sample{Route: r, Intended: l.at, Sent: l.at + time.Millisecond, Done: l.at + took + time.Millisecond}
			if l.rng.IntN(10) == 0 {
				s.Outcome = load.ServerError
			}
			l.tally.Observe(0, s)
			l.times[r].Record(s.ResponseTime())
			l.sent[r][s.Outcome]++
		}
	}
	from := l.at
	l.at += time.Second
	l.Second(watch.Second{From: from, At: l.at, Counts: l.tally.Delta()}, uint64(n*len(l.times)),
		map[string]evidence.LinkTick{"bank": {Ended: 10, Errors: 3, InFlight: 4}, "unknown": {Ended: 99}},
		map[string]evidence.TargetTick{"shop": {Pid: 1, RSS: 5 << 20, Files: 9, Threads: 4}}, 7)
}

// A nil Live is told anything.
func TestNoLive(t *testing.T) {
	var l *Live
	l.Begin(Start{})
	l.Second(watch.Second{}, 0, nil, nil, 0)
	l.Event(evidence.Event{})
	l.Rulings(nil, true)
}

// What is told of a second costs about as much as there is in it, and a snapshot that
// was taken stays as it was.
func TestSnapshotsStay(t *testing.T) {
	l := newTold("pay", "browse")
	l.second(100, time.Millisecond)
	before := *l.now.Load()
	pay := *before.routes[0].times
	l.Event(evidence.Event{Kind: evidence.KindInject, Fault: 1})
	l.Rulings([]judge.Verdict{{Ruling: judge.Refuted}, {Ruling: judge.Held}}, false)
	l.second(100, time.Second)
	after := l.now.Load()
	if before.routes[0].times.count != 100 || *before.routes[0].times != pay || before.faults[0].inForce > 0 || before.claims[0].ruling != judge.Inconclusive {
		t.Error("a snapshot has changed since it was taken")
	}
	if after.routes[0].times.count != 200 || after.faults[0].inForce != 1 || after.claims[0].ruling != judge.Refuted || after.number <= before.number {
		t.Errorf("after it: %d times, fault %+v, claim %+v", after.routes[0].times.count, after.faults[0], after.claims[0])
	}
}

// Faults beyond those with a series of their own have one together, which says whether
// any of them is in force.
func TestFaultsBeyondTheMost(t *testing.T) {
	var l Live
	faults := make([]Fault, MostFaults+2)
	for i := range faults {
		faults[i] = Fault{fmt.Sprint("f", i), "bank"}
	}
	l.Begin(Start{Faults: faults})
	event := func(kind string, index int) { l.Event(evidence.Event{Kind: kind, Fault: index + 1}) }
	for _, step := range []struct {
		kind  string
		index int
		want  float64 // of the others
	}{
		{evidence.KindInject, MostFaults - 1, 0},
		{evidence.KindInject, MostFaults, 1},
		{evidence.KindInject, MostFaults + 1, 1},
		{evidence.KindHeal, MostFaults, 1},
		{evidence.KindInject, MostFaults + 2, 1}, // there is none
		{evidence.KindHeal, MostFaults + 1, 0},
	} {
		event(step.kind, step.index)
		active := l.now.Load().active()
		if got := active[Fault{others, others}]; got != step.want || len(active) != MostFaults+1 {
			t.Errorf("%s of %d: %v of %d series, want %v", step.kind, step.index, got, len(active), step.want)
		}
		if own := active[faults[MostFaults-1]]; own != 1 {
			t.Errorf("%s of %d: the last with its own is %v", step.kind, step.index, own)
		}
	}
}

// The warm-up is in no figure.
func TestWarmupIsLeftOut(t *testing.T) {
	l := newTold("pay")
	l.at = -2 * time.Second
	l.second(100, time.Millisecond)
	l.second(100, time.Millisecond)
	l.second(50, time.Millisecond)
	if got := l.now.Load(); got.offered != 50 || got.routes[0].times.count != 50 || got.links[0].ended != 10 {
		t.Errorf("offered %d, times %d, exchanges %d", got.offered, got.routes[0].times.count, got.links[0].ended)
	}
}

// Routes without number have series without number: those beyond count together.
func TestSeriesAreBounded(t *testing.T) {
	names := make([]string, 3*MostRoutes)
	for i := range names {
		names[i] = string(rune('a' + i%26))
	}
	l := newTold(names...)
	l.second(1, time.Millisecond)
	got := l.now.Load()
	if n := len(got.routes); n != MostRoutes+1 || got.routes[n-1].name != others || got.routes[n-1].times.count != 2*MostRoutes {
		t.Errorf("%d routes, the last %q with %d requests", n, got.routes[n-1].name, got.routes[n-1].times.count)
	}
}
