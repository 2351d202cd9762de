package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// named has shop.test stand for these addresses, in this order, while the test
// runs.
func named(t *testing.T, addrs ...string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for question := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			if answer, err := answerTo(question[:n], addrs); err == nil {
				_, _ = server.WriteTo(answer, from) // who asks asks again
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		server.Close()
		<-ended
	})
}

func answerTo(question []byte, addrs []string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	for _, text := range addrs {
		if ip := netip.MustParseAddr(text); m.Questions[0].Type == dnsmessage.TypeA && m.Questions[0].Name.String() == "shop.test." {
			head := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: ip.As4()}})
		}
	}
	return m.Pack()
}

// One address of a name takes all of the load, the first that answers, and it is
// told which.
func TestLoadOfANameWithSeveralAddresses(t *testing.T) {
	named(t, "127.0.0.3", "127.0.0.1", "127.0.0.4")
	h := newHearing(t)
	_, port, _ := net.SplitHostPort(h.Listener.Addr().String())
	url := "http://shop.test:" + port

	var out, said bytes.Buffer
	code := execute([]string{"load", url, "-n", "10", "--rate", "1k/s", "--json", "-q"}, &out, &said)
	var r reports.Load
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != exitHeld || r.Outcomes["ok"] != 10 {
		t.Fatalf("exit %d, %v, %v %s", code, err, r.Outcomes, said.String())
	}
	if want := (reports.Host{URL: url, Addr: "127.0.0.1:" + port, Addresses: 3, Protocol: "http1"}); len(r.Hosts) != 1 || r.Hosts[0] != want {
		t.Errorf("hosts %+v, want %+v", r.Hosts, want)
	}
	if want := "shop.test:" + port + ": an address is not used: nothing answers at 127.0.0.3:" + port; !strings.Contains(said.String(), want) || strings.Count(said.String(), "not used") != 1 {
		t.Errorf("said %q, want %q and nothing of the others", said.String(), want)
	}
	text, err := h.drive(t, t.TempDir(), url, "-n", "1")
	if want := url + " is 127.0.0.1:" + port + ", one of its 3 addresses"; err != nil || !strings.Contains(text, want) {
		t.Errorf("%v: the summary lacks %q:\n%s", err, want, text)
	}

	file := filepath.Join(t.TempDir(), "names.yaml")
	write(t, filepath.Dir(file), "names.yaml", `name: names
targets: {shop: {url: "`+url+`"}}
load: {rate: 20/s, duration: 1s, routes: [{name: buy, to: shop, get: /}]}
claims: [{steady: {success: 100%}}]
`)
	out.Reset()
	code = execute([]string{"run", file, "--out", filepath.Join(filepath.Dir(file), "out"), "--json", "--quiet"}, &out, &said)
	var ran result.Result
	if err := json.Unmarshal(out.Bytes(), &ran); err != nil || len(ran.Routes) != 1 || ran.Routes[0].Outcomes["ok"] != 20 {
		t.Fatalf("run: exit %d, %v, %+v %s", code, err, ran.Routes, said.String())
	}
	want := "target shop: shop.test:" + port + " is 127.0.0.1:" + port + ", one of its 3 addresses; another is not used: nothing answers at 127.0.0.3:" + port
	if notes := strings.Join(ran.Notes, "\n"); !strings.Contains(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
	out.Reset()
	if code := execute([]string{"run", file, "--dry-run"}, &out, &said); code != exitHeld || !strings.Contains(out.String(), "which is the first that answers of 127.0.0.3:"+port+", 127.0.0.1:"+port) {
		t.Errorf("dry run: exit %d %s", code, out.String())
	}
}

func TestLoadOfANameThatNobodyAnswersFor(t *testing.T) {
	named(t, "127.0.0.3", "127.0.0.4")
	h := newHearing(t) // on 127.0.0.1
	_, port, _ := net.SplitHostPort(h.Listener.Addr().String())
	var out, said bytes.Buffer
	code := execute([]string{"load", "http://shop.test:" + port, "-n", "1", "-q"}, &out, &said)
	for _, want := range []string{"127.0.0.3:", "127.0.0.4:"} {
		if code != exitFailed || !strings.Contains(said.String(), "nothing answers at "+want+port) {
			t.Errorf("exit %d: %s, want both addresses in it", code, said.String())
		}
	}
}
