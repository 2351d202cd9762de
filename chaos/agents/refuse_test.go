package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/stormctl/stormctl/load"
)

// An agent carries nothing that its operator has not allowed, whatever the plan says: the run
// does not begin, and says why.
func TestAgentRefusesWhatItMayNot(t *testing.T) {
	g := newGround(t, 1, 100, time.Second, patient)
	a := g.agent("elsewhere")
	a.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = a.Run(ctx) }()
	_, err := g.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "not in the agent's own allow-list") {
		t.Errorf("the run ended with %v", err)
	}
	cancel()
	<-ended
	if n := g.asked.Load(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	if !strings.Contains(g.says.all(), "refused: route") {
		t.Errorf("it is not told:\n%s", g.says.all())
	}
}

// What is no plan for an agent is none, whoever sends it.
func TestCheckPlan(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	sound := func() load.Plan {
		return load.Plan{Run: 1, Loops: 2, Routes: []load.Route{{Name: "buy", Addr: "10.1.2.3:80"}}}
	}
	for name, spoil := range map[string]func(p *load.Plan){
		"":                                      func(*load.Plan) {},
		"not in the agent's own allow-list":     func(p *load.Plan) { p.Routes[0].Addr = "192.168.0.1:80" },
		"which is no ip:port":                   func(p *load.Plan) { p.Routes[0].Addr = "unix:/run/docker.sock" },
		"goes to \"shop.example:80\"":           func(p *load.Plan) { p.Routes[0].Addr = "shop.example:80" },
		"3 loops for it, and it runs 2":         func(p *load.Plan) { p.Loops = 3 },
		"has no routes":                         func(p *load.Plan) { p.Routes = nil },
		"the plan has parts that no agent":      func(p *load.Plan) { p.Closed = &load.Closed{} },
		"[::ffff:192.168.0.1]:80, which is not": func(p *load.Plan) { p.Routes[0].Addr = "[::ffff:192.168.0.1]:80" },
	} {
		p := sound()
		spoil(&p)
		err := checkPlan(&p, allow, 2)
		if name == "" && err != nil || name != "" && (err == nil || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who has another token is not let in, and does not get as far as to ask.
func TestWrongTokenIsRefused(t *testing.T) {
	g := newGround(t, 1, 100, time.Second, patient)
	a := g.agent("stranger")
	a.Join.Token = NewToken()
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "does not let it in") {
		t.Errorf("it ended with %v", err)
	}
	g.told("authentication error")
	// One that is a user of the broker, and seals by another token.
	conn, err := connect(g.broker.Join, "stranger", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	subject := subjectsOf(g.broker.Join.Token).join
	text, _ := NewToken().seal(subject, Member{Name: "stranger", Version: testVersion, Loops: 1})
	refusedBy(t, conn, subject, text, "has not the token")
	if !strings.Contains(g.says.all(), "refused agent") {
		t.Errorf("it is not told:\n%s", g.says.all())
	}
}

// refusedBy asks, and wants to be refused for a reason.
func refusedBy(t *testing.T, conn *nats.Conn, subject string, text []byte, why string) {
	t.Helper()
	m, err := conn.Request(subject, text, 5*time.Second)
	var got answer
	if err == nil {
		err = json.Unmarshal(m.Data, &got)
	}
	if err != nil || got.OK || !strings.Contains(got.Why, why) {
		t.Errorf("got %+v, %v; want it refused with %q", got, err, why)
	}
}

// Who joins late, twice, by another version or with a name that is taken has no part.
func TestOnlyWhoIsWaitedForJoins(t *testing.T) {
	g := newGround(t, 2, 100, time.Second, patient)
	member := Member{Name: "one", Version: testVersion, Loops: 1, Nonce: "a"}
	for _, c := range []struct {
		change func(m *Member)
		why    string // "" is taken in
	}{
		{func(m *Member) { m.Version = "stormctl other" }, "they must be the same"},
		{func(m *Member) { m.Name = "../../etc" }, "is no name"},
		{func(m *Member) { m.Name = coordinatorUser }, "is no name"},
		{func(m *Member) { m.Loops = 0 }, "event loops"},
		{func(*Member) {}, ""},
		{func(*Member) {}, ""}, // it did not hear the answer
		{func(m *Member) { m.Nonce = "b" }, "an agent of that name"},
		{func(m *Member) { m.Name = "two" }, ""},
		{func(m *Member) { m.Name = "three" }, "takes no part"},
	} {
		m := member
		c.change(&m)
		err := g.lead.take(m)
		if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%+v: %v, want %q", m, err, c.why)
		}
	}
}

// A broker in this process has room for as many agents as may join.
func TestManyAgentsJoin(t *testing.T) {
	g := newGround(t, 20, 100, time.Second, patient)
	for i := range 20 {
		if err := g.lead.take(Member{Name: fmt.Sprintf("agent-%d", i), Version: testVersion, Loops: 1}); err != nil {
			t.Fatalf("agent %d: %v", i, err)
		}
	}
}

// A plan is for one joining, and once. One that was recorded does nothing.
func TestReplayedPlanIsRefused(t *testing.T) {
	g := newGround(t, 1, 100, time.Second, patient)
	a := g.agent("again")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = a.Run(ctx) }()
	for len(g.lead.all()) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	p := plan{Nonce: "of another joining", Experiment: []byte("x"), Load: load.Plan{Run: 1, Loops: 1, Routes: []load.Route{{Addr: "127.0.0.1:1"}}}}
	for _, c := range []struct {
		token Token
		order order
		why   string
	}{
		{g.broker.Join.Token, order{Plan: &p}, "it is a recording"},
		{NewToken(), order{Plan: &p}, "has not the token"},
		{g.broker.Join.Token, order{Start: &start{Nonce: p.Nonce}}, "no start of what it has been given"},
		{g.broker.Join.Token, order{}, "it is no order"},
	} {
		subject := g.lead.subject.order("again")
		text, err := c.token.seal(subject, c.order)
		if err != nil {
			t.Fatal(err)
		}
		refusedBy(t, g.lead.conn, subject, text, c.why)
	}
	cancel()
	<-ended
	if n := g.asked.Load(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	g.told("refused: the plan is for another joining")
}

// An agent may speak and hear on its own subjects alone.
func TestAgentHasItsSubjectsAlone(t *testing.T) {
	g := newGround(t, 2, 100, time.Second, patient)
	failed := make(chan error, 16)
	conn, err := connect(g.broker.Join, "one", nil, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := g.lead.subject
	for _, try := range []func() error{
		func() error { return conn.Publish(s.feed("two"), nil) },
		func() error { return conn.Publish(s.order("two"), nil) },
		func() error { return conn.Publish(s.pulse, nil) },
		func() error { return conn.Publish("$JS.API.STREAM.DELETE."+streamOf(g.broker.Join.Token), nil) },
		func() error { _, err := conn.SubscribeSync(s.order("two")); return err },
		func() error { _, err := conn.SubscribeSync(">"); return err },
	} {
		if err := try(); err != nil {
			t.Fatal(err)
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
			t.Errorf("the broker says %v", err)
		}
	}
	g.told("Publish Violation")
	g.told("Subscription Violation")
}

// A message of 100 MB is refused as it begins.
func TestLargeMessageIsRefused(t *testing.T) {
	g := newGround(t, 1, 100, time.Second, patient)
	conn, err := net.Dial("tcp", g.broker.Join.Broker.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	user := "large"
	fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"user\":%q,\"pass\":%q}\r\nPUB %s %d\r\n", user, g.broker.Join.Token.password(user),
		g.lead.subject.beat(user), 100<<20)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	chunk, sent := make([]byte, 1<<16), 0
	for sent < 100<<20 {
		n, err := conn.Write(chunk)
		sent += n
		if err != nil {
			break
		}
	}
	if sent == 100<<20 {
		t.Error("all of it was taken")
	}
	g.told("maximum payload")
}

// Off loopback agents trust the certificate of the run alone.
func TestPinnedCertificate(t *testing.T) {
	token := NewToken()
	b, err := StartBroker("0.0.0.0:0", t.TempDir(), token, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	join := b.Join
	join.Broker.Host = "127.0.0.1:" + join.Broker.Port()
	if join.Broker.Scheme != "tls" {
		t.Errorf("it speaks %s", join.Broker.Scheme)
	}
	again, err := ParseJoin(join.String())
	if err != nil || again != join {
		t.Fatalf("%v is read as %v: %v", join, again, err)
	}
	conn, err := connect(again, "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	again.Pin = strings.Repeat("00", 32)
	if conn, err := connect(again, "one", nil); err == nil {
		conn.Close()
		t.Error("another certificate is trusted")
	}
}

func TestParseJoin(t *testing.T) {
	token := strings.Repeat("a", 22)
	for text, want := range map[string]string{
		"nats://127.0.0.1:4222#" + token:                                    "",
		"nats://me:secret@[::1]:4222#" + token:                              "",
		"tls://10.0.0.1:7422?pin=" + strings.Repeat("ab", 32) + "#" + token: "",
		"nats://127.0.0.1:4222":                                             "no token",
		"nats://127.0.0.1:4222#short":                                       "no token",
		"http://127.0.0.1:4222#" + token:                                    "no broker",
		"nats://127.0.0.1#" + token:                                         "no broker",
		"tls://10.0.0.1:7422?pin=12#" + token:                               "pin",
		"":                                                                  "no broker",
		"nats://%zz#" + token:                                               "no URL",
	} {
		j, err := ParseJoin(text)
		if want == "" && (err != nil || j.String() != text) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, %v; want %q", text, j, err, want)
		}
	}
}
