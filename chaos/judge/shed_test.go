package judge

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// counter is a system that does 200 requests of buy a second, one after another, and keeps so many
// waiting as queue says; any number if it is 0. It turns away the others after rejects with a status. It is
// offered 180/s for 4 s, 400/s for 5 s, 600/s for 5 s, and 180/s again; callers leave after a second. Of
// pay it does 20/s beside that.
type counter struct {
	queue   int
	rejects time.Duration
	status  int
	sparing bool // pay is never turned away, else as buy is
	calm    bool // only 180/s are offered
	late    time.Duration
}

func (c counter) run() *evidence.Run {
	const each = 5 * ms
	run := &evidence.Run{Routes: []string{"buy", "pay"}, End: 18 * time.Second, Load: 18 * time.Second}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at, HiccupMax: evidence.Seconds(2 * ms)})
	}
	var free time.Duration
	id := uint64(0)
	for at, next := time.Duration(0), time.Duration(0); at < run.End; at = next {
		r := 180.0
		if s := at / time.Second; !c.calm && s >= 4 && s < 9 {
			r = 400
		} else if !c.calm && s >= 9 && s < 14 {
			r = 600
		}
		next = at + time.Duration(float64(time.Second)/r)
		id++
		s := load.Sample{ID: id, Intended: at, Sent: at + c.late, Status: 200}
		full := c.queue > 0 && free-at > time.Duration(c.queue)*each
		switch {
		case id%10 == 0:
			s.Route, s.Done = 1, at+3*ms
			if full && !c.sparing {
				s.Status, s.Outcome = 503, load.ServerError
			}
		case full:
			s.Status, s.Outcome, s.Done = c.status, load.OutcomeOf(c.status), s.Sent+c.rejects
		default:
			free = max(free, at) + each
			if s.Done = free; s.Done-at > time.Second {
				s.Done, s.Status, s.Outcome = at+time.Second, 0, load.TimedOut
			}
		}
		run.Samples = append(run.Samples, s)
	}
	slices.SortStableFunc(run.Samples, func(a, b load.Sample) int { return cmp.Compare(a.Intended, b.Intended) })
	return run
}

func TestShed(t *testing.T) {
	sound := counter{queue: 20, rejects: 2 * ms, status: 503, sparing: true}
	claim := Shed{Route: "buy", Capacity: 200, P99: 300 * ms, RejectsWithin: 50 * ms, Spares: []string{"pay"}}
	change := func(c counter, f func(*counter)) counter { f(&c); return c }
	for _, c := range []struct {
		name string
		run  counter
		want Ruling
		says string
	}{
		{"it turns away", sound, Held, "200/s were served while 360/s were offered, 100% of the capacity"},
		{"it queues without a bound", change(sound, func(c *counter) { c.queue = 0 }), Refuted, "only 0/s were served while"},
		{"it turns away slowly", change(sound, func(c *counter) { c.rejects = 100 * ms }), Refuted, "99% were within 100 ms"},
		{"it queues for long", change(sound, func(c *counter) { c.queue = 150 }), Refuted, "99% took no longer than 75"},
		{"it fails in place of turning away", change(sound, func(c *counter) { c.status = 500 }), Refuted, "were neither served nor turned away by 429 or 503"},
		{"it turns away by 429", change(sound, func(c *counter) { c.status = 429 }), Held, ""},
		{"it spares nothing", change(sound, func(c *counter) { c.sparing = false }), Refuted, `requests of "pay" succeeded meanwhile`},
		{"it is offered what it can do", change(sound, func(c *counter) { c.calm = true }), Inconclusive, `never was 300/s or more of "buy" due for 3.0 s`},
		{"it is offered less than was due", change(sound, func(c *counter) { c.late = 200 * ms }), Inconclusive, "raise load.connections"},
	} {
		v := claim.Judge(c.run.run())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// It served all that is said to be too much: that does not show what it does beyond its capacity.
func TestShedOfASystemThatCanDoMore(t *testing.T) {
	run := counter{queue: 20, rejects: 2 * ms, status: 503, sparing: true}.run()
	for i := range run.Samples {
		s := &run.Samples[i]
		s.Status, s.Outcome, s.Done = 200, load.OK, s.Sent+5*ms
	}
	if v := (Shed{Route: "buy", Capacity: 200}).Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "offer more") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}

// What is declared above, or below, what it is in the direction that makes it false is never held.
func TestShedIsNotHeldByALie(t *testing.T) {
	run := counter{queue: 20, rejects: 40 * ms, status: 503, sparing: true}.run()
	for _, step := range []float64{0.5, 0.8, 0.9, 0.97, 1.03, 1.1, 1.25, 2} {
		for name, c := range map[string]struct {
			claim Shed
			false bool
		}{
			"capacity":       {Shed{Route: "buy", Capacity: rate.Limit(200 * step), Goodput: 1}, step > 1},
			"goodput":        {Shed{Route: "buy", Capacity: 160, Goodput: unit.Share(1.25 * step)}, step > 1},
			"p99":            {Shed{Route: "buy", Capacity: 180, P99: time.Duration(step * float64(105*ms))}, step < 1},
			"rejects_within": {Shed{Route: "buy", Capacity: 180, RejectsWithin: time.Duration(step * float64(40*ms))}, step < 1},
		} {
			switch v := c.claim.Judge(run); {
			case c.false && v.Ruling == Held:
				t.Errorf("%s x %v is held: %s", name, step, v.Reason)
			case !c.false && v.Ruling == Refuted:
				t.Errorf("%s x %v is refuted: %s", name, step, v.Reason)
			}
		}
	}
}

// A host that stalls makes a system serve less: none is refuted for that.
func TestShedOnABusyHost(t *testing.T) {
	run := counter{queue: 20, rejects: 2 * ms, status: 503, sparing: true}.run()
	for i := range run.Samples { // for 700 ms of each second of one stretch nothing is served
		if s := &run.Samples[i]; s.Done%time.Second > 300*ms && s.Intended > 9*time.Second && s.Intended < 14*time.Second && s.Route == 0 {
			s.Status, s.Outcome = 503, load.ServerError
		}
	}
	claim := Shed{Route: "buy", Capacity: 200}
	if v := claim.Judge(run); v.Ruling != Refuted {
		t.Errorf("on a quiet host: %v: %s", v.Ruling, v.Reason)
	}
	for i := range run.Ticks {
		run.Ticks[i].HiccupMax = evidence.Seconds(700 * ms)
	}
	if v := claim.Judge(run); v.Ruling == Refuted {
		t.Errorf("on a host that stalls: %v: %s", v.Ruling, v.Reason)
	}
	for i := range run.Ticks {
		run.Ticks[i].HiccupMax, run.Ticks[i].Pressure = 0, 1
	}
	if v := claim.Judge(run); v.Ruling == Refuted {
		t.Errorf("on a crowded host: %v: %s", v.Ruling, v.Reason)
	}
}
