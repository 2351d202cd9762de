package host

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Between drops packets between groups of targets that have hosts of their own. The
// rules stand in the namespace that routes between them, in one table: all are cut at
// the same moment, and healed at the same.
type Between struct {
	Leased
	Router string         // the namespace; "" in a plan, where it is not known yet
	Groups [][]netip.Addr // no packet goes from one to another
	Names  [][]string     // the same, for people
}

func (f Between) Inject(ctx context.Context) (Heal, error) {
	return f.filter(ctx, f.Router, f.rules)
}

// rules is one transaction of nft.
func (f Between) rules(table string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "table inet %s {\n  chain forward {\n    type filter hook forward priority -400; policy accept;\n", table)
	for i, from := range f.Groups {
		for k, to := range f.Groups {
			if i != k {
				fmt.Fprintf(&out, "    ip saddr { %s } ip daddr { %s } drop\n", addrList(from), addrList(to))
			}
		}
	}
	out.WriteString("  }\n}\n")
	return out.String()
}

func addrList(addrs []netip.Addr) string {
	return unit.List(addrs, ", ", netip.Addr.String)
}

func (f Between) String() string {
	return "net_partition between " + unit.List(f.Names, " and ", func(g []string) string { return strings.Join(g, ", ") })
}

// Check lets nft check rules like these, in a namespace that is gone with it: the one
// that they are for is made when the run begins.
func (f Between) Check(ctx context.Context) error {
	for _, tool := range []string{"nft", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed (of the packages nftables and util-linux)", tool)
		}
	}
	sample := Between{Groups: [][]netip.Addr{{netip.IPv4Unspecified()}, {netip.IPv4Unspecified()}}}
	if err := try(ctx, sample.rules("stormctl_check"), []string{"unshare", "--net", "nft", "-c", "-f", "-"}); err != nil {
		return fmt.Errorf("nftables cannot be used in a network namespace of our own "+
			"(it needs a kernel with nf_tables, and CAP_NET_ADMIN and CAP_SYS_ADMIN): %w", err)
	}
	return nil
}

func (f Between) Plan() Plan {
	return Plan{"a table inet stormctl_... of nftables in the network namespace that routes between targets with host: own",
		"the table deleted"}
}
