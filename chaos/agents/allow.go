package agents

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/load"
)

// checkPlan says what an agent must not do of a plan, whatever the plan says: it sends to
// addresses that its own operator allows, and reads nothing of the machine for it.
func checkPlan(p *load.Plan, allow allow.List, loops int) error {
	switch {
	case p.Loops != loops:
		return fmt.Errorf("the plan has %d loops for it, and it runs %d", p.Loops, loops)
	case p.Closed != nil || p.Data != nil || p.Stats != nil:
		return errors.New("the plan has parts that no agent carries")
	case p.Run == 0 || len(p.Routes) == 0:
		return errors.New("the plan has no routes, or no number")
	}
	for _, r := range p.Routes {
		if r.TLS != nil {
			return fmt.Errorf("route %.60q has TLS settings, and an agent takes none of a plan", r.Name)
		}
		addr, err := netip.ParseAddrPort(r.Addr)
		if err != nil {
			return fmt.Errorf("route %.60q goes to %.80q, which is no ip:port", r.Name, r.Addr)
		}
		if !allow.Contains(addr.Addr()) {
			return fmt.Errorf("route %.60q goes to %s, which is not in the agent's own allow-list (%s): start it with --allow to let it",
				r.Name, addr, allow)
		}
	}
	return nil
}

// labelsOf are labels as they are written, in order.
func labelsOf(labels map[string]string) []string {
	texts := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, key+"="+labels[key])
	}
	return texts
}
