package load

import "time"

// pacer decides how long a loop sleeps before an arrival is due.
//
//	now                  wake-up asked for        due
//	 │◀───────sleep──────▶│◀───────margin─────────▶│
//	                      ·  late  ·◀────spin─────▶│
//
// A sleeping thread is woken late: the timer fires, the core leaves its idle
// state, the scheduler takes its turn. So the loop asks to be woken a margin
// early and spins for what is left of it (polling its connections as it does).
// The margin is learned: it follows the lateness that three of four wake-ups
// stay within. The spin then costs only the difference between a usual wake-up
// and a good one, and nothing at all on a host that wakes on time.
type pacer struct {
	margin time.Duration
}

const (
	firstMargin = 60 * time.Microsecond  // before anything is learned
	maxMargin   = 150 * time.Microsecond // past this a wake-up is the host's hiccup, not its habit
	marginStep  = time.Microsecond
	spinShare   = 8 // at most 1/spinShare of the time between two arrivals is spun away
)

// sleep returns how long to sleep at now for an arrival at due that comes gap
// after the one before it; 0 means that it is time to spin.
func (p *pacer) sleep(now, due, gap time.Duration) time.Duration {
	return max(0, due-now-min(p.margin, gap/spinShare))
}

// woke learns from one sleep that was ended by its timer: it lasted late
// longer than was asked for. Steps of +3 and −1 balance where one wake-up of
// four is later than the margin.
func (p *pacer) woke(late time.Duration) {
	if late > p.margin {
		p.margin = min(maxMargin, p.margin+3*marginStep)
	} else {
		p.margin = max(0, p.margin-marginStep)
	}
}
