package http

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// testLink is a relay under test.
type testLink struct {
	*wiretest.Link
	relay *Relay
}

// listen relays to upstream: HTTP/1.1, if no edit says otherwise.
func listen(t *testing.T, upstream string, edit ...func(*Config)) *testLink {
	t.Helper()
	return listenPrepared(t, upstream, func(*Relay) {}, edit...)
}

// listenPrepared is listen with what is to be done before a caller is accepted.
func listenPrepared(t *testing.T, upstream string, prepare func(*Relay), edit ...func(*Config)) *testLink {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c := configOf(upstream)
	for _, e := range edit {
		e(&c)
	}
	r, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	prepare(r)
	r.Serve()
	return &testLink{wiretest.Watch(t, r, ignore), r}
}

func configOf(upstream string) Config {
	return Config{Config: wiretest.ConfigOf(upstream), Protocol: toxic.ProtocolHTTP1, Run: 1, IDHeader: wire.DefaultIDHeader}
}

// serve is a relay that the test closes itself, and that records nothing.
func serve(tb testing.TB, upstream string) *Relay {
	tb.Helper()
	r, err := Listen(configOf(upstream))
	if err != nil {
		tb.Fatal(err)
	}
	r.Serve()
	return r
}

// upgrade asks for what switching agrees to.
const (
	upgrade   = "GET /pay?x=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	switching = "HTTP/1.1 101 X\r\n\r\n"
)

// warm is a connection through l to d that has had an exchange.
func warm(l *testLink, d *wiretest.Dependency) (c, up *wiretest.Caller) {
	l.T.Helper()
	c = l.Dial()
	c.Send(wiretest.Get)
	up = d.Take()
	up.Expect(wiretest.Get)
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	l.Next()
	return c, up
}

// untouched is an exchange that nothing is done to.
func untouched(l *testLink, c, up *wiretest.Caller) {
	l.T.Helper()
	c.Send(wiretest.Get)
	up.Expect(wiretest.Get)
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	if x := l.Next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 0 || x.Own != 0 {
		l.T.Errorf("recorded %+v, want it untouched", x)
	}
}

// bodied is a response with this body.
func bodied(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// empty is a response without a body.
const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// recorded checks the next record: how it ended, with which status, and that
// fault 4 is named in it or not.
func (l *testLink) recorded(how evidence.Ending, status int, named bool) evidence.Exchange {
	l.T.Helper()
	x := l.Next()
	faults := uint64(0)
	if named {
		faults = 1 << 4
	}
	if x.Ending != how || x.Status != status || x.Faults != faults {
		l.T.Errorf("recorded %v, status %d, faults %b; want %v, %d, %b", x.Ending, x.Status, x.Faults, how, status, faults)
	}
	return x
}
