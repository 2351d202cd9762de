package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/watch"
)

// Most of each that has series of its own. What is beyond counts together, as others.
const (
	MostRoutes  = 100
	MostLinks   = 100
	MostFaults  = 200
	MostClaims  = 100
	MostTargets = 100
	others      = "(others)"
)

// Start is what is known of a run before its first second.
type Start struct {
	Name    string
	Started time.Time
	Routes  []string // as the seconds have them
	Links   []string
	Faults  []Fault  // by their place in the experiment
	Claims  []string // names, by their place

	Batch  time.Duration // load.Plan.Batch
	Closed bool          // the closed model
	Skips  bool          // arrivals that find no connection are not to wait for one
}

// Fault is a fault that is planned.
type Fault struct {
	Name, On string
}

// Live is what is known of the run that goes on. What it is told is taken in at once:
// no method waits for a receiver. All may be called at once, and on a nil Live, which
// discards everything.
type Live struct {
	Version string // of stormctl; it is not changed after the first Begin

	mu    sync.Mutex // held by those who tell, for an update; who reads takes now
	start Start
	state snapshot // what the next snapshot begins with
	route []int    // of each row of a second, where it is in state.routes
	links map[string]int

	now   atomic.Pointer[snapshot] // nil before the first Begin
	sinks []sink                   // as they were before the first Begin
	counters
}

// sink is one of the receivers of what happens at a moment. Neither method may block.
type sink interface {
	begin(s Start)
	event(s Start, e evidence.Event)
	ruled(s Start, at time.Duration, verdicts []judge.Verdict)
}

// counters are what receivers have failed at.
type counters struct {
	scrapes [scrapeEnds]atomic.Uint64 // by how they ended
	webhook dropped
	otlp    dropped
}

// dropped are what a receiver has not got.
type dropped struct {
	full   atomic.Uint64 // there was no room in the queue
	failed atomic.Uint64 // it was not taken, after all tries
}

// snapshot is all that is known at a moment. It is not changed any more once it is
// taken.
type snapshot struct {
	number  uint64 // grows with every change
	name    string
	version string
	started time.Time
	at      time.Duration // of the last second; negative before its end

	offered uint64
	routes  []routeState
	links   []linkState
	faults  []faultState
	claims  []claimState
	targets []targetState

	lagP50, lagP99, lagMax time.Duration // of the last second
	healthy                bool          // in the last second
	lost                   uint64        // records of evidence
}

type routeState struct {
	name     string
	outcomes [load.Outcomes]uint64
	times    *buckets
}

type linkState struct {
	name          string
	ended, errors uint64
	inFlight      int
}

type faultState struct {
	Fault
	inForce int // how many of it are: more than one can be of the others
}

type claimState struct {
	name   string
	ruling judge.Ruling
}

// targetState is what the processes of one target take.
type targetState struct {
	name string
	evidence.TargetTick
}

// Begin is told that a run begins. All that is counted begins at 0 again.
func (l *Live) Begin(s Start) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Routes, s.Links = slices.Clone(s.Routes), slices.Clone(s.Links)
	l.start, l.route, l.links = s, nil, map[string]int{}
	state := snapshot{number: l.state.number, name: s.Name, version: l.Version, started: s.Started, at: -1, healthy: true}
	for i, name := range s.Routes {
		l.route = append(l.route, min(i, MostRoutes))
		if i <= MostRoutes {
			state.routes = append(state.routes, routeState{name: cmp.Or(beyond(i, MostRoutes), name), times: &buckets{}})
		}
	}
	for i, name := range s.Links {
		l.links[name] = min(i, MostLinks)
		if i <= MostLinks {
			state.links = append(state.links, linkState{name: cmp.Or(beyond(i, MostLinks), name)})
		}
	}
	for _, f := range s.Faults[:min(len(s.Faults), MostFaults)] {
		state.faults = append(state.faults, faultState{Fault: f})
	}
	if len(s.Faults) > MostFaults {
		state.faults = append(state.faults, faultState{Fault: Fault{others, others}})
	}
	for _, name := range s.Claims[:min(len(s.Claims), MostClaims)] {
		state.claims = append(state.claims, claimState{name, judge.Inconclusive})
	}
	l.state = state
	l.publish()
	for _, to := range l.sinks {
		to.begin(s)
	}
}

// beyond is the label that the i-th of a list is counted under: others from the most-th
// on; "" means that it has a label of its own.
func beyond(i, most int) string {
	if i >= most {
		return others
	}
	return ""
}

// publish takes a snapshot. It is called with mu held.
func (l *Live) publish() {
	l.state.number++
	taken := l.state
	taken.routes, taken.links = slices.Clone(taken.routes), slices.Clone(taken.links)
	taken.faults, taken.claims = slices.Clone(taken.faults), slices.Clone(taken.claims)
	taken.targets = slices.Clone(taken.targets)
	l.now.Store(&taken)
}

// Second is told of a second of the load: how many arrivals were due in it, what its
// links did, what its targets take, and how many records were lost so far. One of the warm-up is left out, as
// it is everywhere.
func (l *Live) Second(s watch.Second, offered uint64, links map[string]evidence.LinkTick,
	targets map[string]evidence.TargetTick, lost uint64) {
	if l == nil || s.From < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	state := &l.state
	state.at, state.offered, state.lost = s.At, state.offered+offered, lost
	for row, outcomes := range s.Counts.Outcomes {
		r := &state.routes[l.route[row]]
		for o, n := range outcomes {
			r.outcomes[o] += n
		}
		if times := s.Counts.Times.Response[row]; times.Count() > 0 {
			r.times = r.times.plus(times)
		}
	}
	for i := range state.links {
		state.links[i].inFlight = 0
	}
	for name, tick := range links {
		i, known := l.links[name]
		if !known {
			continue
		}
		state.links[i].ended += tick.Ended
		state.links[i].errors += tick.Errors
		state.links[i].inFlight += tick.InFlight
	}
	state.targets = state.targets[:0:0]
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if len(state.targets) < MostTargets {
			state.targets = append(state.targets, targetState{name, targets[name]})
		}
	}
	lag := s.Counts.Times.Lag.Summary()
	state.lagP50, state.lagP99, state.lagMax = lag.P50, lag.P99, lag.Max
	state.healthy = l.well(s)
	l.publish()
}

// well reports whether the harness was well in a second, had that been all of the run.
func (l *Live) well(s watch.Second) bool {
	check := load.Checkup{Batch: l.start.Batch}
	check.Add(s.Health())
	totals := load.Totals{Closed: l.start.Closed, Due: s.Requests(), Starved: s.Loops.Starved, DialLimited: s.Loops.DialLimited}
	if unsent := s.Counts.All()[load.Unsent]; !l.start.Skips {
		totals.Unsent, totals.Due = unsent, totals.Due+unsent
	}
	return len(check.Problems(totals)) == 0
}

// takes counts an injection, or its heal.
func (f *faultState) takes(kind string) {
	switch kind {
	case evidence.KindInject:
		f.inForce++
	case evidence.KindHeal:
		f.inForce = max(0, f.inForce-1)
	}
}

// Event is told of an event of the timeline. Lines of the timeline that sum up a stretch,
// such as that of a second, are left out.
func (l *Live) Event(e evidence.Event) {
	if l == nil || e.Kind == evidence.KindTick || e.Kind == evidence.KindStart || e.Kind == evidence.KindWarmup ||
		e.Kind == evidence.KindCPU {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := e.Fault - 1; i >= 0 && i < len(l.start.Faults) && e.Error == "" {
		l.state.faults[min(i, MostFaults)].takes(e.Kind)
		l.publish()
	}
	for _, to := range l.sinks {
		to.event(l.start, e)
	}
}

// Rulings are told how the claims stand; final says that the run is over.
func (l *Live) Rulings(verdicts []judge.Verdict, final bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range min(len(verdicts), len(l.state.claims)) {
		l.state.claims[i].ruling = verdicts[i].Ruling
	}
	l.publish()
	if final {
		for _, to := range l.sinks {
			to.ruled(l.start, l.state.at, verdicts)
		}
	}
}

// Lost says in a line what receivers have not got; "" if they have got all. Scrapes are
// not in it: who did not read one reads the next.
func (l *Live) Lost() string {
	var parts []string
	for _, r := range []struct {
		name string
		of   *dropped
	}{{"webhook", &l.webhook}, {"OTLP collector", &l.otlp}} {
		if full, failed := r.of.full.Load(), r.of.failed.Load(); full+failed > 0 {
			parts = append(parts, fmt.Sprintf("the %s did not take %d, and %d found no room", r.name, failed, full))
		}
	}
	return strings.Join(parts, "; ")
}
