package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Skew claims that calls are spread evenly over shards or instances: the busiest gets little more than
// the mean.
//
// It is about calls that began before the first fault, for one that is lost leaves its part to the others. They are a
// sample of what the system does: the part that each link gets in the long run lies in its score interval, and
// by a chi-square test it is told whether chance alone would spread them as unevenly.
type Skew struct {
	Links  Links   `yaml:"links"`   // The links that lead to the shards, two at least.
	Route  string  `yaml:"route"`   // The route whose calls count; absent means all calls, also those without the id of a request.
	AtMost float64 `yaml:"at_most"` // At most so many times the mean goes to the busiest: 1 is as even as can be.
}

// leastShard is how many calls it takes for each link to speak of a spread.
const leastShard = 50

func (c Skew) String() string {
	return fmt.Sprintf("skew of %s: the busiest gets at most %g times the mean", c.Links, c.AtMost)
}

// Judge implements Claim.
func (c Skew) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "skew")
	f.over(c.Links...)
	until := min(firstInjection(run), horizon(run))
	f.rests(0, until, 0)
	if c.Route != "" && !hasRoute(run, c.Route) {
		f.open("", noRoute, c.Route)
		return f.verdict()
	}
	calls, missing := c.callsOf(run, until)
	if missing != "" {
		f.open("", noLink, missing)
		return f.verdict()
	}
	total, busiest := 0, 0
	for i, list := range calls {
		total += len(list)
		if len(list) > len(calls[busiest]) {
			busiest = i
		}
	}
	f.numbers.Add("calls", float64(total))
	if need := leastShard * len(calls); total < need {
		f.open("at_most", "only %s began before the first fault, and at least %d are needed: let the first fault come later, or offer more",
			were(total, "call", "calls"), need)
		return f.verdict()
	}
	mean := float64(total) / float64(len(calls))
	chance := evenByChance(calls, mean)
	f.numbers.Add("busiest_over_mean", float64(len(calls[busiest]))/mean)
	f.numbers.Add("chance_pct", 100*chance)
	says := fmt.Sprintf("%q got %.3g times the mean: %d of %d calls", c.Links[busiest], float64(len(calls[busiest]))/mean,
		len(calls[busiest]), total)
	if chance > 0.01 {
		says += fmt.Sprintf(", and chance alone spreads them as unevenly in %s of all runs", shared.print(chance))
	} else {
		says += ", which is no chance"
	}
	f.rule(measure{name: "at_most", unit: times, seen: spreadOf(calls, total), allowed: atMost(c.AtMost), sample: total,
		ids:  firstCallers(calls[busiest]),
		says: says, settle: "more calls would tell: a longer run, or a higher rate"})
	f.show(func() Exhibit { return c.spreadOver(calls, until) })
	return f.verdict()
}

// callsOf are the calls of each link that count; missing is a link that the run does not have.
func (c Skew) callsOf(run *evidence.Run, until time.Duration) (calls [][]*evidence.Exchange, missing string) {
	for _, name := range c.Links {
		link := run.Links[name]
		if link == nil {
			return nil, name
		}
		var list []*evidence.Exchange
		for i, window := 0, link.Window(0, until); i < len(window); i++ {
			x := &window[i]
			if c.Route != "" {
				if s, known := run.Sample(x.ID); !known || routeName(run, s.Route) != c.Route {
					continue
				}
			}
			list = append(list, x)
		}
		calls = append(calls, list)
	}
	return calls, ""
}

// spreadOf is what the busiest gets in the long run, in parts of the mean. It may be any of them.
func spreadOf(calls [][]*evidence.Exchange, total int) (seen Interval) {
	k := float64(len(calls))
	seen.Low = 1 // the busiest of several has the mean at least
	for _, list := range calls {
		low, high := scoreInterval(len(list), total, sureToRefute)
		seen = Interval{max(seen.Low, k*low), max(seen.High, k*high)}
	}
	return seen
}

// evenByChance is how likely a spread at least as uneven is if each call goes to any link with the same
// chance: the upper end of the chi-square distribution.
func evenByChance(calls [][]*evidence.Exchange, mean float64) float64 {
	x := 0.0
	for _, list := range calls {
		x += (float64(len(list)) - mean) * (float64(len(list)) - mean) / mean
	}
	return chiSquareTail(x, len(calls)-1)
}

// chiSquareTail is the chance that the sum of the squares of so many standard normal figures is x or more.
// It is the regularised upper incomplete gamma function Q(k/2, x/2): by its finite sum, which begins
// with e^(−x/2) for an even k and with erfc(√(x/2)) for an odd one.
func chiSquareTail(x float64, k int) float64 {
	if x <= 0 || k <= 0 {
		return 1
	}
	h := x / 2
	sum, a := math.Exp(-h), 1.0
	if k%2 == 1 {
		sum, a = math.Erfc(math.Sqrt(h)), 0.5
	}
	for ; a < float64(k)/2; a++ {
		logGamma, _ := math.Lgamma(a + 1) // Q(a+1, h) = Q(a, h) + h^a·e^−h / Γ(a+1)
		sum += math.Exp(a*math.Log(h) - h - logGamma)
	}
	return min(1, sum)
}

func firstCallers(calls []*evidence.Exchange) (ids []uint64) {
	for _, x := range calls[:min(len(calls), MaxIDs)] {
		ids = append(ids, x.ID)
	}
	return ids
}

// spreadOver is what the busiest link got of each stretch, in parts of the mean.
func (c Skew) spreadOver(calls [][]*evidence.Exchange, until time.Duration) Exhibit {
	step := max(time.Second, until/60)
	counts := make([][]int, until/step)
	if len(counts) == 0 {
		return Exhibit{}
	}
	whole, most := 0, 0
	for i := range counts {
		counts[i] = make([]int, len(calls))
	}
	for i, list := range calls {
		whole, most = whole+len(list), max(most, len(list))
		for _, x := range list {
			if at := int(x.Begin / step); at < len(counts) {
				counts[at][i]++
			}
		}
	}
	points := []Point{}
	for i, each := range counts {
		sum, top := 0, 0
		for _, n := range each {
			sum, top = sum+n, max(top, n)
		}
		if sum > 0 {
			points = append(points, Point{evidence.Seconds(time.Duration(i)*step + step/2), float64(top*len(calls)) / float64(sum)})
		}
	}
	return Exhibit{Kind: KindGrowth, Part: "at_most",
		Title: fmt.Sprintf("what the busiest of %s got of each %s, in parts of the mean, and at most %g is claimed of the whole", c.Links,
			short(step), c.AtMost),
		Growth: &Trend{Of: "calls of the busiest, over the mean", Unit: unitNames[times], Points: points,
			At0: float64(most*len(calls)) / float64(whole), Allowed: times.inFile(atMost(c.AtMost))}}
}
