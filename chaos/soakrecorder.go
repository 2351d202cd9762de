//go:build unix

package chaos

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/watch"
)

// writeSecond appends a second to the timeline and the histogram logs, which a soak has
// in segments.
func (rec *recorder) writeSecond(s watch.Second, t *evidence.Tick) {
	e := evidence.Event{At: evidence.Seconds(s.At), Kind: evidence.KindTick, Tick: t}
	if rec.seconds == nil {
		rec.add(e)
		rec.writeLogs(s)
		return
	}
	if rec.memory != nil {
		rec.memory.Event(e)
	}
	rec.noteSleep(s)
	if rec.from > 0 && s.From == rec.from { // the tick before it was before the gap
		t.Longest = evidence.Seconds(s.At - s.From)
	}
	logs := map[string][]hist.Tagged{soakLog(routeLog): rec.routeTagged(s)}
	for name, l := range rec.links {
		logs[soakLog(linkLog(name))] = seen(name, l.hist)
	}
	rec.seconds.Second(s.From, s.At, t, logs)
	for _, l := range rec.links {
		l.hist.Reset()
	}
	rec.chapters.Tick(s.From, s.At, *t)
}

// leastSleep is how long the machine must have been suspended for that to be a gap.
const leastSleep = time.Second

// noteSleep says of a second whether the machine was suspended in it.
func (rec *recorder) noteSleep(s watch.Second) {
	slept := rec.suspended() - rec.slept
	rec.slept += slept
	if slept < leastSleep {
		return
	}
	at := evidence.Seconds(s.At)
	rec.add(evidence.Event{At: at, Kind: evidence.KindGap, Gap: &evidence.Gap{From: evidence.Seconds(s.From), To: at,
		Why: fmt.Sprintf("the machine was suspended for %s, in which this clock stood still", slept.Round(time.Second))}})
}

// seen is a histogram to write if there is anything in it: logs grow with what
// happens, not with how many there are that it could happen to.
func seen(tag string, h *hist.Histogram) []hist.Tagged {
	if h.Count() == 0 {
		return nil
	}
	return []hist.Tagged{{Tag: tag, Histogram: h}}
}
