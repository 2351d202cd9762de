package allow

import (
	"net/netip"
	"testing"
)

func TestList(t *testing.T) {
	for _, c := range []struct {
		cidrs   []string
		addr    string
		allowed bool
	}{
		{Loopback, "127.0.0.1", true},
		{Loopback, "127.255.255.254", true},
		{Loopback, "::1", true},
		{Loopback, "::ffff:127.0.0.1", true}, // the same address in other clothes
		{Loopback, "::ffff:10.0.0.1", false},
		{Loopback, "10.0.0.1", false},
		{Loopback, "::1%lo", true}, // a zone says which way it is, and not where
		{[]string{"fe80::/10"}, "fe80::1%eth0", true},
		{Loopback, "0.0.0.0", false},
		{[]string{"10.0.0.0/8"}, "10.1.2.3", true},
		{[]string{"10.1.2.3/8"}, "10.9.9.9", true}, // host bits mean nothing
		{[]string{"10.0.0.0/8"}, "127.0.0.1", false},
		{nil, "127.0.0.1", false},
	} {
		list, err := Parse(c.cidrs)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Contains(netip.MustParseAddr(c.addr)); got != c.allowed {
			t.Errorf("%v: %s: %v, want %v", c.cidrs, c.addr, got, c.allowed)
		}
	}
	if _, err := Parse([]string{"127.0.0.1"}); err == nil {
		t.Error("an address that is no CIDR was taken")
	}
	if got := Only(netip.MustParseAddr("::ffff:10.0.0.1")).String(); got != "10.0.0.1/32" {
		t.Errorf("only 10.0.0.1 is %s", got)
	}
}
