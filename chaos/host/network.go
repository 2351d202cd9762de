package host

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Partition drops packets in a network namespace by an nftables table of its
// own, before any other rule sees them.
type Partition struct {
	Leased
	Netns string
	Peers []netip.Prefix // nil is everybody but the namespace's own loopback
	In    bool           // what comes from them is lost
	Out   bool           // what goes to them is lost
}

func (f Partition) Inject(ctx context.Context) (Heal, error) {
	if err := f.Check(ctx); err != nil { // the namespace may have gone since
		return nil, err
	}
	return f.filter(ctx, f.Netns, f.rules)
}

// filter puts rules into a namespace, in a table of their own.
func (l Leased) filter(ctx context.Context, netns string, rules func(table string) string) (Heal, error) {
	table := "stormctl_" + strings.ToLower(mark())
	undo := lease.Undo{Kind: lease.Table, Netns: netns, Name: table}
	return l.underLease(ctx, []lease.Undo{undo}, func(ctx context.Context, m *lease.Injection) error {
		return m.Run(ctx, lease.Command{Argv: lease.InNetns(netns, "nft", "-f", "-"), Stdin: rules(table)})
	})
}

// rules is one transaction of nft. Forwarded packets are lost as well, so that a
// namespace that routes between others can be cut.
func (f Partition) rules(table string) string {
	var out strings.Builder
	chain := func(hook string, in, out bool, b *strings.Builder) {
		fmt.Fprintf(b, "  chain %s {\n    type filter hook %s priority -400; policy accept;\n", hook, hook)
		if in {
			b.WriteString(f.drop("saddr", "iifname"))
		}
		if out {
			b.WriteString(f.drop("daddr", "oifname"))
		}
		b.WriteString("  }\n")
	}
	fmt.Fprintf(&out, "table inet %s {\n", table)
	if f.In {
		chain("input", true, false, &out)
	}
	if f.Out {
		chain("output", false, true, &out)
	}
	chain("forward", f.In, f.Out, &out)
	out.WriteString("}\n")
	return out.String()
}

func (f Partition) drop(address, device string) string {
	if len(f.Peers) == 0 {
		return fmt.Sprintf("    %s != \"lo\" drop\n", device)
	}
	var b strings.Builder
	for _, p := range f.Peers {
		family := "ip"
		if p.Addr().Is6() {
			family = "ip6"
		}
		fmt.Fprintf(&b, "    %s %s %s drop\n", family, address, p)
	}
	return b.String()
}

func (f Partition) String() string {
	peers := "everybody"
	if len(f.Peers) > 0 {
		peers = unit.List(f.Peers, ", ", netip.Prefix.String)
	}
	direction := "from and to"
	switch {
	case !f.Out:
		direction = "from"
	case !f.In:
		direction = "to"
	}
	return fmt.Sprintf("net_partition %s %s in %s", direction, peers, f.Netns)
}

// Check lets nft check the rules without loading them.
func (f Partition) Check(ctx context.Context) error {
	if err := checkNetns(f.Netns, "ip", "nft"); err != nil {
		return err
	}
	if err := try(ctx, f.rules("stormctl_check"), lease.InNetns(f.Netns, "nft", "-c", "-f", "-")); err != nil {
		return fmt.Errorf("nftables cannot be used in network namespace %s "+
			"(it needs a kernel with nf_tables, and CAP_NET_ADMIN and CAP_SYS_ADMIN): %w", f.Netns, err)
	}
	return nil
}

func (f Partition) Plan() Plan {
	return Plan{fmt.Sprintf("a table inet stormctl_... of nftables in network namespace %s", f.Netns), "the table deleted"}
}

// Rate bounds what leaves a device, by tc's token bucket (tc-tbf(8)).
type Rate struct {
	Leased
	Netns  string
	Device string
	Limit  unit.Size // bytes per second
}

// handle marks a queueing discipline as ours.
const handle = "5c01:"

func (f Rate) Inject(ctx context.Context) (Heal, error) {
	if err := f.Check(ctx); err != nil {
		return nil, err
	}
	undo := lease.Undo{Kind: lease.Qdisc, Netns: f.Netns, Device: f.Device, Name: handle}
	return f.underLease(ctx, []lease.Undo{undo}, func(ctx context.Context, m *lease.Injection) error {
		return m.Run(ctx, lease.Command{Argv: append([]string{"tc", "-n", f.Netns}, f.add(f.Device)...)})
	})
}

// add is what tc is told. The bucket holds 10 ms of the rate, and two of the
// largest packets of a veth at least: what is larger than the bucket is lost.
// What has waited for 400 ms is lost too.
func (f Rate) add(device string) []string {
	burst := max(int64(f.Limit)/100, 2*65536)
	return []string{"qdisc", "add", "dev", device, "root", "handle", handle, "tbf",
		"rate", strconv.FormatInt(int64(f.Limit), 10) + "bps", "burst", strconv.FormatInt(burst, 10), "latency", "400ms"}
}

func (f Rate) String() string {
	return fmt.Sprintf("net_rate %v/s out of %s in %s", f.Limit, f.Device, f.Netns)
}

// Check tries the discipline on the loopback of a namespace that is gone with
// the command, because tc cannot check without doing.
func (f Rate) Check(ctx context.Context) error {
	if err := checkNetns(f.Netns, "ip", "tc", "unshare"); err != nil {
		return err
	}
	var shown bytes.Buffer
	if err := tryTo(ctx, "", []string{"tc", "-n", f.Netns, "qdisc", "show", "dev", f.Device}, &shown); err != nil {
		return fmt.Errorf("device %s of network namespace %s: %w", f.Device, f.Netns, err)
	}
	if other := shaped(shown.String()); other != "" {
		return fmt.Errorf("device %s of network namespace %s has a queueing discipline already (%s): it would be lost", f.Device,
			f.Netns, other)
	}
	if err := try(ctx, "", append([]string{"unshare", "--net", "tc"}, f.add("lo")...)); err != nil {
		return fmt.Errorf("tc cannot bound a rate (it needs a kernel with sch_tbf, and CAP_NET_ADMIN): %w", err)
	}
	return nil
}

// shaped is the root discipline that was set on a device before; "" if it is
// the kernel's own, whose handle is 0:.
func shaped(shown string) string {
	for line := range strings.Lines(shown) {
		if w := strings.Fields(line); len(w) > 3 && strings.Contains(line, " root ") && w[2] != "0:" {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func (f Rate) Plan() Plan {
	return Plan{fmt.Sprintf("the queueing discipline of %s in network namespace %s", f.Device, f.Netns), "the discipline deleted"}
}

func checkNetns(netns string, tools ...string) error {
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed (of the packages iproute2, nftables and util-linux)", tool)
		}
	}
	if !lease.NetnsExists(netns) {
		return fmt.Errorf("there is no network namespace %s (ip netns add %s)", netns, netns)
	}
	return nil
}

func try(ctx context.Context, stdin string, argv []string) error {
	return tryTo(ctx, stdin, argv, nil)
}

func tryTo(ctx context.Context, stdin string, argv []string, stdout *bytes.Buffer) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
