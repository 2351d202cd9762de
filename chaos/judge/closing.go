package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/load"
)

// judgeRejects rules on how fast rejected callers were told.
func (b Breaker) judgeRejects(f *finding, courses []course, t *traffic) {
	var rejected []load.Sample
	for _, c := range courses {
		for _, s := range c.silences {
			rejected = append(rejected, s.rejected...)
		}
	}
	calm := calmly(t.run, rejected, b.RejectsWithin)
	p99, service := percentile(responseTimes(calm), 0.99), percentile(serviceTimes(calm), 0.99)
	f.numbers.AddTime("rejected_p99", p99)
	if b.RejectsWithin == 0 {
		return
	}
	noise := noiseAround(t.run, calm)
	ruling := bound(p99, b.RejectsWithin, noise)
	if _, proven := persistently(calm, b.RejectsWithin+noise); ruling == Refuted && !proven {
		ruling = Inconclusive // a burst or two: the host's, as far as one can tell
	}
	if ruling == Refuted && bound(service, b.RejectsWithin, noise) != Refuted {
		f.doubt("99%% of the rejected callers were answered within %s, bound %s, but that includes a wait in the harness: from sending it took %s", short(p99), short(b.RejectsWithin), short(service))
		return
	}
	var slow []uint64
	for _, s := range calm {
		if s.ResponseTime() > b.RejectsWithin {
			slow = append(slow, s.ID)
		}
	}
	what := fmt.Sprintf("rejected within %s (p99)", short(p99))
	if ruling != Held {
		what = fmt.Sprintf("slow to reject: 99%% of %d rejected callers were answered within %s, bound %s, noise %s", len(calm), short(p99), short(b.RejectsWithin), short(noise))
	}
	f.part(ruling, slow, "%s", what)
}

// judgeClosing rules on how soon calls flowed again after the healing.
func (b Breaker) judgeClosing(f *finding, courses []course, t *traffic) {
	slowest := time.Duration(-1)
	ruling := Held
	var stuck []course
	for _, c := range courses {
		if c.closed < 0 {
			stuck = append(stuck, c)
			continue
		}
		took := max(0, c.closed-c.to)
		slowest = max(slowest, took)
		if b.ClosesWithin > 0 {
			ruling = max(ruling, bound(took, b.ClosesWithin, t.slack(c.to, c.closed)))
		}
	}
	if slowest >= 0 {
		f.numbers.AddTime("closed_after", slowest)
		what := fmt.Sprintf("closed %s after healing", short(slowest))
		if ruling != Held {
			what += fmt.Sprintf(", bound %s", short(b.ClosesWithin))
		}
		f.part(ruling, nil, "%s", what)
	}
	for _, c := range stuck {
		b.judgeStuck(f, t, c)
	}
}

// judgeStuck rules on an opening after which calls were not seen to flow again.
func (b Breaker) judgeStuck(f *finding, t *traffic, c course) {
	left := c.limit - c.to
	switch {
	case b.ClosesWithin == 0:
		f.note("it was not seen to close, which is not claimed")
		return
	case !c.healed:
		f.doubt("the fault was still in force when the evidence ended, so that it could not close")
		return
	case left < b.ClosesWithin+t.flowWindow()+2*t.slack(c.to, c.limit):
		f.doubt("the evidence ends %s after the healing, too soon to see it close within %s", short(left), short(b.ClosesWithin))
		return
	}
	late := t.sent(c.to+b.ClosesWithin, c.limit)
	var ids []uint64
	for _, s := range late {
		if t.rejected(s) {
			ids = append(ids, s.ID)
		}
	}
	calls := len(t.begun(c.to+b.ClosesWithin, c.limit))
	f.numbers.AddTime("open_after_healing", left)
	f.refute(ids, "did not close: %s after the healing calls still do not flow, bound %s; only %d calls reached %s for %d requests since then", short(left), short(b.ClosesWithin), calls, b.Link, len(late))
}
