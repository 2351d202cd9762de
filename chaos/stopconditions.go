package chaos

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
)

// stopConditions end a run whose callers suffer more than was agreed. Its zero
// value watches nothing.
type stopConditions struct {
	stops  []experiment.Stop
	shares []float64 // of the arrivals, that each stop is about
	bad    []int     // seconds in a row that each stop has been true
}

// newStopConditions watches routes as they are sent.
func newStopConditions(stops []experiment.Stop, routes []experiment.Route) *stopConditions {
	w := &stopConditions{stops: stops, bad: make([]int, len(stops)), shares: make([]float64, len(stops))}
	var sum float64
	for _, r := range routes {
		sum += r.Weight
	}
	for i, stop := range stops {
		for _, r := range routes {
			if about(stop, r.Name) {
				w.shares[i] += r.Weight / sum
			}
		}
	}
	return w
}

// about reports whether a condition is about a route.
func about(stop experiment.Stop, route string) bool {
	return stop.Route == "" || evidence.Selects(stop.Route, route)
}

// hung is how many arrivals of a route must have been due in a second in which
// none ended, for that second to be a bad one and not an empty one.
const hung = 5

// tick returns why the run must stop, or "".
func (c *stopConditions) tick(t evidence.Tick) string {
	for i, stop := range c.stops {
		bad, figure, says := c.look(i, t)
		switch {
		case !says:
			continue
		case bad:
			c.bad[i]++
		default:
			c.bad[i] = 0
		}
		if need := int((stop.For + time.Second - 1) / time.Second); c.bad[i] >= max(need, 1) {
			return fmt.Sprintf("limit: %s for %d s (in the last second %s)", stop.Past(), c.bad[i], figure)
		}
	}
	return ""
}

// look reports whether a second was a bad one, and by which figure; says is false
// if the second says nothing.
func (c *stopConditions) look(i int, t evidence.Tick) (bad bool, figure string, says bool) {
	stop := c.stops[i]
	link := t.Links[stop.Link]
	switch stop.Kind() {
	case "success_below":
		return c.success(i, t)
	case "errors_above":
		share := float64(link.Errors) / float64(max(link.Ended, 1))
		return share > float64(stop.ErrorsAbove), fmt.Sprintf("%d of %d exchanges that ended", link.Errors, link.Ended), link.Ended > 0
	case "p99_above":
		return link.P99.Duration() > stop.P99Above, link.P99.Duration().Round(time.Millisecond).String(), link.Ended > 0
	case "in_flight_above":
		return link.InFlight > stop.InFlightAbove, fmt.Sprint(link.InFlight), true
	case "send_lag_above":
		return t.LagP99.Duration() > stop.SendLagAbove, t.LagP99.Duration().Round(time.Millisecond).String(), t.Ended > 0
	default:
		return t.CPU > stop.CPUAbove, fmt.Sprintf("%.2f", t.CPU), true
	}
}

func (c *stopConditions) success(i int, t evidence.Tick) (bad bool, figure string, says bool) {
	stop := c.stops[i]
	var ok, ended uint64
	for route, outcomes := range t.Routes {
		if !about(stop, route) {
			continue
		}
		ok += outcomes[load.OK]
		for _, n := range outcomes {
			ended += n
		}
	}
	says = ended > 0 || float64(t.Offered)*c.shares[i] >= hung
	share := float64(ok) / float64(max(ended, 1))
	return share < float64(stop.SuccessBelow), fmt.Sprintf("%d of %d requests that ended", ok, ended), says
}
