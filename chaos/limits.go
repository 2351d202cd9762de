package chaos

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
)

// allowList is where load and links may go.
type allowList []netip.Prefix

func parseAllow(cidrs []string) (allowList, error) {
	if len(cidrs) == 0 {
		cidrs = []string{"127.0.0.0/8", "::1/128"}
	}
	var list allowList
	for _, text := range cidrs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("limits.allow: %w", err)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// check refuses an address outside the list.
func (l allowList) check(addr netip.AddrPort) error {
	ip := addr.Addr().Unmap()
	for _, p := range l {
		if p.Contains(ip) {
			return nil
		}
	}
	texts := make([]string, len(l))
	for i, p := range l {
		texts[i] = p.String()
	}
	return fmt.Errorf("%s is outside limits.allow (%s): nothing was sent to it", addr, strings.Join(texts, ", "))
}

// resolve turns host:port into the one address that is used from then on, so
// that a name cannot point elsewhere later. All addresses of the name must be
// allowed, not only the one taken: which one a resolver gives first is chance.
func (l allowList) resolve(ctx context.Context, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	var first netip.AddrPort
	for _, ip := range ips {
		addr := netip.AddrPortFrom(ip.Unmap(), uint16(number))
		if err := l.check(addr); err != nil {
			return netip.AddrPort{}, err
		}
		if !first.IsValid() || ip.Unmap().Is4() && !first.Addr().Is4() {
			first = addr // IPv4 first: "localhost" servers often listen there only
		}
	}
	return first, nil
}

// stopWatch ends a run whose callers suffer more than was agreed. Its zero
// value watches nothing.
type stopWatch struct {
	stops  []experiment.Stop
	shares map[string]float64 // of the arrivals, by route; "" is all
	bad    []int              // seconds in a row that each stop has been true
}

func newStopWatch(stops []experiment.Stop, routes []experiment.Route) *stopWatch {
	w := &stopWatch{stops: stops, bad: make([]int, len(stops)), shares: map[string]float64{"": 1}}
	var sum float64
	for _, r := range routes {
		sum += r.Weight
	}
	for _, r := range routes {
		w.shares[r.Name] = r.Weight / sum
	}
	return w
}

// hung is how many arrivals of a route must have been due in a second in which
// none ended, for that second to be a bad one and not an empty one.
const hung = 5

// tick returns why the run must stop, or "".
func (w *stopWatch) tick(t evidence.Tick) string {
	for i, stop := range w.stops {
		var ok, ended uint64
		for route, outcomes := range t.Routes {
			if stop.Route != "" && stop.Route != route {
				continue
			}
			ok += outcomes[load.OK]
			for _, n := range outcomes {
				ended += n
			}
		}
		share := float64(ok) / float64(max(ended, 1))
		switch {
		case ended == 0 && float64(t.Offered)*w.shares[stop.Route] < hung: // says nothing
			continue
		case share < float64(stop.SuccessBelow):
			w.bad[i]++
		default:
			w.bad[i] = 0
		}
		if need := int((stop.For + time.Second - 1) / time.Second); w.bad[i] >= max(need, 1) {
			route := stop.Route
			if route == "" {
				route = "all routes"
			}
			return fmt.Sprintf("limit: success of %s was below %s for %d s (in the last second %d of %d requests that ended)",
				route, stop.SuccessBelow, w.bad[i], ok, ended)
		}
	}
	return ""
}
