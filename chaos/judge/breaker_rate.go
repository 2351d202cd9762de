package judge

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// A breaker by rate opens once, of at least `minimum` calls in the last `window`,
// at least a share has failed. The three are settings, and each is measured with
// the other two taken as they are declared: a false one makes two of them not fit
// what is seen, and cannot fit all of it. The share and the window are so within
// 5%, the minimum exactly, since one call more or less is a different setting.
//
// Real windows roll by buckets, ten of them in opossum, hystrix and Polly: what was
// seen up to a bucket early is forgotten with the rest of its bucket. When in a
// bucket the breaker opened is not known, so that the share lies between that of
// the whole window and that of one bucket less. Where all calls since the run
// began are within both, it is exact: an episode that comes before the window is
// full tells the share, one that comes after tells the window. That one is told to
// within a bucket, because so much of it may have been forgotten: a window of 11 s
// that is one of 10 s is not told apart if it rolls by seconds. A breaker that rounds
// the share opens just beside the one declared (hystrix to whole percents, half a
// percent early): by how much is known from a first opening that comes before the window is
// full (see opensAt).

// tallies holds outcomes so that those in any window can be counted.
type tallies struct{ early, late [2][]time.Duration } // good and bad, sorted

func talliesOf(list []outcome) tallies {
	var all tallies
	kind := func(o outcome) int {
		if o.bad {
			return 1
		}
		return 0
	}
	var n [2]int
	for _, o := range list {
		n[kind(o)]++
	}
	for i := range n {
		all.early[i], all.late[i] = make([]time.Duration, 0, n[i]), make([]time.Duration, 0, n[i])
	}
	for _, o := range list {
		if !o.unsure {
			i := kind(o)
			all.early[i], all.late[i] = append(all.early[i], o.early), append(all.late[i], o.late)
		}
	}
	for i := range all.late {
		slices.Sort(all.late[i])
	}
	return all
}

// within is how many of a kind were learned in (from, to], for sure and maybe.
func (a tallies) within(kind int, from, to time.Duration) (sure, maybe float64) {
	after := func(list []time.Duration, at time.Duration) int {
		return sort.Search(len(list), func(i int) bool { return list[i] > at })
	}
	sure = float64(max(0, after(a.late[kind], to)-after(a.early[kind], from)))
	maybe = float64(max(0, after(a.early[kind], to)-after(a.late[kind], from)))
	return sure, maybe
}

// share is what part of the calls had failed in a window that ended between two
// moments, and how many calls it had.
func (a tallies) share(window, since, notYet, surely time.Duration) (share, count Interval) {
	goodSure, _ := a.within(0, max(since, surely-window), notYet)
	_, goodMaybe := a.within(0, max(since, notYet-window), surely)
	badSure, _ := a.within(1, max(since, surely-window), notYet)
	_, badMaybe := a.within(1, max(since, notYet-window), surely)
	share = Interval{0, 1}
	if badSure+goodMaybe > 0 {
		share.Low = badSure / (badSure + goodMaybe)
	}
	if badMaybe+goodSure > 0 {
		share.High = badMaybe / (badMaybe + goodSure)
	}
	return share, Interval{badSure + goodSure, badMaybe + goodMaybe}
}

// lengths are the windows that one of buckets may be at a moment.
func (b Breaker) lengths() []time.Duration {
	if b.Buckets == 0 {
		return []time.Duration{b.Window}
	}
	var all []time.Duration
	step := b.Window / time.Duration(10*b.Buckets)
	for i := range 11 {
		all = append(all, b.Window-time.Duration(i)*step)
	}
	return all
}

// forgets are the moments before which outcomes may be forgotten when it closed:
// hystrix begins anew then, opossum does not.
func (c episodeTrace) forgets() []time.Duration { return []time.Duration{-1, c.base} }

// judgeRate rules on a breaker that opens by the share of calls that fail.
func (b Breaker) judgeRate(f *finding, t *traffic, o *observed, traces []episodeTrace) {
	reading := perAttempt
	if b.Counts == "request" {
		reading = perRequest
	}
	all := talliesOf(o.outcomes[reading])
	opened := 0
	rate, window, minimum := anything(), anything(), anything()
	rate.High, minimum.Low = 1, 1
	share := Interval{float64(b.FailureRate), float64(b.FailureRate)}
	agree := true
	for _, c := range traces {
		if c.already {
			continue
		}
		join := func(seen *Interval, one Interval) bool {
			both, ok := seen.and(one)
			if !ok {
				both = seen.or(one)
			}
			*seen = both
			return ok
		}
		one, fewest := b.closedAt(t, o.outcomes[reading], all, c)
		if c.seen() {
			opened++
			high, most := b.openAt(all, c)
			one.High, fewest.High = max(high, one.Low), max(most, fewest.Low)
			if opened == 1 && c.opening.surely <= b.Window && one.against(about(float64(b.FailureRate), 0)) == Held {
				share = opensAt(float64(b.FailureRate), one)
			}
			join(&window, b.windowAt(all, c, share))
		}
		agree = join(&rate, one) && agree
		join(&minimum, fewest)
	}
	if len(traces) == 0 || opened == 0 && rate.Low == 0 {
		f.open("failure_rate", "%s", b.idle(traces))
		return
	}
	b.ruleRate(f, t, opened, rate, window, minimum, agree)
}

// opensAt is by which share the window is to be measured, where a first opening, before
// the window was full, came at one near that declared. One that came early tells the
// share. One that came late may have waited for calls of which nothing is declared.
func opensAt(declared float64, first Interval) Interval {
	exact := Interval{declared, declared}
	switch {
	case first.High < declared:
		return first
	case first.Low > declared:
		return exact.or(first)
	default:
		return exact
	}
}

func (b Breaker) ruleRate(f *finding, t *traffic, opened int, rate, window, minimum Interval, agree bool) {
	f.numbers.Add("failure_rate_pct", 100*rate.Low)
	says := fmt.Sprintf("opened when %s of the calls of the last %s had failed", shared.span(rate), short(b.Window))
	if opened == 0 {
		says = fmt.Sprintf("never opened, though %s of the calls of the last %s had failed", shared.print(rate.Low), short(b.Window))
	}
	settle := "let an episode begin before the window is full, so that nothing is forgotten yet when it opens"
	if !agree {
		settle = "its openings contradict one another, so that another window or another rule is behind them: say what window its " +
			"settings have"
	}
	f.rule(measure{name: "failure_rate", unit: shared, seen: rate, allowed: about(float64(b.FailureRate), 0), sample: opened,
		says: says, settle: settle})
	allowed := about(b.Window, 0)
	if gap := t.lasting(2); b.Buckets > 0 {
		allowed = Bound{float64(b.Window - b.Window/time.Duration(b.Buckets) - gap), float64(b.Window + gap)}
	}
	f.rule(measure{name: "window", unit: timed, seen: window, allowed: allowed, sample: opened,
		says:   fmt.Sprintf("the share is %s over %s", b.FailureRate, timed.span(window)),
		settle: "let calls succeed for longer than the window before an episode"})
	if b.Minimum > 0 {
		n := float64(b.Minimum)
		f.rule(measure{name: "minimum", seen: minimum, allowed: Bound{n, n}, sample: opened,
			says:   fmt.Sprintf("opened with %s calls in the window", counted.span(minimum)),
			settle: "let an episode begin before the window has seen so many calls"})
	}
}

// closedAt is what the failures say that the breaker knew of when it let a request
// through all the same: when each came the share was less, or the calls were too
// few. Those that it surely knew of by then count, and the failure itself.
func (b Breaker) closedAt(t *traffic, list []outcome, all tallies, c episodeTrace) (rate, minimum Interval) {
	rate, minimum = Interval{0, 1}, Interval{1, anything().High}
	at := c.until()
	if c.seen() {
		at = c.opening.notYet
	}
	at -= t.settles(c.from, at)
	for _, o := range list {
		if !o.bad || o.unsure || o.early <= c.base || o.late > at {
			continue
		}
		least, fewest := 1.0, anything().High // whatever the window was
		for _, since := range c.forgets() {
			for _, w := range b.lengths() {
				_, good := all.within(0, max(since, o.early-w), o.late)
				goodSure, _ := all.within(0, max(since, o.late-w), o.early)
				bad, _ := all.within(1, max(since, o.late-w), o.early)
				least, fewest = min(least, (bad+1)/(bad+1+good)), min(fewest, bad+1+goodSure)
			}
		}
		if fewest >= float64(max(b.Minimum, 1)) {
			rate.Low = max(rate.Low, least)
		}
		if least >= float64(b.FailureRate) {
			minimum.Low = max(minimum.Low, fewest+1)
		}
	}
	return rate, minimum
}

// openAt is what the opening says: the share was as large, and the calls as many.
func (b Breaker) openAt(all tallies, c episodeTrace) (rate, count float64) {
	for _, since := range c.forgets() {
		for _, w := range b.lengths() {
			share, n := all.share(w, since, c.opening.notYet, c.opening.surely)
			rate, count = max(rate, share.High), max(count, n.High)
		}
	}
	return rate, count
}

// windowAt is over how long the share of calls that had failed was in an interval when it
// opened; it has no end where all calls since the run began give it.
func (b Breaker) windowAt(all tallies, c episodeTrace, declared Interval) Interval {
	const steps = 2000
	seen := Interval{anything().High, 0}
	length := c.opening.surely
	for i := 1; i <= steps; i++ {
		w := length * time.Duration(i) / steps
		for _, since := range c.forgets() {
			share, count := all.share(w, since, c.opening.notYet, c.opening.surely)
			if _, meet := share.and(declared); meet && count.Low >= 1 && count.High >= float64(b.Minimum) {
				seen.Low, seen.High = min(seen.Low, float64(w)), max(seen.High, float64(w))
			}
		}
	}
	step := float64(length / steps)
	switch {
	case seen.Low > seen.High: // no window gives it: too few calls, or another share
		return anything()
	case seen.High >= float64(length)-step:
		seen.High = anything().High
	}
	return seen.widened(step, step)
}
