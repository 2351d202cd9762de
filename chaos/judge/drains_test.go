package judge

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// backlogged is a producer of 500 requests a second and a consumer that is away from 2 s to
// 4 s and takes them one after another otherwise.
type backlogged struct {
	seed     uint64
	total    time.Duration
	headroom float64 // of the consumer's rate over the producer's
	notices  bool    // a tenth of the requests fail while the consumer is away
	bound    int     // of the queue, which drops the oldest; 0 is none
	lost     uint64
	busy     bool
	seen     time.Duration // for how long after the load it is looked at; 0 is 5 s
}

func (m backlogged) play() *evidence.Run {
	rng := rand.New(rand.NewPCG(m.seed, 23))
	run := dataRun(m.total)
	run.Routes = []string{"order"}
	books := &evidence.Link{Name: "ledger", From: "consumer", To: "bank"}
	run.Links = map[string]*evidence.Link{"ledger": books}
	from, to := 2*time.Second, 4*time.Second
	run.Faults[0] = evidence.Injection{Name: "pause of consumer", Kind: "pause", On: "consumer", Target: true, Injected: from, Healed: to, Effects: &evidence.Effects{}}
	for i := range run.Ticks {
		if m.busy && i%2 == 0 {
			run.Ticks[i].HiccupMax, run.Ticks[i].HiccupP99 = evidence.Seconds(30*ms), evidence.Seconds(20*ms)
		}
	}
	took := time.Duration(float64(2*ms) / m.headroom)
	free := time.Duration(0)
	type waiting struct {
		id uint64
		at time.Duration
	}
	var queue []waiting
	for i := range int(m.total / (2 * ms)) {
		sent := time.Duration(i) * 2 * ms
		s := load.Sample{ID: uint64(i + 1), Intended: sent, Sent: sent, Done: sent + 200*time.Microsecond + time.Duration(rng.ExpFloat64()*float64(200*time.Microsecond)), Status: 202}
		if m.notices && sent >= from && sent < to && rng.IntN(10) == 0 {
			s.Outcome, s.Status = load.ServerError, 503
		}
		run.Samples = append(run.Samples, s)
		if s.Outcome != load.OK {
			continue
		}
		if m.bound > 0 && s.Done >= from && s.Done < to && len(queue) == m.bound {
			queue = queue[1:]
		}
		if s.Done >= from && s.Done < to {
			queue = append(queue, waiting{s.ID, s.Done})
			continue
		}
		for _, w := range append(queue, waiting{s.ID, s.Done}) {
			begin := max(free, w.at)
			if len(queue) > 0 {
				begin = max(begin, to)
			}
			free = begin + took
			if w.id != m.lost {
				books.Exchanges = append(books.Exchanges, evidence.Exchange{ID: w.id, Begin: begin, End: begin + took/2, Method: "POST", Path: "/book", Status: 200})
			}
		}
		queue = nil
	}
	slices.SortStableFunc(books.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	end := run.End + cmp.Or(m.seen, 5*time.Second)
	books.Exchanges = slices.DeleteFunc(books.Exchanges, func(x evidence.Exchange) bool { return x.End > end })
	run.Audits = []evidence.Audit{{Name: "booked", At: end, Status: 200, Whole: true}}
	return run
}

// A consumer that is twice as fast as its producer has drained 2 s of backlog in 2 s.
func TestDrainsOfSoundQueuesAreNeverRefuted(t *testing.T) {
	for seed := range uint64(100) {
		m := backlogged{seed: seed, total: 10 * time.Second, headroom: 2, busy: seed%2 == 1}
		run := m.play()
		v := Drains{At: Links{"ledger"}, Route: "order", Within: 3 * time.Second}.Judge(run)
		if v.Ruling == Refuted || v.Ruling != Held && !m.busy {
			t.Fatalf("seed %d: %v, %s", seed, v.Ruling, v.Reason)
		}
	}
}

func TestDrains(t *testing.T) {
	sound := backlogged{seed: 1, total: 10 * time.Second, headroom: 2}
	claim := Drains{At: Links{"ledger"}, Route: "order", Within: 3 * time.Second}
	starved := func(run *evidence.Run) {
		for i := range run.Ticks {
			run.Ticks[i].Pressure, run.Ticks[i].Cores, run.Ticks[i].Runnable = 0.99, 2, 5
		}
	}
	for name, c := range map[string]struct {
		model  func(m *backlogged)
		change func(run *evidence.Run)
		within time.Duration
		want   Ruling
		says   string
	}{
		"sound":                              {nil, nil, 0, Held, "headroom 2.0"},
		"a bound that is half of it":         {nil, nil, time.Second, Refuted, "headroom 2.00, at most 1.0 s claimed"},
		"a tenth less than it took":          {nil, nil, 1800 * ms, Refuted, ""},
		"a tenth less, and no core to spare": {nil, starved, 1800 * ms, Inconclusive, "a host with cores to spare"},
		"far less, and no core to spare":     {nil, starved, 150 * ms, Refuted, "headroom 2.00"},
		"a consumer hardly fast enough":      {func(m *backlogged) { m.headroom = 1.05 }, nil, 0, Refuted, "headroom 1.05"},
		"a consumer that is too slow":        {func(m *backlogged) { m.headroom = 0.95 }, nil, 0, Refuted, "never drains"},
		"a queue that drops the oldest":      {func(m *backlogged) { m.bound = 700 }, nil, 0, Refuted, "300 of 5000 acknowledged requests are lost"},
		"the producer notices":               {func(m *backlogged) { m.notices = true }, nil, 0, Refuted, "the producer noticed"},
		"one is lost":                        {func(m *backlogged) { m.lost = 3000 }, nil, 0, Refuted, "1 of 5000 acknowledged requests are lost"},
		"one may come yet": {func(m *backlogged) { m.lost = 3000 }, func(run *evidence.Run) {
			run.Audits[0].At = run.End
			x := &run.Links["ledger"].Exchanges
			*x = (*x)[:len(*x)-1]
		}, 0, Inconclusive, "a longer load.settle would tell"},
		"no fault":          {nil, func(run *evidence.Run) { run.Faults = nil }, 0, Inconclusive, "there was no backlog to drain"},
		"a fault elsewhere": {nil, func(run *evidence.Run) { run.Faults[0].Injected, run.Faults[0].Healed = 8*time.Second, 9*time.Second }, 0, Inconclusive, "less than half"},
		"not healed":        {nil, func(run *evidence.Run) { run.Faults[0].Healed = -1 }, 0, Inconclusive, "still in force"},
		"too short to see": {func(m *backlogged) { m.total, m.seen, m.headroom = 5*time.Second, ms, 1.05 }, nil, 0, Inconclusive,
			"let load.settle, or the load after the healing, be longer"},
		"no ids": {nil, func(run *evidence.Run) {
			for i := range run.Links["ledger"].Exchanges {
				run.Links["ledger"].Exchanges[i].ID = 0
			}
		}, 0, Inconclusive, "X-Request-Id"},
		"in passing": {nil, func(run *evidence.Run) { run.Brief = true }, 0, Inconclusive, "when the run is over"},
		"no link":    {nil, func(run *evidence.Run) { run.Links = nil }, 0, Inconclusive, "no link"},
	} {
		m, claim := sound, claim
		if c.model != nil {
			c.model(&m)
		}
		run := m.play()
		if c.change != nil {
			c.change(run)
		}
		claim.Within = cmp.Or(c.within, claim.Within)
		v := claim.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", name, v.Ruling, v.Reason, c.want, c.says)
		}
		if v.Ruling == Refuted && !slices.ContainsFunc(v.Exhibits, func(e Exhibit) bool { return e.Growth != nil && len(e.Growth.Points) == MaxSamples }) {
			t.Errorf("%s: the backlog is not drawn", name)
		}
	}
}

// A bound that is shorter than what it took is never held, on any host.
func TestNoFalseDrainIsHeld(t *testing.T) {
	for seed := range uint64(10) {
		m := backlogged{seed: seed, total: 10 * time.Second, headroom: 2, busy: seed%2 == 1}
		run := m.play()
		for _, by := range []float64{0.5, 0.8, 0.9} {
			c := Drains{At: Links{"ledger"}, Route: "order", Within: time.Duration(by * float64(2*time.Second))}
			if v := c.Judge(run); v.Ruling == Held {
				t.Errorf("seed %d: within %s is false and held: %s", seed, c.Within, v.Reason)
			}
		}
	}
}

// A backlog that is no larger than it was before the outage shows nothing about draining one.
func TestNoBacklogThatWasThereBefore(t *testing.T) {
	run := backlogged{seed: 1, total: 10 * time.Second, headroom: 2}.play()
	burst := 3 * time.Second // the consumer began so late, with as many in its queue
	l := run.Links["ledger"]
	for i := range run.Samples {
		s := &run.Samples[i]
		s.ID += 5000
		for _, at := range []*time.Duration{&s.Intended, &s.Sent, &s.Done} {
			*at += 2 * burst
		}
	}
	for i := range l.Exchanges {
		l.Exchanges[i].ID += 5000
		l.Exchanges[i].Begin, l.Exchanges[i].End = l.Exchanges[i].Begin+2*burst, l.Exchanges[i].End+2*burst
	}
	var before []load.Sample
	var calls []evidence.Exchange
	for i := range 1500 {
		at := time.Duration(i) * 2 * ms
		before = append(before, load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + ms, Status: 202})
		calls = append(calls, evidence.Exchange{ID: uint64(i + 1), Begin: burst + time.Duration(i)*ms, End: burst + time.Duration(i)*ms + ms/2, Method: "POST", Path: "/book", Status: 200})
	}
	run.Samples, l.Exchanges = append(before, run.Samples...), append(calls, l.Exchanges...)
	run.Faults[0].Injected, run.Faults[0].Healed = run.Faults[0].Injected+2*burst, run.Faults[0].Healed+2*burst
	run.End, run.Load, run.Audits[0].At = run.End+2*burst, run.Load+2*burst, run.Audits[0].At+2*burst
	for at := run.Ticks[len(run.Ticks)-1].At + time.Second; at <= run.End+time.Second; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	v := Drains{At: Links{"ledger"}, Route: "order", Within: 500 * ms}.Judge(run) // it took 2 s
	if v.Ruling == Held {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
}
