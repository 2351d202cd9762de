package compare

import (
	"cmp"
	"fmt"
	"math"
)

// fewestHistory is from how many earlier runs on their spread says something.
const fewestHistory = 3

// differences are what a metric changed by, on both scales of a tolerance. Positive
// ones are for the worse. open says why there are none; "" if there are.
type differences struct {
	relative estimate // of the logarithm; of a linear metric of its value
	absolute estimate // of the value
	open     string
}

// differ estimates the change of a metric.
func (d draws) differ(way string) differences {
	switch {
	case !d.usable(d.base) || !d.usable(d.now):
		return differences{open: "not measured in every run"}
	case way == Duet && d.name != ofTargets.name:
		return d.ofBlocks()
	case len(d.base) > 1 && len(d.now) > 1:
		floor := sameTimes * (d.mergedBase + d.mergedNow) / 2
		return d.floored(differences{
			relative: welch(d.worse(d.base), d.worse(d.now), sameTimes),
			absolute: welch(d.turned(d.base), d.turned(d.now), floor),
		})
	}
	return d.ofSpread()
}

// ofBlocks is of a duet: what both had in the same block is compared.
func (d draws) ofBlocks() differences {
	var relative, absolute []float64
	for i := range min(len(d.baseBlocks), len(d.nowBlocks)) {
		base, now := d.baseBlocks[i:i+1], d.nowBlocks[i:i+1]
		if d.usable(base) && d.usable(now) {
			relative = append(relative, d.worse(now)[0]-d.worse(base)[0])
			absolute = append(absolute, d.turned(now)[0]-d.turned(base)[0])
		}
	}
	if len(relative) < fewestBlocks {
		return differences{open: fmt.Sprintf("%d blocks with requests on both sides, and it takes %d: a longer load",
			len(relative), fewestBlocks)}
	}
	floor := sameTimes * (d.mergedBase + d.mergedNow) / 2
	return d.floored(differences{relative: paired(relative, sameTimes), absolute: paired(absolute, floor)})
}

// ofSpread is of one run, or of one on one side: how far it may be off is what runs
// of its kind differ by.
func (d draws) ofSpread() differences {
	history := d.history
	if !d.usable(history) {
		history = nil
	}
	base, now := d.worse(d.base), d.worse(d.now)
	groups := [][]float64{base, now}
	if len(history) >= fewestHistory {
		groups = append(groups, d.worse(history))
	}
	v, df := pooled(groups...)
	each := 1/float64(len(base)) + 1/float64(len(now))
	e := estimate{mean: mean(now) - mean(base), se: math.Hypot(math.Sqrt(v*each), sameTimes), df: df}
	if df == 0 {
		within, open := d.withinRuns()
		if open != "" {
			return differences{open: open}
		}
		e.se, e.df = math.Hypot(d.spread*math.Sqrt(each), within.se), math.Inf(1)
		if d.spread == 0 {
			e.df = within.df
		}
	}
	absolute := e
	if !d.linear { // to the first order: a small difference of logarithms is one of the values in parts of them
		at := (mean(d.base) + mean(d.now)) / 2
		absolute.mean, absolute.se = mean(d.turned(d.now))-mean(d.turned(d.base)), e.se*at
	}
	return d.floored(differences{relative: e, absolute: absolute})
}

// withinRuns is how far each of two runs may be off by its own blocks.
func (d draws) withinRuns() (e estimate, open string) {
	if d.name == ofTargets.name {
		return e, "one run does not show how much it differs by itself: several rounds, or --history"
	}
	if len(d.baseBlocks) < fewestBlocks || len(d.nowBlocks) < fewestBlocks || !d.usable(d.baseBlocks) || !d.usable(d.nowBlocks) {
		return e, fmt.Sprintf("fewer than %d blocks with requests: a longer load", fewestBlocks)
	}
	return welch(d.worse(d.baseBlocks), d.worse(d.nowBlocks), sameTimes), ""
}

// floored raises the standard error of a share to that of its counts, if it is less.
func (d draws) floored(all differences) differences {
	if d.linear {
		all.absolute = all.absolute.atLeast(math.Hypot(d.baseChance, d.nowChance))
		all.relative = all.absolute
	}
	return all
}

// tested is a row before it is ruled on.
type tested struct {
	row  Row
	of   draws
	by   differences
	is   bool    // it is ruled on
	p    float64 // of what was seen if it were no worse than its tolerance
	less float64 // of the same if it were no less
}

// test compares a metric with its tolerance.
func (d draws) test(way string, tolerances Tolerances) tested {
	none := Number(math.NaN())
	t := tested{of: d, by: d.differ(way), row: Row{Metric: d.name, Subject: d.subject, Unit: d.unit, Ruling: Undecided,
		Base: Number(d.mergedBase), Now: Number(d.mergedNow), Change: none, Low: none, High: none, Resolution: none}}
	if t.by.open != "" {
		t.row.Reason = t.by.open
	} else {
		t.row.Change = d.inPercent(t.by.relative.mean)
		low, high := d.inPercent(t.by.relative.low(alpha)), d.inPercent(t.by.relative.high(alpha))
		t.row.Low, t.row.High = min(low, high), max(low, high)
	}
	tolerance, gated := tolerances[d.name]
	if !gated {
		t.row.Reason = cmp.Or(t.row.Reason, "no tolerance")
		return t
	}
	t.row.Tolerance = &tolerance
	if d.beyond < fewestBeyond {
		t.row.Reason = fmt.Sprintf("%.0f of %d samples beyond it", math.Floor(d.beyond), fewestBeyond)
		return t
	}
	t.row.Gated = t.by.open == "" || d.name != ofTargets.name
	if t.by.open != "" {
		return t
	}
	t.is = true
	if !d.linear {
		at := math.Log1p(tolerance.Relative)
		t.p, t.less = t.by.relative.above(at), t.by.relative.below(at)
	} else {
		t.less = 1
	}
	if d.linear || tolerance.Absolute > 0 {
		t.p = max(t.p, t.by.absolute.above(tolerance.Absolute))
		t.less = min(t.less, t.by.absolute.below(tolerance.Absolute))
	}
	return t
}

// inPercent is a difference for the worse as a change of the value.
func (d draws) inPercent(difference float64) Number {
	if d.better {
		difference = -difference
	}
	if d.linear {
		return Number(100 * difference)
	}
	return Number(100 * math.Expm1(difference))
}

// rule rules on all that is tested, together.
func rule(all []tested) []Row {
	var p []float64
	var at []int
	for i, t := range all {
		if t.is {
			p, at = append(p, t.p), append(at, i)
		}
	}
	beyond := holm(p, alpha)
	rows := make([]Row, len(all))
	for i, t := range all {
		rows[i] = t.row
	}
	for k, i := range at {
		t, row := all[i], &rows[i]
		row.Resolution = t.resolution(alpha / float64(len(p)))
		switch {
		case beyond[k]:
			row.Ruling, row.Reason = Worse, row.Span()+", beyond its tolerance of "+row.Allowed()
		case t.less <= alpha:
			row.Ruling, row.Reason = NotWorse, row.Span()+", within its tolerance of "+row.Allowed()
		case t.p <= alpha:
			row.Reason = fmt.Sprintf("%s, beyond its tolerance of %s if it were the only row; of %d one may be by chance",
				row.Span(), row.Allowed(), len(p))
		default:
			row.Reason = fmt.Sprintf("%s, on both sides of its tolerance of %s; %s would have been found",
				row.Span(), row.Allowed(), row.Found())
		}
	}
	return rows
}

// resolution is the least change for the worse that is found beyond both halves of
// the tolerance, nine times in ten, as part of so many rows.
func (t tested) resolution(alpha float64) Number {
	absolute := t.by.absolute.found(t.row.Tolerance.Absolute, alpha)
	if t.of.linear {
		return Number(100 * absolute)
	}
	relative := math.Expm1(t.by.relative.found(math.Log1p(t.row.Tolerance.Relative), alpha))
	if t.row.Tolerance.Absolute == 0 {
		return Number(100 * relative)
	}
	return Number(100 * max(relative, absolute/mean(t.of.base)))
}
