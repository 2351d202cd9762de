package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/stormctl/stormctl/chaos/lease"
)

// Network gives targets a network namespace and an address each. One more namespace
// routes between them, and between them and us:
//
//	ours            router                n1
//	sc-MARK ──veth── uplink (forwards)  v0 ──veth── eth0
//	  .254              .1            v1 ──veth── eth0   n2
//
// Only this machine reaches them: they have no way to anywhere else. The addresses
// are of 198.18.0.0/15, which is for the testing of networks (RFC 2544) and is routed
// nowhere.
type Network struct {
	Leased
	names  []string // of the targets
	subnet netip.Prefix
	mark   string
	claim  net.Listener // nobody else on this machine chooses subnet while it is open: until the network is forgotten
}

// The last bytes of addresses.
const (
	routerByte = 1
	oursByte   = 254
	firstByte  = 10
	mostHosts  = oursByte - firstByte
)

// NewNetwork chooses addresses for targets, of a /24 that no device of this machine
// has and no other run has chosen, and makes nothing.
func NewNetwork(names []string) (*Network, error) {
	if len(names) > mostHosts {
		return nil, fmt.Errorf("%d targets have a host of their own: at most %d can", len(names), mostHosts)
	}
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for range 100 {
		n := rand.IntN(512)
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + n>>8), byte(n), 0}), 24)
		if overlaps(subnet, taken) {
			continue
		}
		claim, err := claimed(subnet)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("claim %s for hosts of targets: %w", subnet, err)
		}
		return &Network{names: names, subnet: subnet, mark: strings.ToLower(mark()), claim: claim}, nil
	}
	return nil, errors.New("no addresses of 198.18.0.0/15 are free for hosts of targets")
}

// claimed claims a subnet for this process by an abstract socket, of which a network
// namespace has one of a name, as it has one device. It is gone with the process.
func claimed(subnet netip.Prefix) (net.Listener, error) {
	if runtime.GOOS != "linux" { // where there are neither such sockets nor hosts of targets
		return nil, nil
	}
	return net.Listen("unix", "@stormctl hosts "+subnet.String())
}

func overlaps(subnet netip.Prefix, taken []net.Addr) bool {
	return slices.ContainsFunc(taken, func(t net.Addr) bool {
		p, err := netip.ParsePrefix(t.String())
		return err == nil && subnet.Overlaps(p.Masked())
	})
}

// Subnet holds all addresses of the network.
func (n *Network) Subnet() netip.Prefix { return n.subnet }

// Ours is the address at which targets reach us.
func (n *Network) Ours() netip.Addr { return n.addr(oursByte) }

// Addr is the address of a target; it must be one of the network's.
func (n *Network) Addr(name string) netip.Addr {
	for i, other := range n.names {
		if other == name {
			return n.addr(firstByte + i)
		}
	}
	return netip.Addr{}
}

func (n *Network) addr(last int) netip.Addr {
	b := n.subnet.Addr().As4()
	b[3] = byte(last)
	return netip.AddrFrom4(b)
}

// Router is the namespace that routes, as ip-netns(8) names it.
func (n *Network) Router() string { return "stormctl-" + n.mark }

func (n *Network) namespace(name string) string { return n.Router() + "." + name }

// Path is the file of a target's namespace.
func (n *Network) Path(name string) string { return filepath.Join("/run/netns", n.namespace(name)) }

// Device is our end of the way to the router. The name of one has at most 15 bytes.
func (n *Network) Device() string { return "sc-" + n.mark }

// Inject makes the network; its heal removes it.
func (n *Network) Inject(ctx context.Context) (Heal, error) {
	var undo []lease.Undo
	for _, name := range n.names {
		undo = append(undo, lease.Undo{Kind: lease.Netns, Netns: n.namespace(name)})
	}
	undo = append(undo, lease.Undo{Kind: lease.Netns, Netns: n.Router()}, lease.Undo{Kind: lease.Device, Device: n.Device()})
	return n.underLease(ctx, undo, func(ctx context.Context, m *lease.Injection) error {
		for _, step := range n.steps() {
			if err := m.Run(ctx, step); err != nil {
				return err
			}
		}
		return nil
	})
}

// steps are what makes the network, in order: the namespaces, what is in each, and
// that the router forwards.
func (n *Network) steps() []lease.Command {
	batch := func(netns string, lines ...string) lease.Command {
		argv := []string{"ip"}
		if netns != "" {
			argv = append(argv, "-n", netns)
		}
		return lease.Command{Argv: append(argv, "-batch", "-"), Stdin: strings.Join(lines, "\n") + "\n"}
	}
	router, ours := n.addr(routerByte), n.Ours()
	root := []string{"netns add " + n.Router()}
	middle := []string{"link set dev lo up", fmt.Sprintf("addr add %s/32 dev uplink", router), "link set dev uplink up",
		fmt.Sprintf("route add %s/32 dev uplink", ours)}
	var ends []lease.Command
	for i, name := range n.names {
		addr, device := n.Addr(name), fmt.Sprintf("v%d", i)
		root = append(root, "netns add "+n.namespace(name))
		middle = append(middle, fmt.Sprintf("link add name %s type veth peer name eth0 netns %s", device, n.namespace(name)),
			fmt.Sprintf("addr add %s/32 dev %s", router, device), "link set dev "+device+" up",
			fmt.Sprintf("route add %s/32 dev %s", addr, device))
		ends = append(ends, batch(n.namespace(name), "link set dev lo up", fmt.Sprintf("addr add %s/32 dev eth0", addr),
			"link set dev eth0 up", fmt.Sprintf("route add %s/32 dev eth0", router),
			fmt.Sprintf("route add default via %s dev eth0", router)))
	}
	root = append(root, fmt.Sprintf("link add name %s type veth peer name uplink netns %s", n.Device(), n.Router()),
		fmt.Sprintf("addr add %s/32 dev %s", ours, n.Device()), "link set dev "+n.Device()+" up",
		fmt.Sprintf("route add %s/32 dev %s", router, n.Device()),
		fmt.Sprintf("route add %s via %s dev %s src %s", n.subnet, router, n.Device(), ours))
	steps := append([]lease.Command{batch("", root...), batch(n.Router(), middle...)}, ends...)
	return append(steps, lease.Command{Argv: lease.InNetns(n.Router(), "sh", "-c", forward)})
}

const forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"

func (n *Network) String() string { return "hosts of " + strings.Join(n.names, ", ") }

// Check makes what is needed in a namespace that is gone with the command.
func (n *Network) Check(ctx context.Context) error {
	for _, tool := range []string{"ip", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("host: own: %s is not installed (of the packages iproute2 and util-linux)", tool)
		}
	}
	const pair = "ip link add name sc0 type veth peer name sc1 && "
	if err := try(ctx, "", []string{"unshare", "--net", "sh", "-c", pair + forward}); err != nil {
		return fmt.Errorf("host: own: targets %s cannot be given network namespaces of their own "+
			"(it needs CAP_NET_ADMIN and CAP_SYS_ADMIN, as root has them, a kernel with veth, and /proc/sys that can be written): %w",
			strings.Join(n.names, ", "), err)
	}
	return nil
}

func (n *Network) Plan() Plan {
	names := strings.Join(n.names, ", ")
	return Plan{fmt.Sprintf("a network namespace and a veth pair for each of %s, and one that routes between them", names),
		"the namespaces and the veth pairs deleted"}
}
