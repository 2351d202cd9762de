package host

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// network makes hosts for targets of these names; it skips where that cannot be done.
func network(t *testing.T, names ...string) *Network {
	t.Helper()
	n, err := NewNetwork(names)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Check(t.Context()); err != nil {
		t.Skip(err)
	}
	n.Leased = held(t)
	heal, err := n.Inject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := heal(context.Background()); err != nil {
			t.Error(err)
		}
		if left := traces(n); left != "" {
			t.Errorf("left: %s", left)
		}
	})
	return n
}

// traces is what there is of a network.
func traces(n *Network) string {
	names, _ := exec.Command("ip", "netns", "list").Output()
	devices, _ := exec.Command("ip", "link", "show").Output()
	var found []string
	for line := range strings.Lines(string(names) + string(devices)) {
		if strings.Contains(line, n.mark) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, "; ")
}

// hello asks a server that says so, from within a namespace or, for "", from ours.
func hello(t *testing.T, n *Network, from, to string) func() error {
	script := "exec 3<>/dev/tcp/" + n.Addr(to).String() + "/7777; read -t 1 -n 5 -u 3 x; [ \"$x\" = hello ]"
	return func() error {
		if from == "" {
			return exec.CommandContext(t.Context(), "bash", "-c", script).Run()
		}
		return exec.CommandContext(t.Context(), "ip", "netns", "exec", n.namespace(from), "bash", "-c", script).Run()
	}
}

// serve has a target say hello.
func serve(t *testing.T, n *Network, name string) {
	t.Helper()
	addr := n.Addr(name).String() + ":7777"
	c := play(t, "tcp", []string{"ADDR=" + addr}, "ip", "netns", "exec", n.namespace(name))
	if got := c.out.next(t); got != addr {
		t.Fatal(got)
	}
}

func TestHostsReachEachOther(t *testing.T) {
	n := network(t, "n1", "n2", "n3")
	for _, name := range []string{"n1", "n2", "n3"} {
		serve(t, n, name)
	}
	links := [][2]string{{"", "n1"}, {"", "n2"}, {"", "n3"}, {"n1", "n2"}, {"n1", "n3"}, {"n2", "n1"}, {"n2", "n3"}, {"n1", "n1"}}
	for _, l := range links {
		if !within(5*time.Second, hello(t, n, l[0], l[1])) {
			t.Errorf("%s from %q cannot be reached", l[1], l[0])
		}
	}
	// They reach us.
	l, err := net.Listen("tcp", n.Ours().String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if out, err := exec.Command("ip", "netns", "exec", n.namespace("n1"), "bash", "-c",
		"exec 3<>/dev/tcp/"+n.Ours().String()+"/"+port).CombinedOutput(); err != nil {
		t.Errorf("we are not reached: %v: %s", err, out)
	}

	cut := Between{Leased: held(t), Router: n.Router(), Names: [][]string{{"n1"}, {"n2", "n3"}},
		Groups: [][]netip.Addr{{n.Addr("n1")}, {n.Addr("n2"), n.Addr("n3")}}}
	heal := inject(t, cut)
	for _, l := range links {
		parted := (l[0] == "n1") != (l[1] == "n1") && l[0] != ""
		if reached := within(time.Second, hello(t, n, l[0], l[1])); reached == parted {
			t.Errorf("%s: %s from %q: reached %v", cut, l[1], l[0], reached)
		}
	}
	heal()
	for _, l := range links {
		if !within(10*time.Second, hello(t, n, l[0], l[1])) {
			t.Errorf("after the heal %s from %q cannot be reached", l[1], l[0])
		}
	}
}

func TestHostsTakeNoAddressThatIsThere(t *testing.T) {
	at := netip.MustParsePrefix("198.18.7.0/24")
	for _, addr := range []string{"198.18.7.3/24", "198.18.0.1/15", "198.18.7.254/32"} {
		_, taken, err := net.ParseCIDR(addr)
		if err != nil {
			t.Fatal(err)
		}
		if !overlaps(at, []net.Addr{taken}) {
			t.Errorf("%s overlaps %s", addr, at)
		}
	}
	_, other, _ := net.ParseCIDR("198.18.8.1/24")
	if overlaps(at, []net.Addr{other}) {
		t.Error("another network overlaps")
	}
	if _, err := NewNetwork(make([]string, mostHosts+1)); err == nil {
		t.Error("there is room for more than a network has")
	}
}

// Of runs that begin at the same moment none has made its devices yet.
func TestNetworksOfManyRunsDiffer(t *testing.T) {
	seen := map[netip.Prefix]*Network{}
	for range 100 { // of 512, so that two of them would be the same
		n, err := NewNetwork([]string{"n1"})
		if err != nil {
			t.Fatal(err)
		}
		if seen[n.Subnet()] != nil {
			t.Fatalf("%s was chosen twice", n.Subnet())
		}
		seen[n.Subnet()] = n
	}
	runtime.KeepAlive(seen)
}

func TestHostsNeedTheRight(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a right up")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip(err)
	}
	n, err := NewNetwork([]string{"n1"})
	if err != nil {
		t.Fatal(err)
	}
	old := os.Getenv("PATH")
	dir := t.TempDir()
	// unshare, as a process without the right has it.
	script := "#!/bin/sh\nPATH=" + old + "\nexec setpriv --bounding-set -net_admin,-sys_admin --inh-caps -net_admin,-sys_admin unshare \"$@\"\n"
	if err := os.WriteFile(dir+"/unshare", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+old)
	for _, f := range []Fault{n, Between{}} {
		if err := f.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("%T: %v", f, err)
		}
	}
}
