package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// powerOfRegion asks whether a region is lost for long enough, with enough callers from
// it and from the others.
func (c Failover) powerOfRegion(p Plan) []Weakness {
	w := &weighing{Plan: p}
	var losses []PlannedFault
	for _, f := range p.Faults {
		if c.picks(f.Injection) {
			losses = append(losses, f)
		}
	}
	if len(losses) == 0 {
		w.weak("", "chaos", "add one like {at: 5s, for: 10s, region_loss: {region: "+c.Region+"}}", "region %s is not lost", c.Region)
		return w.found
	}
	due := func(names []string, from, to time.Duration) (n float64) {
		for _, name := range names {
			n += p.calls(nil, name, from, to)
		}
		return n
	}
	own, since := c.selects(), 0.0
	for _, f := range losses {
		if lasts := f.Healed - f.Injected; lasts < c.Within+backFor {
			w.weak("within", w.at(f, "for"), "let it last "+roundUp(c.Within+backFor)+" or longer",
				"region %s is lost for %s, and %s and a second more are needed", c.Region, short(lasts), short(c.Within))
		}
		if n := due(own, f.Injected, min(f.Healed, f.Injected+backFor)); n < 1.2*backLeast {
			w.weak("within", p.RateKey, "offer more, or have more of it come from "+c.Region,
				"%s of callers from %s due in a second after the loss, and at least %d are needed", dueText(n), c.Region, backLeast)
		}
		since += due(own, f.Injected+c.Within, f.Healed)
	}
	longest := last(losses)
	if need := 1.2 * neededFor(float64(c.Success)); c.Success > 0 && since < need {
		w.weak("success", w.at(longest, "for"), "let it last longer, or offer more",
			"%s of callers from %s due once they are to be served again, and at least %.0f are needed", dueText(since), c.Region, need)
	}
	if c.OtherRegions != "" {
		c.weighOthers(w, losses, due)
	}
	return w.found
}

// neededFor is how many requests it takes to show a share, if all of them succeed:
// Wilson's lower bound for n of n is n/(n+z²).
func neededFor(share float64) float64 {
	if share >= 1 {
		return leastLost
	}
	return max(leastLost, math.Ceil(sureToHold*sureToHold*share/(1-share)))
}

// weighOthers asks for callers from each other region, before and meanwhile.
func (c Failover) weighOthers(w *weighing, losses []PlannedFault, due func([]string, time.Duration, time.Duration) float64) {
	first, index := w.first()
	others := slices.DeleteFunc(w.regions(), func(region string) bool { return region == c.Region })
	if len(others) == 0 {
		w.weak("other_regions", "load.from", "add another one", "arrivals come from %s alone", c.Region)
	}
	for _, region := range others {
		names := []string{evidence.FromRegion("", region)}
		before, during := due(names, 0, first), 0.0
		for _, f := range losses {
			during += due(names, f.Injected, f.Healed)
		}
		if before < 1.2*leastBaseline {
			w.weak("other_regions", fmt.Sprintf("chaos[%d].at", index), "inject it later, or offer more",
				"%s of callers from %s due before the first fault, and at least %d are needed for a baseline", dueText(before), region,
				leastBaseline)
		}
		if need := 1.2 * neededFor(keptShare); during < need {
			f := last(losses)
			w.weak("other_regions", w.at(f, "for"), w.longer(f, during, need),
				"%s of callers from %s due while %s is lost, and at least %.0f are needed", dueText(during), region, c.Region, need)
		}
	}
}

// regions are those that arrivals come from.
func (p Plan) regions() (all []string) {
	for _, r := range p.Routes {
		if _, region := evidence.SplitRoute(r.Name); region != "" && !slices.Contains(all, region) {
			all = append(all, region)
		}
	}
	return all
}
