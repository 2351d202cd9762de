package discover

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
)

const ms = time.Millisecond

// service is what a run is made up of: a request each 20 ms, and what each makes of
// a fault that is in force from 3 s to 7 s.
type service struct {
	attempts int
	wait     func(retry, n int) time.Duration // before a retry of the n-th request
	timeout  time.Duration                    // of a call that hangs; 0 is none
	limit    int                              // of calls in progress; 0 is none
	opens    int                              // failures after which no call is made any more; 0 is none
	fallback bool
	status   int // that the fault answers with; 0 hangs
	key      uint64
}

const (
	faultAt  = 3 * time.Second
	faultEnd = 7 * time.Second
)

// run is the evidence of it.
func (s service) run() *evidence.Run {
	link := &evidence.Link{Name: "bank"}
	run := &evidence.Run{Routes: []string{"pay"}, Links: map[string]*evidence.Link{"bank": link}, End: 10 * time.Second,
		Faults: []evidence.Injection{{On: "bank", Injected: faultAt, Healed: faultEnd}}}
	var progress []time.Duration // ends of the calls that are
	failures := 0
	for n := 0; n < 500; n++ {
		at := time.Duration(n) * 20 * ms
		sample := load.Sample{ID: uint64(n + 1), Intended: at, Sent: at, Status: 200, Outcome: load.OK}
		begin := at + ms
		for try := 0; ; try++ {
			open := progress[:0]
			for _, end := range progress {
				if end > begin {
					open = append(open, end)
				}
			}
			progress = open
			if s.limit > 0 && len(progress) >= s.limit || s.opens > 0 && failures >= s.opens {
				sample.Status, sample.Outcome, sample.Done = 503, load.ServerError, begin+ms
				break
			}
			x := evidence.Exchange{ID: sample.ID, Begin: begin, End: begin + 2*ms, Status: 200, Method: "POST", Path: "/", Key: s.key,
				InFlight: int32(len(progress) + 1)}
			broken := begin >= faultAt && begin < faultEnd
			if broken && s.status != 0 {
				x.Status, x.Ending = s.status, evidence.Injected
			} else if broken {
				x.Status, x.Ending = 0, evidence.CallerGone
				x.End = begin + s.timeout
				if s.timeout == 0 {
					x.End, x.Ending, x.Status, broken = faultEnd+ms, evidence.Answered, 200, false
				}
			}
			progress = append(progress, x.End)
			link.Exchanges = append(link.Exchanges, x)
			sample.Done = x.End + ms
			if !broken {
				break
			}
			failures++
			if try+1 >= s.attempts {
				if !s.fallback {
					sample.Status, sample.Outcome = 503, load.ServerError
				}
				break
			}
			begin = x.End + s.wait(try+1, n)
		}
		run.Samples = append(run.Samples, sample)
	}
	return run
}

var pay = Subject{Link: "bank", Route: "pay"}

// learnt is what a trial of the service shows.
func learnt(t *testing.T, trial string, s service) *Findings {
	t.Helper()
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: trial}, s.run()); err != nil {
		t.Fatal(err)
	}
	return f
}

func holds(t *testing.T, what string, f *Figure, want float64) {
	t.Helper()
	if f == nil {
		t.Errorf("%s was not seen, want %g", what, want)
	} else if f.Low > want || f.High < want {
		t.Errorf("%s is %g to %g, want %g in it", what, f.Low, f.High, want)
	}
}

func TestLearnCalm(t *testing.T) {
	f := learnt(t, Quick, service{attempts: 1, status: 503})
	if f.Calls != 1 || f.Depth != 1 || f.Success != 1 || f.Sequences < 140 {
		t.Errorf("got %+v", f)
	}
	if f.Fallback != 0 || f.Failing < 190 {
		t.Errorf("fallback %g of %d", f.Fallback, f.Failing)
	}
	if f := learnt(t, Quick, service{attempts: 1, status: 503, fallback: true}); f.Fallback != 1 {
		t.Errorf("fallback %g of %d, want all", f.Fallback, f.Failing)
	}
}

func TestLearnRetries(t *testing.T) {
	jittered := func(retry, n int) time.Duration {
		d := 100 * ms << (retry - 1)
		return d + d/2*time.Duration(n*7%100)/100
	}
	f := learnt(t, Quick, service{attempts: 4, wait: jittered, status: 503})
	holds(t, "attempts", f.Attempts, 4)
	if seen := f.Causes[503]; seen.Calls == 0 || seen.Retried != seen.Calls {
		t.Errorf("503: %+v", seen)
	}
	law, ok := LawOf(f.Waits)
	if !ok || law.Name != "add" {
		t.Fatalf("law %+v", law)
	}
	holds(t, "base", law.Base, 100)
	if law.Base.Low < 96.5 { // requests take 2 ms beside their calls, and 200 draws leave out 1 ms at most
		t.Errorf("the base is %g ms at least, and what the way takes was seen in the calm", law.Base.Low)
	}
	holds(t, "factor", law.Factor, 2)
	holds(t, "jitter", law.Jitter, 0.5)
	if law.Cap != nil {
		t.Errorf("cap %+v, want none", law.Cap)
	}
	if f.Unkeyed == 0 {
		t.Error("POST was sent again without a key, and it is not told")
	}
	if f := learnt(t, Quick, service{attempts: 4, wait: jittered, status: 503, key: 9}); f.Unkeyed > 0 || f.KeysChanged > 0 {
		t.Errorf("%d unkeyed, %d changed; want none", f.Unkeyed, f.KeysChanged)
	}
	if f := learnt(t, Quick, service{attempts: 1, status: 404}); f.Attempts.High != 1 || f.Causes[404].Retried != 0 {
		t.Errorf("attempts %+v, causes %v", f.Attempts, f.Causes)
	}
}

// A busy host makes a third of the waits longer: what is not spread is not told as
// spread, and what is spread not as unspread.
func TestLearnWaitsOnABusyHost(t *testing.T) {
	heldUp := func(n int) time.Duration {
		if n%3 > 0 {
			return time.Duration(n%4) * ms / 2
		}
		return time.Duration(20+n%60) * ms
	}
	for _, c := range []struct {
		name string
		wait func(retry, n int) time.Duration
		says string // of the review; "" if nothing of waits
	}{
		{"at once", func(_, n int) time.Duration { return heldUp(n) }, "retries come at once"},
		{"no jitter", func(retry, n int) time.Duration { return 100*ms<<(retry-1) + heldUp(n) }, "no jitter"},
		{"a tenth", func(retry, n int) time.Duration {
			d := 100 * ms << (retry - 1)
			return d + d/10*time.Duration(n*7%100)/100 + heldUp(n)
		}, ""},
		{"full", func(retry, n int) time.Duration {
			return 100*ms<<(retry-1)*time.Duration(n*7%100)/100 + heldUp(n)
		}, ""},
	} {
		f := learnt(t, Quick, service{attempts: 4, wait: c.wait, status: 503, key: 9})
		review := strings.Join(f.Review(), "\n")
		if c.says != "" && !strings.Contains(review, c.says) {
			t.Errorf("%s: the review is %q", c.name, review)
		}
		if c.says == "" && (strings.Contains(review, "jitter") || strings.Contains(review, "at once")) {
			t.Errorf("%s: the review invents of it: %q", c.name, review)
		}
		law, ok := LawOf(f.Waits)
		if !ok || (law.Name == "full") != (c.name == "full") {
			t.Errorf("%s: the law is %q", c.name, law.Name)
		}
		if c.name == "no jitter" && law.Jitter != nil {
			holds(t, "no jitter", law.Jitter, 0)
		}
		if c.name == "a tenth" {
			holds(t, "a tenth", law.Jitter, 0.1)
		}
	}
}

// A timer that is a little early is no shorter wait than what it was set to.
func TestLearnWaitsOfAnEarlyTimer(t *testing.T) {
	f := learnt(t, Quick, service{attempts: 3, wait: func(retry, n int) time.Duration {
		return 100*ms<<(retry-1) - time.Duration(n%7)*ms/10
	}, status: 503})
	if law, ok := LawOf(f.Waits); !ok || law.text() != "base: 100ms, factor: 2" {
		t.Errorf("the law is %q, want a base of 100 ms", law.text())
	}
}

// What is given up is no begin of a wait: the link knows of it late.
func TestLearnWaitsAfterAnswersAlone(t *testing.T) {
	run := service{attempts: 3, wait: func(int, int) time.Duration { return 300 * ms }, status: 503}.run()
	for i, xs := 0, run.Links["bank"].Exchanges; i < len(xs); i++ {
		x := &xs[i]
		switch {
		case x.Status != 503:
		case x.ID%5 == 0: // known late to be over
			x.Status, x.Ending, x.End = 0, evidence.CallerGone, x.End+290*ms
		case x.ID%5 == 1: // answered when its caller had given it up
			x.End += 280 * ms
		case x.ID%5 == 2: // and when the next attempt was on its way
			x.End += 310 * ms
		}
	}
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: Quick}, run); err != nil {
		t.Fatal(err)
	}
	if law, ok := LawOf(f.Waits); !ok || law.Base.Low < 290 || law.Base.High < 300 {
		t.Errorf("the law is %q, want a base of 300 ms", law.text())
	}
}

// A swamped machine makes waits longer by any time: a wait is at most what was seen, and
// what comes at once or without a spread is told all the same, for it cannot make that.
func TestLearnWaitsOnASwampedMachine(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
		says string // of the review
	}{{"at once", ms, "retries come at once"}, {"unspread", 300 * ms, "no jitter"}} {
		run := service{attempts: 3, wait: func(int, int) time.Duration { return c.wait }, status: 503}.run()
		for at := time.Second; at <= run.End; at += time.Second {
			run.Ticks = append(run.Ticks, evidence.Tick{At: at, Pressure: 1, Runnable: 20, Cores: 2})
		}
		f := &Findings{Subject: pay}
		if err := f.Learn(Trial{Name: Quick}, run); err != nil {
			t.Fatal(err)
		}
		law, ok := LawOf(f.Waits)
		if !ok || law.sure() || law.Base.Low != 0 || law.Factor != nil || law.Jitter != nil && law.Jitter.Low > 0 {
			t.Errorf("%s: the law is %q, want a first wait of at most what was seen", c.name, law.text())
		}
		if got := strings.Join(f.Review(), "\n"); !strings.Contains(got, c.says) {
			t.Errorf("%s: the review is %q", c.name, got)
		}
	}
}

// Waits go on when the fault is over, and so does what the host adds to them.
func TestLearnWaitsAfterTheFault(t *testing.T) {
	doubling := func(retry, n int) time.Duration {
		d := 800 * ms << (retry - 1)
		if n%2 > 0 { // each second one is held up
			d += 90 * ms
		}
		return d
	}
	run := service{attempts: 3, wait: doubling, status: 503}.run()
	for at := time.Second; at <= run.End; at += time.Second {
		tick := evidence.Tick{At: at}
		if at > faultEnd {
			tick.HiccupMax = evidence.Seconds(100 * ms)
		}
		run.Ticks = append(run.Ticks, tick)
	}
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: Quick}, run); err != nil {
		t.Fatal(err)
	}
	law, _ := LawOf(f.Waits)
	holds(t, "no jitter, and the host was late", law.Jitter, 0)
}

// A breaker that was not seen to probe has no open time yet: it is looked for, for as
// long as one waits.
func TestLearnOpenWithoutAnEnd(t *testing.T) {
	f := learnt(t, Quick, service{attempts: 1, status: 503, opens: 5, key: 9})
	if !f.Opened || f.Open != nil {
		t.Errorf("opened %v, for %+v; want an open breaker of which no more is known", f.Opened, f.Open)
	}
	for _, want := range []time.Duration{15 * time.Second, 40 * time.Second} {
		trial, _ := Next(f, Bounds{Rate: 50, Patience: 40 * time.Second})
		if trial.Name != Slow || trial.Duration < 2*want {
			t.Errorf("next is %q for %v, want slow errors for %v and as long after it", trial.Name, trial.Duration, want)
		}
		f.Done, f.OpenUpTo = append(f.Done, Slow), want
	}
}

// Of two trials the one that says more counts, also where neither has seen all: quick
// probes show one call let through or more, slow ones seven or more.
func TestNarrower(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		a, b judge.Interval
		want bool
	}{
		{judge.Interval{Low: 7, High: inf}, judge.Interval{Low: 1, High: inf}, true},
		{judge.Interval{Low: 1, High: inf}, judge.Interval{Low: 7, High: inf}, false},
		{judge.Interval{Low: 1, High: 1}, judge.Interval{Low: 7, High: inf}, true},
		{judge.Interval{Low: 7, High: inf}, judge.Interval{Low: 1, High: 1}, false},
		{judge.Interval{Low: 4, High: 6}, judge.Interval{Low: 1, High: 6}, true},
		{judge.Interval{Low: 1, High: 6}, judge.Interval{Low: 1, High: 6}, false},
	} {
		if got := narrower(&c.a, &c.b); got != c.want {
			t.Errorf("%v narrower than %v: %v", c.a, c.b, got)
		}
	}
}

// Of two trials that can both be right the narrower stands; two that cannot are both told.
func TestJoin(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ first, then, want judge.Interval }{
		{judge.Interval{Low: 1940, High: 1980}, judge.Interval{Low: 1960, High: 1970}, judge.Interval{Low: 1960, High: 1970}},
		{judge.Interval{Low: 1960, High: 1970}, judge.Interval{Low: 1940, High: 1980}, judge.Interval{Low: 1960, High: 1970}},
		{judge.Interval{Low: 1940, High: 1980}, judge.Interval{Low: 2080, High: 2120}, judge.Interval{Low: 1940, High: 2120}},
		{judge.Interval{Low: 2080, High: 2120}, judge.Interval{Low: 1940, High: 1980}, judge.Interval{Low: 1940, High: 2120}},
		{judge.Interval{Low: 1, High: inf}, judge.Interval{Low: 3, High: 3}, judge.Interval{Low: 3, High: 3}},
		{judge.Interval{Low: 3, High: 3}, judge.Interval{Low: 8, High: inf}, judge.Interval{Low: 3, High: inf}},
	} {
		var f *Figure
		join(&f, &judge.Part{Seen: &c.first, Sample: 2})
		join(&f, &judge.Part{Seen: &c.then})
		if f.Interval != c.want {
			t.Errorf("%v and %v: %v, want %v", c.first, c.then, f.Interval, c.want)
		}
	}
}

func TestLearnTimeout(t *testing.T) {
	f := learnt(t, Hang, service{attempts: 1, timeout: 700 * ms})
	holds(t, "timeout", f.Timeout, 700)
	holds(t, "longest wait", f.Longest, 702)
	if f.Limit != nil || f.LimitUpTo < 35 {
		t.Errorf("limit %+v, up to %d", f.Limit, f.LimitUpTo)
	}
	f = learnt(t, Hang, service{attempts: 1})
	if f.Timeout != nil || f.TimeoutUpTo != faultEnd-faultAt {
		t.Errorf("timeout %+v, up to %v; want none", f.Timeout, f.TimeoutUpTo)
	}
}

// A call that ended early for something else does not make the timeout a wide one.
func TestLearnTimeoutBesideOneThatEndedEarly(t *testing.T) {
	run := service{attempts: 1, timeout: 900 * ms}.run()
	exchanges := run.Links["bank"].Exchanges
	early := slices.IndexFunc(exchanges, func(x evidence.Exchange) bool {
		return x.Ending == evidence.CallerGone && x.Begin > faultAt+time.Second
	})
	exchanges[early].End = exchanges[early].Begin + 20*ms
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: Hang}, run); err != nil {
		t.Fatal(err)
	}
	holds(t, "timeout", f.Timeout, 900)
	if f.Timeout.Low < 850 {
		t.Errorf("timeout %+v, want one of 900 ms", f.Timeout)
	}
}

// By a clock of whole seconds calls are given up after different times, and the timeout is
// all of them.
func TestLearnCoarseTimeout(t *testing.T) {
	run := service{attempts: 1, timeout: 900 * ms}.run()
	exchanges := run.Links["bank"].Exchanges
	for i := range exchanges {
		if x := &exchanges[i]; x.Ending == evidence.CallerGone {
			x.End -= time.Duration(i*37%500) * ms
		}
	}
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: Hang}, run); err != nil {
		t.Fatal(err)
	}
	holds(t, "timeout", f.Timeout, 890)
	holds(t, "timeout", f.Timeout, 410)
}

// What answers from a cache turns nobody away.
func TestLearnCached(t *testing.T) {
	run := service{attempts: 1, timeout: 900 * ms}.run()
	run.Links["bank"].Exchanges = run.Links["bank"].Exchanges[:3]
	for i := range run.Samples {
		run.Samples[i].Status, run.Samples[i].Outcome = 200, load.OK
	}
	f := &Findings{Subject: pay}
	for _, trial := range []string{Quick, Hang} {
		if err := f.Learn(Trial{Name: trial}, run); err != nil {
			t.Fatal(err)
		}
	}
	if f.Limit != nil || len(f.Review()) > 1 { // it has seen no timeout
		t.Errorf("limit %+v, review %q", f.Limit, f.Review())
	}
}

func TestLearnLimit(t *testing.T) {
	for _, limit := range []int{1, 7, 30} {
		f := learnt(t, Hang, service{attempts: 1, timeout: 900 * ms, limit: limit})
		if f.Limit == nil || f.Limit.Low != float64(limit) || f.Limit.High != float64(limit) {
			t.Errorf("limit %+v, want %d", f.Limit, limit)
		}
	}
}

// A timeout that answers the caller and lets the call go on is one, and no bound on
// calls in progress is made of what is turned away later.
func TestLearnAbandoned(t *testing.T) {
	run := service{attempts: 1}.run() // hangs until the fault ends
	for i := range run.Samples {
		r := &run.Samples[i]
		if r.Sent < faultAt || r.Sent >= faultEnd-800*ms {
			continue
		}
		r.Status, r.Outcome, r.Done = 503, load.ServerError, r.Sent+700*ms
	}
	run.Samples[160].Done -= 400 * ms // its call began late, and the timer ran already
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: Hang}, run); err != nil {
		t.Fatal(err)
	}
	holds(t, "timeout", f.Timeout, 700)
	if f.Abandoned < 100 || f.Limit != nil {
		t.Errorf("%d abandoned, limit %+v", f.Abandoned, f.Limit)
	}
}

// Whoever is still turned away when all is well again is told of.
func TestLearnStillOut(t *testing.T) {
	sound := service{attempts: 1, timeout: 900 * ms, limit: 7}
	f := &Findings{Subject: pay, Success: 1}
	if err := f.Learn(Trial{Name: Hang}, sound.run()); err != nil {
		t.Fatal(err)
	}
	if f.StillOut != 0 {
		t.Errorf("sound, and still out %v after the healing", f.StillOut)
	}
	leaks := sound.run()
	var kept []evidence.Exchange
	for _, x := range leaks.Links["bank"].Exchanges {
		if x.Begin < faultAt+time.Second {
			kept = append(kept, x)
		}
	}
	leaks.Links["bank"].Exchanges = kept
	for i := range leaks.Samples {
		if r := &leaks.Samples[i]; r.Sent >= faultAt+time.Second {
			r.Status, r.Outcome, r.Done = 503, load.ServerError, r.Sent+ms
		}
	}
	f = &Findings{Subject: pay, Success: 1}
	if err := f.Learn(Trial{Name: Hang}, leaks); err != nil {
		t.Fatal(err)
	}
	if f.StillOut != 2*time.Second {
		t.Errorf("it leaks all places, and is still out %v, want 2s", f.StillOut)
	}
}

// A service that passes on no id is told so, and no attempts are made up.
func TestLearnAnonymous(t *testing.T) {
	run := service{attempts: 3, wait: func(int, int) time.Duration { return 50 * ms }, status: 503}.run()
	for i := range run.Links["bank"].Exchanges {
		run.Links["bank"].Exchanges[i].ID = 0
	}
	f := &Findings{Subject: pay}
	if err := f.Learn(Trial{Name: Quick}, run); err != nil {
		t.Fatal(err)
	}
	if !f.Anonymous || f.Attempts != nil || f.Causes != nil || len(f.Waits) > 0 {
		t.Errorf("got %+v", f)
	}
}

func TestLearnNothing(t *testing.T) {
	empty := service{attempts: 1}.run()
	empty.Links["bank"].Exchanges = nil
	for _, c := range []struct {
		run *evidence.Run
		of  Subject
	}{
		{empty, pay},
		{service{attempts: 1}.run(), Subject{Link: "other", Route: "pay"}},
		{service{attempts: 1}.run(), Subject{Link: "bank", Route: "other"}},
	} {
		f := &Findings{Subject: c.of}
		if err := f.Learn(Trial{Name: Quick}, c.run); err == nil || len(f.Done) > 0 {
			t.Errorf("%v: error %v, done %v", c.of, err, f.Done)
		}
	}
}
