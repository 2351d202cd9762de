package testbed

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestAllowList(t *testing.T) {
	for _, c := range []struct {
		allow   []string
		addr    string
		allowed bool
	}{
		{nil, "127.0.0.1:80", true},
		{nil, "127.255.255.254:80", true},
		{nil, "[::1]:80", true},
		{nil, "[::ffff:127.0.0.1]:80", true}, // the same address in other clothes
		{nil, "[::ffff:10.0.0.1]:80", false},
		{nil, "10.0.0.1:80", false},
		{nil, "[::1%lo]:80", true}, // a zone says which way it is, and not where
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:80", true},
		{nil, "0.0.0.0:80", false},
		{[]string{"10.0.0.0/8"}, "10.1.2.3:80", true},
		{[]string{"10.1.2.3/8"}, "10.9.9.9:80", true}, // host bits mean nothing
		{[]string{"10.0.0.0/8"}, "127.0.0.1:80", false},
	} {
		list, err := parseAllow(c.allow)
		if err != nil {
			t.Fatal(err)
		}
		if err := list.check(netip.MustParseAddrPort(c.addr)); (err == nil) != c.allowed {
			t.Errorf("allow %v: %s: %v, want allowed %v", c.allow, c.addr, err, c.allowed)
		}
	}
	if _, err := parseAllow([]string{"127.0.0.1"}); err == nil {
		t.Error("an address that is no CIDR was taken")
	}
}

func TestResolveRefusesWhatIsOutside(t *testing.T) {
	list, err := parseAllow(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := list.resolve(context.Background(), "localhost:8080")
	if err != nil || !got[0].Addr().IsLoopback() || got[0].Port() != 8080 {
		t.Errorf("localhost:8080 is %v, %v", got, err)
	}
	if got, err := list.resolve(context.Background(), "[::1%lo]:80"); err != nil || fmt.Sprint(got) != "[[::1%lo]:80]" {
		t.Errorf("[::1%%lo]:80 is %v, %v: want it with its zone", got, err)
	}
	if got, err := list.resolve(context.Background(), "10.0.0.1:80"); err == nil || !strings.Contains(err.Error(), "10.0.0.1:80 is outside limits.allow") {
		t.Errorf("10.0.0.1:80 is %v, %v", got, err)
	}
}
