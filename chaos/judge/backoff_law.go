package judge

import (
	"fmt"
	"math"
	"time"
)

// law is by what the waits of a backoff grow and are spread.
type law struct {
	growth growth
	spread spread
}

// growth is how the wait without jitter depends on its rank.
type growth uint8

const (
	geometric    growth = iota // base·factor^(k−1)
	linear                     // base·k
	constant                   // base
	decorrelated               // as long as the wait before had it, up to three times that
)

// spread is where a wait lies, d being the one without jitter.
type spread uint8

const (
	above  spread = iota // from d on
	around               // to either side of d
	below                // from 0 to d
)

// triple is the factor of decorrelated jitter: a wait is at most so many times the
// one before it.
const triple = 3

func (c Backoff) declared() law {
	switch c.Law {
	case "full":
		return law{geometric, below}
	case "spread":
		return law{geometric, around}
	case "constant":
		return law{constant, above}
	case "linear":
		return law{linear, above}
	case "decorrelated":
		return law{decorrelated, above}
	}
	return law{geometric, above}
}

func (c Backoff) factor() float64 {
	if c.Factor > 0 {
		return c.Factor
	}
	return 2
}

// middle is the k-th wait without jitter, k from 1. In floats, because 2^60
// waits do not fit a Duration.
func (c Backoff) middle(k int) float64 {
	d := float64(c.Base)
	switch c.declared().growth {
	case geometric:
		d *= math.Pow(c.factor(), float64(k-1))
	case linear:
		d *= float64(k)
	}
	return c.atMostCap(d)
}

// atMostCap is d, at most cap.
func (c Backoff) atMostCap(d float64) float64 {
	if c.Cap > 0 {
		d = min(d, float64(c.Cap))
	}
	return min(d, float64(math.MaxInt64/4))
}

// within returns the range in which the k-th wait must lie, k from 1.
func (c Backoff) within(k int) (lower, upper time.Duration) {
	d := c.middle(k)
	by := d*min(max(float64(c.Jitter), 0), 1) + float64(c.Noise)
	switch l := c.declared(); {
	case l.growth == decorrelated:
		return time.Duration(d), time.Duration(c.atMostCap(float64(c.Base) * math.Pow(triple, float64(k))))
	case l.spread == below:
		return 0, time.Duration(d)
	case l.spread == around:
		return time.Duration(max(0, d-by)), time.Duration(d + by)
	}
	return time.Duration(d), time.Duration(d + by)
}

// jitters reports whether any spread is claimed.
func (c Backoff) jitters() bool {
	l := c.declared()
	return c.Jitter > 0 || c.Noise > 0 || l.spread == below || l.growth == decorrelated
}

func (c Backoff) String() string {
	text := short(c.Base)
	l := c.declared()
	switch l.growth {
	case geometric:
		text = fmt.Sprintf("%s·%.3g^(k−1)", text, c.factor())
	case linear:
		text += "·k"
	case constant:
		text += " each time"
	case decorrelated:
		text = fmt.Sprintf("%s to %d times the wait before", text, triple)
	}
	if c.Cap > 0 {
		text += ", at most " + short(c.Cap)
	}
	switch by := c.Jitter.String(); {
	case l.spread == below:
		text = "0 to " + text
	case c.Noise > 0 && l.spread == around:
		text += ", ±" + short(c.Noise)
	case c.Noise > 0:
		text += ", plus 0 to " + short(c.Noise)
	case c.Jitter > 0 && l.spread == around:
		text += ", ±" + by
	case c.Jitter > 0:
		text += ", plus 0 to " + by
	case l.growth != decorrelated:
		text += ", without jitter"
	}
	if c.RetryAfter {
		text += ", never before Retry-After"
	}
	if c.Herd > 0 {
		text += fmt.Sprintf(", herds at most %.3g× even", c.Herd)
	}
	return fmt.Sprintf("backoff of %s over %s: %s", orAll(c.Route), c.Link, text)
}
