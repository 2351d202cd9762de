package host

import (
	"context"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// talk starts a server in b and returns how to reach it from a.
func talk(t *testing.T, a, b string) func() error {
	t.Helper()
	c := play(t, "tcp", []string{"ADDR=10.77.0.2:7777"}, "ip", "netns", "exec", b)
	if got := c.out.next(t); got != "10.77.0.2:7777" {
		t.Fatal(got)
	}
	return func() error {
		return exec.Command("ip", "netns", "exec", a, "bash", "-c",
			"exec 3<>/dev/tcp/10.77.0.2/7777; read -t 1 -n 5 -u 3 x; [ \"$x\" = hello ]").Run()
	}
}

// within reports whether it works, without waiting for TCP to give up.
func within(d time.Duration, do func() error) bool {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err == nil
	case <-time.After(d):
		return false
	}
}

func TestPartitionCutsAndHeals(t *testing.T) {
	a, b, _ := netns(t)
	hello := talk(t, a, b)
	if !within(5*time.Second, hello) {
		t.Fatal("they cannot talk to begin with")
	}
	peers := []netip.Prefix{netip.MustParsePrefix("10.77.0.2/32"), netip.MustParsePrefix("fd00::/8")}
	for _, f := range []Partition{
		{Netns: a, In: true, Out: true},
		{Netns: a, Peers: peers, In: true, Out: true},
		{Netns: a, Peers: peers, In: true},
		{Netns: a, Peers: peers, Out: true},
		{Netns: b, In: true},
	} {
		f.Leased = held(t)
		heal := inject(t, f)
		if within(time.Second, hello) {
			t.Errorf("%s: they still talk", f)
		}
		heal()
		if out := rules(t, f.Netns); strings.Contains(out, "stormctl") {
			t.Errorf("%s: a table is left:\n%s", f, out)
		}
		if !within(10*time.Second, hello) {
			t.Errorf("%s: they do not talk after the heal", f)
		}
	}
	other := Partition{Leased: held(t), Netns: a, Peers: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}, In: true, Out: true}
	inject(t, other)
	if !within(5*time.Second, hello) {
		t.Error("others are cut off than those that were named")
	}
}

func rules(t *testing.T, netns string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", netns, "nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// 256 KiB/s: a megabyte takes seconds, and does not without.
func TestRateBoundsWhatLeaves(t *testing.T) {
	a, b, device := netns(t)
	const size = 1 << 20
	send := func() time.Duration {
		l := exec.Command("ip", "netns", "exec", b, "bash", "-c", "exec 2>&1; timeout 60 python3 -c '"+
			"import socket\ns=socket.create_server((\"10.77.0.2\", 7778))\nprint(\"up\", flush=True)\nc,_=s.accept()\nn=0\nwhile True:\n  d=c.recv(65536)\n  if not d: break\n  n+=len(d)\nprint(n, flush=True)'")
		out, err := l.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		up := make([]byte, 3)
		if _, err := io.ReadFull(out, up); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if text, err := exec.Command("ip", "netns", "exec", a, "bash", "-c", "head -c 1048576 /dev/zero > /dev/tcp/10.77.0.2/7778").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if rest, _ := io.ReadAll(out); !strings.Contains(string(rest), "1048576") {
			t.Fatalf("it got %s", rest)
		}
		_ = l.Wait()
		return time.Since(begin)
	}
	free := send()
	f := Rate{held(t), a, device, 256 << 10}
	heal := inject(t, f)
	// The bucket passes its 128 KiB at once: 7/8 of a MiB at 256 KiB/s is 3.5 s.
	if took := send(); took < 3*time.Second {
		t.Errorf("%d bytes took %v at 256 KiB/s", size, took)
	}
	if err := f.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "has a queueing discipline already") {
		t.Errorf("a device that is shaped: %v", err)
	}
	heal()
	if took := send(); took > 3*time.Second && took > 3*free {
		t.Errorf("after the heal it took %v, before the fault %v", took, free)
	}
	if err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNetworkFaultsNameWhatIsMissing(t *testing.T) {
	for _, row := range []struct {
		fault Fault
		path  string
		want  string
	}{
		{Partition{Netns: "none-of-this-name", In: true}, "", "there is no network namespace none-of-this-name (ip netns add none-of-this-name)"},
		{Rate{Netns: "none-of-this-name", Device: "eth0", Limit: 1}, "", "there is no network namespace"},
		{Partition{Netns: "x", In: true}, "/nowhere", "ip is not installed (of the packages iproute2, nftables and util-linux)"},
	} {
		if row.path != "" {
			t.Setenv("PATH", row.path)
		}
		if err := row.fault.Check(context.Background()); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %s", row.fault, err, row.want)
		}
	}
}

func TestRateNamesTheDeviceThatIsNotThere(t *testing.T) {
	a, _, _ := netns(t)
	err := Rate{Netns: a, Device: "nothing0", Limit: 1000}.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "device nothing0 of network namespace "+a) {
		t.Error(err)
	}
}
