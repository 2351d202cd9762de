package judge

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Interval is what the system did, at least and at most: both ends are
// possible. What widens it is everything that keeps the figure from being known
// exactly: the host's noise, an excuse (a call in flight, an answer that may not
// have been heard), and sampling. It never says how the figure compares with
// what was claimed, and is measured without a look at that. A side that nothing
// bounds is infinite; the zero Interval is exactly 0.
type Interval struct{ Low, High float64 }

// exactly is a figure that is known.
func exactly[N int | float64 | time.Duration](x N) Interval { return Interval{float64(x), float64(x)} }

// interval is a figure that is known to lie within two, in either order.
func interval[N int | float64 | time.Duration](a, b N) Interval {
	return Interval{float64(min(a, b)), float64(max(a, b))}
}

// anything is a figure of which nothing is known but that it is not negative.
func anything() Interval { return Interval{0, math.Inf(1)} }

// widened is the interval with room for so much less and so much more; what is
// measured here is never negative, so neither is its lower end.
func (i Interval) widened(less, more float64) Interval {
	return Interval{max(0, i.Low-less), i.High + more}
}

// and is what two observations of one figure leave: their intersection. It is
// false if they contradict each other, so that it was not one figure.
func (i Interval) and(j Interval) (Interval, bool) {
	both := Interval{max(i.Low, j.Low), min(i.High, j.High)}
	return both, both.Low <= both.High
}

// or holds whatever either of two figures may be.
func (i Interval) or(j Interval) Interval { return Interval{min(i.Low, j.Low), max(i.High, j.High)} }

// Bound is what a claim allows a figure to be: from Low to High, both included,
// and infinite where there is no bound.
type Bound struct{ Low, High float64 }

func atMost[N int | float64 | time.Duration](x N) Bound { return Bound{math.Inf(-1), float64(x)} }

func atLeast[N int | float64 | time.Duration](x N) Bound { return Bound{float64(x), math.Inf(1)} }

// tolerance is how far a setting may be from what was declared of it: a claim
// that something is 2 s would otherwise never hold of a measurement. A setting
// that is a tenth off is outside of it by as much again.
const tolerance = 0.05

// about allows what is declared of a setting, within the tolerance, and within
// slack of it, which is what a timer adds.
func about[N int | float64 | time.Duration](x, slack N) Bound { return aboutRange(x, x, slack) }

// aboutRange is about for a range: whatever lies between two settings.
func aboutRange[N int | float64 | time.Duration](low, high, slack N) Bound {
	return Bound{float64(low)*(1-tolerance) - float64(slack), float64(high)*(1+tolerance) + float64(slack)}
}

// against is the one rule for every number of every claim. Held: whatever the
// figure was, it meets the bound. Refuted: whatever it was, it does not.
func (i Interval) against(b Bound) Ruling {
	switch {
	case i.Low >= b.Low && i.High <= b.High:
		return Held
	case i.High < b.Low || i.Low > b.High:
		return Refuted
	default: // also where an end is no number
		return Inconclusive
	}
}

// worst is the index of the interval whose ruling is the worst, of equals the
// one that lies highest; -1 if there is none.
func worst(seen []Interval, allowed Bound) int {
	found := -1
	for i, s := range seen {
		if found < 0 {
			found = i
			continue
		}
		was, is := seen[found].against(allowed), s.against(allowed)
		if is > was || is == was && s.High > seen[found].High {
			found = i
		}
	}
	return found
}

// Unit says what a figure counts. Durations are nanoseconds inside of this
// package, and milliseconds where they are written.
type Unit uint8

const (
	counted     Unit = iota // a whole number
	timed                   // a duration
	shared                  // a part of 1, written as percent
	times                   // a factor
	sizeGrowth              // bytes in an hour, written as MiB
	countGrowth             // a number in an hour
	shareGrowth             // a part of 1 in an hour, written as percent
)

var unitNames = [...]string{"", "ms", "pct", "times", "mib_per_h", "per_h", "pct_per_h"}

// written is the figure as it is in files.
func (u Unit) written(x float64) float64 {
	switch u {
	case timed:
		return x / float64(time.Millisecond)
	case shared, shareGrowth:
		return 100 * x
	case sizeGrowth:
		return x / (1 << 20)
	}
	return x
}

// grownName is the unit of what grows by u, as it is in files.
func (u Unit) grownName() string {
	if u == sizeGrowth {
		return "mib"
	}
	return ""
}

// print prints a figure for people.
func (u Unit) print(x float64) string {
	switch {
	case math.IsInf(x, 0) || math.IsNaN(x):
		return "any number"
	case u == timed:
		return short(time.Duration(x))
	case u == shared:
		return strconv.FormatFloat(100*x, 'g', 4, 64) + "%"
	case u == counted:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case u == sizeGrowth:
		return threeDigits(x/(1<<20)) + " MiB/h"
	case u == countGrowth:
		return threeDigits(x) + "/h"
	case u == shareGrowth:
		return threeDigits(100*x) + "%/h"
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// threeDigits prints a figure to three digits, and no power of ten.
func threeDigits(x float64) string {
	if math.Abs(x) >= 100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// span prints what a figure may be: "5", "3 to 8", "at least 3".
func (u Unit) span(i Interval) string {
	low, high := u.print(i.Low), u.print(i.High)
	switch {
	case math.IsInf(i.High, 1):
		return "at least " + low
	case low == high:
		return low
	}
	return low + " to " + high
}

// bound prints what is allowed.
func (u Unit) bound(b Bound) string {
	switch low, high := math.IsInf(b.Low, -1), math.IsInf(b.High, 1); {
	case low && high:
		return "anything"
	case low && u == counted && b.High == 0:
		return "none"
	case low:
		return "at most " + u.print(b.High)
	case high:
		return "at least " + u.print(b.Low)
	}
	return u.print(b.Low) + " to " + u.print(b.High)
}

// pair is a JSON array of two figures, null where there is none.
func pair(low, high float64) ([]byte, error) {
	list := [2]*float64{&low, &high}
	for i, x := range list {
		if math.IsInf(*x, 0) || math.IsNaN(*x) {
			list[i] = nil
		}
	}
	return json.Marshal(list)
}

// readPair is the inverse of pair; null is infinite.
func readPair(text []byte) (low, high float64, err error) {
	var list []*float64
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 2 {
		return 0, 0, fmt.Errorf("%s is no pair of figures", text)
	}
	low, high = math.Inf(-1), math.Inf(1)
	if list[0] != nil {
		low = *list[0]
	}
	if list[1] != nil {
		high = *list[1]
	}
	return low, high, nil
}

func (i Interval) MarshalJSON() ([]byte, error) { return pair(i.Low, i.High) }

func (i *Interval) UnmarshalJSON(text []byte) (err error) {
	i.Low, i.High, err = readPair(text)
	return err
}

func (b Bound) MarshalJSON() ([]byte, error) { return pair(b.Low, b.High) }

func (b *Bound) UnmarshalJSON(text []byte) (err error) {
	b.Low, b.High, err = readPair(text)
	return err
}
