package tcp

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/greeting"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
)

// greeted is a link that reads greetings, and a caller's connection over it.
func greeted(t *testing.T, protocol string) (l *testLink, dependency *wiretest.Dependency) {
	t.Helper()
	dependency = wiretest.NewDependency(t)
	return listen(t, dependency.Address(), func(c *Config) { c.Greeting = protocol }), dependency
}

func TestStreamReadsGreetings(t *testing.T) {
	for _, tt := range []struct{ name, protocol, said, code string }{
		{"refused", greeting.Redis, "-ERR max number of clients reached\r\n", "max_clients"},
		{"let in", greeting.Redis, "+PONG\r\n", greeting.OK},
		{"unread", "", "-ERR max number of clients reached\r\n", ""},
		{"half of it", greeting.Redis, "-ERR max", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, dependency := greeted(t, tt.protocol)
			c := l.Dial()
			up := dependency.Take()
			for _, piece := range []string{tt.said[:1], tt.said[1:4], tt.said[4:]} { // in pieces, each of which goes on at once
				up.Send(piece)
				c.Expect(piece)
			}
			up.Close()
			_ = c.End()
			c.Close()
			if x := l.Next(); x.Extra().Code != tt.code || x.Refused() != (tt.code == "max_clients") || x.Extra().BytesDown != uint64(len(tt.said)) {
				t.Errorf("recorded %+v, want code %q", x, tt.code)
			}
		})
	}
}

// A connection is not taken to the fast path, which reads nothing, before its greeting
// was read.
func TestStreamGreetingEndsBeforeTheFastPath(t *testing.T) {
	dependency := wiretest.NewDependency(t)
	l := listen(t, dependency.Address(), func(c *Config) { c.Greeting, c.promoteAfter = greeting.NATS, 2 })
	c := l.Dial()
	up := dependency.Take()
	say := func(text string) {
		up.Send(text)
		c.Expect(text)
	}
	say("INFO {")
	for range 20 {
		say("x")
	}
	if n := l.relay.promotions.Load(); n != 0 {
		t.Errorf("it was taken to the fast path %d times", n)
	}
	say("}\r\n-ERR 'maximum connections exceeded'\r\n")
	for range 20 {
		say("+OK\r\n")
	}
	up.Close()
	_ = c.End()
	c.Close()
	if x := l.Next(); x.Extra().Code != "maximum_connections_exceeded" {
		t.Errorf("recorded %+v", x)
	}
}

// Connections from before the recorder came are told to it, whether they have ended
// since or not, with the times that they had.
func TestStreamTellsOfConnectionsFromBefore(t *testing.T) {
	dependency := wiretest.NewDependency(t)
	r, err := Listen(Config{Config: wiretest.ConfigOf(dependency.Address()), Greeting: greeting.Redis})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Serve()
	l := &testLink{&wiretest.Link{Relay: r, T: t, Records: make(chan evidence.Exchange, 10)}, r}
	first, up := l.Dial(), dependency.Take()
	up.Send("-ERR max number of clients reached\r\n")
	first.Expect("-ERR max number of clients reached\r\n")
	up.Close()
	_ = first.End()
	first.Close()
	wiretest.Eventually(t, "the first connection ends", func() bool { return r.InFlight() == 0 })
	second, up := l.Dial(), dependency.Take()
	up.Send("+OK\r\n")
	second.Expect("+OK\r\n")

	start := time.Now()
	r.Record(start, func(x evidence.Exchange) { l.Records <- x })
	if x := l.Next(); x.Conn != 1 || x.Extra().Code != "max_clients" || x.Begin >= 0 || x.End < x.Begin || x.End >= 0 {
		t.Errorf("of the first: %+v", x)
	}
	l.closes(second, up, 0)
	third, up := l.Dial(), dependency.Take()
	l.closes(third, up, 0)
	close(l.Records)
	for x := range l.Records {
		t.Errorf("one more: %+v", x)
	}
}
