package judge

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// simulation is a small discrete-event model of a run: open-model callers, a
// system with a retry policy and a bulkhead, one link with its relay, and the
// dependency behind it. The same seed gives the same evidence. It knows
// nothing of the claims.
type simulation struct {
	seed     uint64
	rate     float64 // arrivals per second
	constant bool
	total    time.Duration
	routes   []simRoute
	faults   []simFault
	busy     bool          // one core is kept busy by something else
	crowded  time.Duration // on average, what anything waits for a core where all are kept busy; 0 means they are not
	unseen   bool          // a thread that sleeps wakes up on time all the same
	spared   bool          // the dependency has a host of its own, which is not busy
	rush     time.Duration // from then on for 700 ms the system sends each call 100 to 200 ms late; 0 means never

	service   time.Duration // of the dependency, ±20%
	timeout   time.Duration // of one attempt
	deadline  time.Duration // of the caller
	anonymous bool          // request ids are not passed on
	calls     int           // exchanges a request makes even if all is well; 0 means 1

	attempts int                                                      // 0 means 1
	retries  func(status int) bool                                    // 0 for no answer; nil means 429, 502, 503, 504 and no answer
	posts    bool                                                     // POST is retried without a key
	rekey    bool                                                     // each attempt gets a key of its own
	changes  bool                                                     // each attempt has a body of its own
	budget   float64                                                  // retries for each call, at most; 0 means no bound
	deaf     bool                                                     // goes on when the caller has left
	obeys    bool                                                     // Retry-After
	wait     func(k int, rng *rand.Rand) time.Duration                // nil means none
	next     func(before time.Duration, rng *rand.Rand) time.Duration // in its place, by the wait before; 0 before the first
	pool     bool                                                     // keep-alive connections, with the library's hidden repeats
	eager    bool                                                     // makes one attempt more, at once, after a connection that broke

	limit   int           // of the bulkhead; 0 means none
	shared  bool          // it also holds the calls that do not use the link
	rejects time.Duration // how long a call waits for a place
	leaks   float64       // share of abandoned calls that keep their place
	inside  bool          // each attempt takes a place of its own; else the whole call holds one
}

type simRoute struct {
	name   string
	weight float64
	method string // "" means GET
	keyed  bool
	local  bool // does not use the link
}

type simFault struct {
	kind     string // errors, latency, partition, reset
	at, span time.Duration
	statuses []int
	after    time.Duration // Retry-After
	delay    time.Duration
	share    float64 // 0 means 1
}

type simRun struct {
	simulation
	rng    *rand.Rand
	now    time.Duration
	agenda agenda
	stalls [][2]time.Duration
	worst  []time.Duration // longest delay of anything, by second

	samples   []load.Sample
	exchanges []evidence.Exchange
	injected  []evidence.Injection
	conns     uint64
	idle      []uint64
	held      []func() // exchanges that wait for the healing
	places    int      // taken in the bulkhead
	waiting   []func()
	tokens    float64 // of the budget of retries
}

// run plays the simulation and returns its evidence.
func (s simulation) run() *evidence.Run {
	r := &simRun{simulation: s, rng: rand.New(rand.NewPCG(s.seed, 0)), worst: make([]time.Duration, int(s.total/time.Second)+60)}
	r.attempts = max(r.attempts, 1)
	r.calls = max(r.calls, 1)
	if r.retries == nil {
		r.retries = func(status int) bool { return slices.Contains([]int{0, 429, 502, 503, 504}, status) }
	}
	if r.wait == nil {
		r.wait = func(int, *rand.Rand) time.Duration { return 0 }
	}
	if s.busy {
		// The host loses a core now and then: everything stands still.
		for at := r.exp(time.Second); at < s.total; at += r.exp(2 * time.Second) {
			r.stalls = append(r.stalls, [2]time.Duration{at, at + 5*time.Millisecond + r.upTo(25*time.Millisecond)})
		}
	}
	for i, f := range s.faults {
		index := i
		r.injected = append(r.injected, evidence.Injection{
			Index: i, Name: f.kind + " on payments", Kind: f.kind, On: "payments", Statuses: f.statuses,
			Delay: evidence.Seconds(f.delay), Share: f.part(), At: evidence.Seconds(f.at), For: evidence.Seconds(f.span), Injected: -1, Healed: -1,
		})
		r.after(f.at, func() { r.injected[index].Injected = r.now })
		r.after(f.at+f.span, func() {
			r.injected[index].Healed = r.now
			held := r.held
			r.held = nil
			for _, pass := range held {
				pass()
			}
		})
	}
	r.arrive()
	for len(r.agenda.moments) > 0 {
		m := r.agenda.next()
		r.now = m.at
		m.do()
	}
	return r.evidence()
}

func (f simFault) part() float64 {
	if f.share == 0 {
		return 1
	}
	return f.share
}

func (r *simRun) evidence() *evidence.Run {
	slices.SortStableFunc(r.samples, func(a, b load.Sample) int { return cmp.Compare(a.Intended, b.Intended) })
	slices.SortStableFunc(r.exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	var ends []time.Duration
	for _, x := range r.exchanges {
		ends = append(ends, x.End)
	}
	slices.Sort(ends)
	over := 0
	for i := range r.exchanges {
		x := &r.exchanges[i]
		for over < len(ends) && ends[over] <= x.Begin {
			over++
		}
		x.Seq, x.InFlight = uint64(i+1), int32(max(1, i+1-over))
	}
	run := &evidence.Run{
		Name: "simulated", Seed: r.seed, End: r.total, Samples: r.samples, Faults: r.injected,
		Links: map[string]*evidence.Link{"payments": {Name: "payments", From: "checkout", To: "payments", Exchanges: r.exchanges}},
	}
	for _, route := range r.routes {
		run.Routes = append(run.Routes, route.name)
	}
	for at := time.Second; at <= r.total; at += time.Second {
		// A sleeping thread wakes a hundred times a second and keeps the worst.
		hiccup := time.Duration(0)
		for range 100 {
			hiccup = max(hiccup, r.delay())
		}
		for _, stall := range r.stalls {
			if stall[0] < at && stall[1] > at-time.Second {
				hiccup = max(hiccup, stall[1]-stall[0])
			}
		}
		if r.unseen {
			hiccup = 2 * time.Millisecond
		}
		run.Ticks = append(run.Ticks, evidence.Tick{At: at, Offered: uint64(r.rate), Ended: uint64(r.rate), LagP99: evidence.Seconds(hiccup / 2), LateP99: evidence.Seconds(hiccup / 2), LagMax: evidence.Seconds(hiccup), HiccupP99: evidence.Seconds(hiccup / 2), HiccupMax: evidence.Seconds(hiccup), Steal: -1})
	}
	return run
}

// after does something later, not while the host stands still.
func (r *simRun) after(d time.Duration, do func()) {
	at := r.now + max(d, 0)
	for _, stall := range r.stalls {
		if at >= stall[0] && at < stall[1] {
			at = stall[1] + time.Duration(r.agenda.put%50)*10*time.Microsecond
		}
	}
	r.agenda.add(at, do)
}

func (r *simRun) exp(mean time.Duration) time.Duration {
	return time.Duration(r.rng.ExpFloat64() * float64(mean))
}

func (r *simRun) upTo(d time.Duration) time.Duration {
	return time.Duration(r.rng.Float64() * float64(d))
}

// delay is how long anything waits for a processor.
func (r *simRun) delay() time.Duration {
	if r.crowded > 0 {
		return r.exp(r.crowded)
	}
	if r.busy {
		return r.exp(5 * time.Millisecond)
	}
	return 20*time.Microsecond + r.exp(100*time.Microsecond)
}

func (r *simRun) arrive() {
	weight := 0.0
	for _, route := range r.routes {
		weight += max(route.weight, 1)
	}
	id, at := uint64(0), 0.0
	for {
		gap := 1 / r.rate
		if !r.constant {
			gap *= r.rng.ExpFloat64()
		}
		at += gap
		intended := time.Duration(at * 1e9)
		if intended >= r.total {
			return
		}
		id++
		own := id
		draw, route := r.rng.Float64()*weight, 0
		for route < len(r.routes)-1 && draw >= max(r.routes[route].weight, 1) {
			draw -= max(r.routes[route].weight, 1)
			route++
		}
		r.after(intended, func() { r.request(own, route, intended) })
	}
}

// request is one caller.
func (r *simRun) request(id uint64, route int, intended time.Duration) {
	r.after(r.delay()/2, func() {
		sample := load.Sample{ID: id, Route: route, Intended: intended, Sent: r.now}
		done := false
		finish := func(status int, outcome load.Outcome) {
			if done {
				return
			}
			done = true
			sample.Status, sample.Outcome, sample.Done = status, outcome, r.now
			r.samples = append(r.samples, sample)
		}
		r.after(r.deadline, func() { finish(0, load.TimedOut) })
		r.after(r.delay(), func() {
			r.system(id, r.routes[route], func() bool { return done }, func(status int) {
				r.after(r.delay(), func() { finish(status, load.OutcomeOf(status)) })
			})
		})
	})
}

// system is what the system under test does for one request.
func (r *simRun) system(id uint64, route simRoute, gone func() bool, reply func(status int)) {
	if route.local {
		work := func(release func()) {
			r.after(r.service/2, func() { release(); reply(200) })
		}
		if r.shared {
			r.acquire(work, func() { reply(503) })
		} else {
			work(func() {})
		}
		return
	}
	whole := func(release func()) {
		left := r.calls
		var next func(status int)
		next = func(status int) {
			left--
			if left > 0 && status < 400 && status > 0 {
				r.attempt(id, route, 1, 1, 0, gone, next)
				return
			}
			if status != 0 || r.rng.Float64() >= r.leaks {
				release()
			}
			if status == 0 {
				status = 504
			}
			reply(status)
		}
		r.attempt(id, route, 1, 1, 0, gone, next)
	}
	if r.limit > 0 && !r.inside {
		r.acquire(whole, func() { reply(503) })
	} else {
		whole(func() {})
	}
}

// acquire takes a place in the bulkhead, waiting as long as it may.
func (r *simRun) acquire(work func(release func()), full func()) {
	var once bool
	enter := func() {
		r.places++
		released := false
		work(func() {
			if released {
				return
			}
			released = true
			r.places--
			for len(r.waiting) > 0 && r.places < r.limit {
				next := r.waiting[0]
				r.waiting = r.waiting[1:]
				next()
			}
		})
	}
	if r.places < r.limit {
		enter()
		return
	}
	if r.rejects == 0 {
		r.after(r.delay(), full)
		return
	}
	r.waiting = append(r.waiting, func() {
		if !once {
			once = true
			enter()
		}
	})
	r.after(r.rejects, func() {
		if !once {
			once = true
			full()
		}
	})
}

// attempt is the k-th attempt of a call and, by its policy, those after it; the
// next wait is the one of this rank, or follows from the one before.
func (r *simRun) attempt(id uint64, route simRoute, k, rank int, before time.Duration, gone func() bool, reply func(status int)) {
	done := func(x evidence.Exchange, release func()) {
		if x.Ending != evidence.CallerGone || r.rng.Float64() >= r.leaks {
			release()
		}
		status := seenStatus(&x)
		unkeyed := route.method == "POST" && !route.keyed && !r.posts
		if k == 1 {
			r.tokens = min(1, r.tokens+r.budget)
		}
		left := func() bool { return gone() && !r.deaf }
		if k >= r.attempts || !r.retries(status) || unkeyed || left() || r.budget > 0 && r.tokens < 1 {
			reply(status)
			return
		}
		r.tokens--
		wait := r.wait(rank, r.rng)
		if r.next != nil {
			wait = r.next(before, r.rng)
		}
		drawn := wait
		if r.obeys {
			wait = max(wait, x.Extra().RetryAfter)
		}
		if wait > 0 {
			wait += r.delay()
		}
		rank++
		if r.obeys && x.Extra().RetryAfter > 0 {
			rank, drawn = 1, 0 // cenkalti/backoff begins its law anew
		}
		r.after(wait, func() {
			if left() {
				reply(status)
				return
			}
			r.attempt(id, route, k+1, rank, drawn, gone, reply)
		})
	}
	if r.limit > 0 && r.inside {
		r.acquire(func(release func()) { r.exchange(id, route, k, func(x evidence.Exchange) { done(x, release) }) }, func() { reply(503) })
		return
	}
	r.exchange(id, route, k, func(x evidence.Exchange) {
		if r.eager && k == 1 && x.Ending == evidence.Broken && (x.Method == "GET" || x.Key != 0) {
			r.exchange(id, route, k, func(x evidence.Exchange) { done(x, func() {}) })
			return
		}
		done(x, func() {})
	})
}

// exchange is one request over the link, as the relay stamps it.
func (r *simRun) exchange(id uint64, route simRoute, k int, reply func(evidence.Exchange)) {
	x := evidence.Exchange{ID: id, Method: "GET", Path: "/pay"}
	if r.anonymous {
		x.ID = 0
	}
	if route.method != "" {
		x.Method, x.Payload = route.method, id*7919
		if r.changes {
			x.Payload += uint64(k)
		}
	}
	if route.keyed {
		x.Key = id * 104729
		if r.rekey {
			x.Key += uint64(k)
		}
	}
	reused := false
	if n := len(r.idle); r.pool && n > 0 {
		x.Conn, r.idle, reused = r.idle[n-1], r.idle[:n-1], true
	} else {
		r.conns++
		x.Conn = r.conns
	}
	over := false
	end := func(ending evidence.Ending, status int, late time.Duration) {
		if over {
			return
		}
		over = true
		x.Ending, x.Status, x.End = ending, status, r.now+late
		r.exchanges = append(r.exchanges, x)
		if r.pool && (ending == evidence.Answered || ending == evidence.Injected) {
			r.idle = append(r.idle, x.Conn)
		}
		// The caller learns of it after the relay's stamp, except where it left by itself.
		learn := r.delay()
		if ending == evidence.CallerGone {
			learn = 0
		}
		r.after(learn, func() {
			if ending == evidence.Broken && reused && (x.Method == "GET" || x.Key != 0) {
				r.exchange(id, route, k, reply) // net/http's own repeat
				return
			}
			reply(x)
		})
	}
	late := r.delay()
	if r.rush > 0 && r.now >= r.rush && r.now < r.rush+700*time.Millisecond {
		late += 100*time.Millisecond + r.upTo(100*time.Millisecond)
	}
	r.after(late, func() {
		x.Begin = r.now
		answer := r.service*8/10 + r.upTo(r.service*4/10)
		if !r.spared {
			answer += r.delay() + r.delay() // the way to the dependency and back waits for a processor too
		}
		pass := func() { r.after(answer, func() { end(evidence.Answered, 200, 0) }) }
		act := pass
		delay := time.Duration(0)
		for i, f := range r.faults {
			if r.injected[i].Injected < 0 || r.injected[i].Healed >= 0 || r.rng.Float64() >= f.part() {
				continue
			}
			x.Faults |= 1 << uint(i)
			switch f.kind {
			case "errors":
				act = func() {
					x.SetRetryAfter(f.after)
					status, ending := f.statuses[r.rng.IntN(len(f.statuses))], evidence.Injected
					if status < 300 {
						ending = evidence.Answered // by the dependency: what a fault makes up may say anything
					}
					end(ending, status, 0)
				}
			case "latency":
				delay += f.delay
			case "partition":
				act = func() { r.held = append(r.held, pass) }
			case "reset":
				act = func() { end(evidence.Broken, 0, 0) }
			}
		}
		if delay > 0 {
			r.after(delay, act)
		} else {
			act()
		}
		if r.timeout > 0 {
			r.after(r.timeout, func() { end(evidence.CallerGone, 0, r.delay()) })
		}
	})
}

// between draws a wait evenly from a range that depends on its rank.
func between(law func(k int) (lower, upper time.Duration)) func(int, *rand.Rand) time.Duration {
	return func(k int, rng *rand.Rand) time.Duration {
		lower, upper := law(k)
		return lower + time.Duration(rng.Float64()*float64(upper-lower))
	}
}

// doubling is base·2^(k−1) with up to jitter parts of it on top.
func doubling(base time.Duration, jitter float64) func(int, *rand.Rand) time.Duration {
	return between(func(k int) (time.Duration, time.Duration) {
		d := base << (k - 1)
		return d, d + time.Duration(jitter*float64(d))
	})
}

// anywhere is decorrelated jitter: from base to times as long as the wait before.
func anywhere(base, longest time.Duration, times float64) func(time.Duration, *rand.Rand) time.Duration {
	return func(before time.Duration, rng *rand.Rand) time.Duration {
		before = max(before, base)
		return min(longest, base+time.Duration(rng.Float64()*(times*float64(before)-float64(base))))
	}
}
