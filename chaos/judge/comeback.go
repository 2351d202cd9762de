package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// comeback is how goodput came back after a healing.
//
//	goodput   ▁▁▁▁▂▁▁▁▅▇████████▁▁▁▁████████
//	          │healing │           │   │back for good, until the end
//	          │        │first      │lost again
//
// It is back for good from the first request on after which every window, up to
// the end of the evidence, has as much of it as is claimed, and in whose own
// window there is no moment by which it had less. A window of which chance
// leaves no doubt that it has less shows that it was not back yet when it began.
type comeback struct {
	after Interval      // from the healing until it was back for good; High is infinite if it was not seen to be
	from  time.Duration // the request that it is back from; only if it is
	first time.Duration // from the healing until it was back at all; < 0 if it never was
	lost  time.Duration // when it was lost again, the last time that leaves no doubt; 0 if it was not
	away  bool          // it was lost when the evidence ended, too late for a whole window to tell
	calm  bool          // no host's stall explains that
}

// notBefore takes into account that it was not back yet so long after the
// healing, unless it was lost by the host's doing.
func (c *comeback) notBefore(after time.Duration) {
	if c.lost == 0 || c.calm {
		c.after.Low = float64(after)
	}
}

// back reports whether it came back for good.
func (c comeback) back() bool { return c.from > 0 }

// leastWindow is how many requests a window has at least: of fewer, a lucky few
// look like goodput.
const leastWindow = 30

// returned looks for goodput in the requests due in [healed, until). What is
// claimed is a share of the baseline, whose interval is given.
func returned(run *evidence.Run, samples arrivals, healed, until, window time.Duration, baseline Interval, share float64) comeback {
	w := windows{samples: samples, until: until, window: window}
	w.count()
	least, surely := share*baseline.High, share*baseline.Low
	c := comeback{after: anything(), first: -1}
	lastShort, falling := -1, false // the last window with less; whether the present ones have less for sure
	usual := 0                      // requests of a whole window
	for i, s := range samples.all() {
		n, ok, whole := w.of(i)
		if !whole {
			// Were all of the rest of it to end well, is it short still?
			if _, high := scoreInterval(max(n, usual)-(n-ok), max(n, usual), sureOfRelapse); falling && usual > 0 && high < surely {
				c.notBefore(s.Intended - healed)
			}
			// Were the rest of it like what there is, is it short?
			if _, high := scoreInterval(ok, n, sureOfRelapse); c.first >= 0 && !falling && !c.away && n >= leastWindow && high < surely {
				c.away, c.lost = true, w.firstFailure(i)
				c.calm = run.Noise(c.lost-time.Second, until) < upset
			}
			continue
		}
		usual = n
		if float64(ok) >= least*float64(n) {
			if c.first < 0 && w.steady(i, least) {
				c.first = s.Intended - healed
			}
			falling = false
			continue
		}
		lastShort = i
		if _, high := scoreInterval(ok, n, sureOfRelapse); high >= surely {
			continue
		}
		if c.first >= 0 && !falling {
			c.lost = w.firstFailure(i)
			c.calm = run.Noise(c.lost-time.Second, c.lost+window) < upset
		}
		falling = true
		c.notBefore(s.Intended - healed)
	}
	if i := w.firstSteady(lastShort+1, least); i >= 0 && !c.away {
		s := samples.get(i)
		c.from = s.Intended
		c.after.High = float64(max(s.Sent, c.from) - healed)
	}
	// The healing may have been noted late, and what was due sent late.
	c.after.Low = max(0, c.after.Low-float64(run.Noise(healed, until)))
	c.after.High += float64(run.Noise(healed, max(healed, c.from)))
	// Goodput may have been away for as long as nobody looked, and from then on what
	// is lost may be lost by the burst that followed.
	if begin, end, is := run.Unseen(healed, until); is {
		c.after.Low = min(c.after.Low, float64(begin-healed))
		c.after.High = max(c.after.High, float64(end-healed))
		c.calm = c.calm && c.lost < begin
	}
	c.after.Low = min(c.after.Low, c.after.High)
	return c
}

// sureOfRelapse is for a share of one of many windows.
const sureOfRelapse = 4

// windows counts the requests of windows of time, each of which begins with a
// request.
type windows struct {
	samples       arrivals
	until, window time.Duration
	good          []int32 // good[i] of the first i samples ended well
	end           []int32 // the samples from i up to end[i] are the window that begins with i
}

func (w *windows) count() {
	n := w.samples.len()
	w.good, w.end = make([]int32, n+1), make([]int32, n)
	to := 0
	for i, s := range w.samples.all() {
		w.good[i+1] = w.good[i]
		if s.Outcome == load.OK {
			w.good[i+1]++
		}
		for to < n && (w.samples.get(to).Intended < s.Intended+w.window || to < i+leastWindow) {
			to++
		}
		w.end[i] = int32(to)
	}
}

// of is how many requests a window has, and how many of them ended well; it is
// not whole if the evidence ends within it.
func (w *windows) of(i int) (n, ok int, whole bool) {
	n = int(w.end[i]) - i
	return n, int(w.good[w.end[i]] - w.good[i]), n >= leastWindow && w.samples.get(i).Intended+w.window <= w.until
}

// steady reports whether a request ended well, and at no moment of its window
// less than this share of those since it had.
func (w *windows) steady(i int, least float64) bool {
	for to := i + 1; to <= int(w.end[i]); to++ {
		if float64(w.good[to]-w.good[i]) < least*float64(to-i) {
			return false
		}
	}
	return true
}

// firstSteady is the first whole window from i on that is steady; -1 if there is
// none.
func (w *windows) firstSteady(i int, least float64) int {
	for ; i < w.samples.len(); i++ {
		if _, _, whole := w.of(i); !whole {
			break
		}
		if w.steady(i, least) {
			return i
		}
	}
	return -1
}

// firstFailure is when the first request of a window was due that did not end
// well.
func (w *windows) firstFailure(i int) time.Duration {
	for _, s := range w.samples.part(i, int(w.end[i])).all() {
		if s.Outcome != load.OK {
			return s.Intended
		}
	}
	return w.samples.get(i).Intended
}

// text says how long it took: "120 ms after the healing".
func (c comeback) text(healed time.Duration) string {
	return fmt.Sprintf("%s after the healing", short(c.from-healed))
}
