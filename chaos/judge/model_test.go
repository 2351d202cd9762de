package judge

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

const ms = time.Millisecond

// More seeds cost only time: go test -model-seeds 500 ./chaos/judge
var modelSeeds = flag.Int("model-seeds", 4, "how many seeds each modelled case is judged with")

// world is a model of a run: callers, a system with a breaker and a timeout, a
// link with faults, and a host that stalls. It shares no code with the judge:
// what is open is a state here and an observation there.
type world struct {
	seed    uint64
	rate    float64
	poisson bool
	total   time.Duration
	service time.Duration // of the dependency
	timeout time.Duration // of the system's calls; 0 means none
	faults  []evidence.Injection
	late    map[int]time.Duration // exact delay by fault index
	breaker breakerModel
	cached  float64       // share of the arrivals that make no call
	stalls  int           // how many times the whole host stops
	stall   time.Duration // for how long at most
	lag     time.Duration // how late every request is sent
	ids     bool          // the system passes ids on
	cut     time.Duration // the run is killed then; 0 means never
	wait    time.Duration // how long callers wait; 0 means 10 s
	backlog bool          // metastable: once it failed, it goes on failing
	spread  float64       // of the dependency's service time
	held    float64       // share of the calls that reach the link 400 ms late
}

type breakerModel struct {
	none     bool
	failures int
	open     time.Duration
	probes   int
	rejects  time.Duration // how long it takes to say no
	statuses []int         // 4xx that count as failures
	leak     float64       // part of the calls let through while open
	lapse    float64       // the same, but only once a probe has failed
	ghost    bool          // while open it answers at once and calls all the same
	flood    bool          // half-open lets everything through
	single   bool          // half-open lets its probes through one after the other
	lots     bool          // half-open opens again once as many as probes failed; each that does makes room for the next
	stuck    bool          // a successful probe does not close it
	silent   bool          // it never probes
	one      time.Duration // one call is let through so long after it opened; 0 means none is
	relapses time.Duration // it opens again so long after it closed, without a failure; 0 means it does not

	learns time.Duration // how long after the link it has the result of a probe

	instances int     // breakers that take turns, each with its own state; 0 means 1
	uneven    float64 // instead of turns, this share goes to the first of them, and each other one gets as much of the rest
	waiters   bool    // while a probe is out callers wait for its result
	retries   int     // of a request that fails, within the breaker

	share   float64 // it opens when this share of the calls of the window failed; 0 means by failures in a row
	window  time.Duration
	buckets int // in which the window rolls; 0 means it slides
	minimum int
	forgets bool // it begins anew when it closes
}

const (
	closed = iota
	open
	halfOpen
)

// play runs the model and returns what stormctl would have recorded.
func (w world) play() *evidence.Run {
	rng := rand.New(rand.NewPCG(w.seed, 1))
	var todo agenda
	var now time.Duration
	type pause struct{ from, to time.Duration }
	var pauses []pause
	for range w.stalls {
		from := time.Duration(rng.Float64() * float64(w.total))
		pauses = append(pauses, pause{from, from + time.Duration(rng.Float64()*float64(w.stall))})
	}
	slices.SortFunc(pauses, func(a, b pause) int { return cmp.Compare(a.from, b.from) })
	for i := len(pauses) - 1; i > 0; i-- { // a stall within a stall makes one
		if pauses[i].from <= pauses[i-1].to {
			pauses[i-1].to = max(pauses[i-1].to, pauses[i].to)
			pauses = slices.Delete(pauses, i, i+1)
		}
	}
	after := func(d time.Duration, do func()) {
		at := now + d
		for len(pauses) > 0 && pauses[0].to <= now {
			pauses = pauses[1:] // over, and for good
		}
		for _, p := range pauses {
			if p.from > at {
				break
			}
			if at < p.to {
				at = p.to
			}
		}
		todo.add(at, do)
	}
	hop := func() time.Duration {
		d := 50*time.Microsecond + time.Duration(rng.ExpFloat64()*float64(80*time.Microsecond))
		if rng.IntN(2000) == 0 {
			d += time.Duration(rng.Float64() * float64(6*ms))
		}
		return d
	}
	run := &evidence.Run{Name: "model", Seed: w.seed, End: w.total, Load: w.total, Routes: []string{"pay", "browse"}, Faults: w.faults,
		Links: map[string]*evidence.Link{"payments": {Name: "payments", From: "checkout", To: "bank"}}}
	link := run.Links["payments"]
	for t := time.Second; t <= w.total; t += time.Second {
		tick := evidence.Tick{At: t, LateP99: evidence.Seconds(ms + w.lag), HiccupMax: evidence.Seconds(2 * ms)}
		for _, p := range pauses {
			if p.to > t-time.Second && p.from < t {
				tick.HiccupMax = max(tick.HiccupMax, evidence.Seconds(p.to-p.from))
			}
		}
		run.Ticks = append(run.Ticks, tick)
	}

	b := w.breaker
	breakers := make([]*modelled, max(b.instances, 1))
	for i := range breakers {
		breakers[i] = &modelled{breakerModel: b, rng: rng, phase: time.Duration(rng.Float64() * float64(b.window))}
	}
	turn := 0
	broken := false
	arrive := func(id uint64, intended time.Duration, route int) {
		s := load.Sample{ID: id, Route: route, Intended: intended, Sent: now}
		giveUp := w.wait
		if giveUp == 0 {
			giveUp = 10 * time.Second
		}
		answer := func(status int) {
			after(hop(), func() {
				s.Done, s.Status, s.Outcome = now, status, load.OutcomeOf(status)
				if s.ServiceTime() > giveUp {
					s.Done, s.Status, s.Outcome = s.Sent+giveUp, 0, load.TimedOut
				}
				run.Samples = append(run.Samples, s)
			})
		}
		after(hop(), func() {
			if route == 1 || rng.Float64() < w.cached {
				answer(200)
				return
			}
			if w.backlog && broken {
				answer(503)
				return
			}
			b := breakers[turn%len(breakers)]
			if turn++; w.breaker.uneven > 0 {
				b = breakers[0]
				for i := 1; i < len(breakers) && rng.Float64() >= w.breaker.uneven; i++ {
					b = breakers[i]
				}
			}
			var attempt func(gen, left int, ghost bool)
			var decide func()
			decide = func() {
				ok, ghost := b.admit(now)
				if !ok && b.waiters && b.state == halfOpen {
					b.queue = append(b.queue, decide)
					return
				}
				if !ok || ghost {
					after(b.rejects+hop(), func() { answer(503) })
				}
				if ok {
					attempt(b.generation, b.retries, ghost)
				}
			}
			attempt = func(gen, left int, ghost bool) {
				way := hop()
				if w.held > 0 && rng.Float64() < w.held {
					way += 400 * ms
				}
				after(way, func() { // the relay has the head
					x := evidence.Exchange{ID: id, Begin: now, Method: "GET", Path: "/charge", Status: 200}
					if !w.ids {
						x.ID = 0
					}
					length := w.lasts(&x, now, rng) + hop()
					if w.timeout > 0 && length > w.timeout {
						length, x.Status, x.Ending = w.timeout+hop(), 0, evidence.CallerGone
					}
					after(length, func() {
						x.End = now
						link.Exchanges = append(link.Exchanges, x)
						bad := x.Status == 0 || x.Status >= 500 || slices.Contains(b.statuses, x.Status)
						broken = broken || bad
						learn := hop()
						if b.state == halfOpen {
							learn += b.learns
						}
						after(learn, func() {
							if bad && left > 0 {
								attempt(gen, left-1, ghost)
								return
							}
							for _, waiting := range b.result(gen, bad, now) {
								waiting()
							}
							switch {
							case ghost:
							case x.Status == 0:
								answer(504)
							case bad:
								answer(502)
							default:
								answer(x.Status)
							}
						})
					})
				})
			}
			decide()
		})
	}
	id := uint64(0)
	for t := time.Duration(0); t < w.total; {
		gap := 1.0
		if w.poisson {
			gap = rng.ExpFloat64()
		}
		t += time.Duration(gap / w.rate * float64(time.Second))
		if t >= w.total {
			break
		}
		id++
		n, route := id, 0
		if id%5 == 0 {
			route = 1
		}
		after(t-now+w.lag, func() { arrive(n, t, route) })
	}
	for len(todo.moments) > 0 {
		m := todo.next()
		now = m.at
		m.do()
	}
	if w.cut > 0 {
		run.Partial = true
		run.End = w.cut
		run.Ticks = slices.DeleteFunc(run.Ticks, func(t evidence.Tick) bool { return t.At > w.cut })
		run.Samples = slices.DeleteFunc(run.Samples, func(s load.Sample) bool { return s.Done > w.cut })
		link.Exchanges = slices.DeleteFunc(link.Exchanges, func(x evidence.Exchange) bool { return x.End > w.cut-800*ms })
		for i := range run.Faults {
			if run.Faults[i].Injected > w.cut {
				run.Faults[i].Injected, run.Faults[i].Healed = -1, -1
			} else if run.Faults[i].Healed > w.cut {
				run.Faults[i].Healed = -1
			}
		}
	}
	slices.SortFunc(run.Samples, func(a, b load.Sample) int { return cmp.Compare(a.Intended, b.Intended) })
	slices.SortFunc(link.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := range link.Exchanges {
		link.Exchanges[i].Seq = uint64(i + 1)
	}
	return run
}

// lasts is how long the dependency takes for a call that begins now, and what
// the faults make of it.
func (w world) lasts(x *evidence.Exchange, now time.Duration, rng *rand.Rand) time.Duration {
	length := time.Duration(float64(w.service) * (1 + w.spread*rng.Float64()))
	healed := false
	for _, f := range w.faults {
		if f.Injected < 0 || !f.Active(now, now) || rng.Float64() >= f.Share {
			continue
		}
		x.Faults |= 1 << f.Index
		switch f.Kind {
		case "latency":
			late := w.late[f.Index]
			if left := f.Healed - now; f.Healed >= 0 && left < late {
				late, healed = left, true // healing lets go of what is delayed
			}
			length += late
		case "partition", "hang", "drop_response":
			length += f.Healed - now
		case "errors":
			x.Status, x.Ending = f.Statuses[rng.IntN(len(f.Statuses))], evidence.Injected
			length -= w.service
		}
	}
	if healed {
		x.Status, x.Ending = 200, evidence.Answered
	}
	return max(length, 0)
}

// modelled is a breaker.
type modelled struct {
	breakerModel
	rng                                            *rand.Rand
	state, generation, row, admitted, good, failed int
	expiry, opened, closedAt, phase                time.Duration
	lapsed, let                                    bool
	queue                                          []func()
	past                                           []struct {
		at  time.Duration
		bad bool
	}
}

func (m *modelled) become(s int, now time.Duration) {
	m.state, m.row, m.admitted, m.good, m.failed = s, 0, 0, 0, 0
	m.generation++
	switch s {
	case open:
		m.expiry, m.opened, m.let = now+m.open, now, false
	case closed:
		m.closedAt = now
		if m.forgets {
			m.past = nil
		}
	}
}

func (m *modelled) admit(now time.Duration) (ok, ghost bool) {
	if m.none {
		return true, false
	}
	if m.state == closed && m.relapses > 0 && m.closedAt > 0 && now > m.closedAt+m.relapses {
		m.become(open, now)
		m.closedAt = 0
	}
	if m.state == open && now >= m.expiry && !m.silent {
		m.become(halfOpen, now)
	}
	switch {
	case m.state == closed:
		return true, false
	case m.state == halfOpen && (m.flood || m.admitted < m.probes) && !(m.single && m.admitted > m.good):
		m.admitted++
		return true, false
	case m.state == open && m.one > 0 && !m.let && now >= m.opened+m.one:
		m.let = true
		return true, false
	case m.ghost:
		return true, true
	}
	return m.rng.Float64() < m.leak || m.lapsed && m.rng.Float64() < m.lapse, false
}

// result is told what a call of a generation came to, and returns what waited
// for it.
func (m *modelled) result(gen int, bad bool, now time.Duration) (waiting []func()) {
	if m.none || gen != m.generation {
		return nil
	}
	switch {
	case m.state == closed && m.trips(bad, now):
		m.become(open, now)
	case m.state == halfOpen && bad:
		m.admitted, m.failed = m.admitted-1, m.failed+1
		if m.lots && m.failed < m.probes {
			return nil
		}
		m.become(open, now)
		m.lapsed = true
	case m.state == halfOpen:
		if m.good++; m.good < m.probes {
			return nil
		}
		if m.stuck {
			m.become(open, now)
		} else {
			m.become(closed, now)
		}
	}
	waiting, m.queue = m.queue, nil
	return waiting
}

// trips reports whether a result while closed opens it.
func (m *modelled) trips(bad bool, now time.Duration) bool {
	if m.share == 0 {
		if m.row++; !bad {
			m.row = 0
		}
		return m.row >= m.failures
	}
	m.past = append(m.past, struct {
		at  time.Duration
		bad bool
	}{now, bad})
	from := now - m.window
	if m.buckets > 0 {
		b := m.window / time.Duration(m.buckets)
		from = (now+m.phase)/b*b + b - m.window - m.phase
	}
	if !bad {
		return false
	}
	n, failed := 0, 0
	for _, r := range m.past {
		if r.at >= from {
			n++
			if r.bad {
				failed++
			}
		}
	}
	return n >= m.minimum && float64(failed) >= m.share*float64(n)
}

// fault is one injection on the modelled link.
func fault(index int, kind string, from, length time.Duration, statuses ...int) evidence.Injection {
	return evidence.Injection{Index: index, Name: kind, Kind: kind, On: "payments", Statuses: statuses, Share: 1,
		At: evidence.Seconds(from), For: evidence.Seconds(length), Injected: from, Healed: from + length}
}
