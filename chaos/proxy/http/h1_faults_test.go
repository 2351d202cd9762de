package http

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// conversation is what a caller and a dependency say to each other.
type conversation struct {
	name              string
	request, response string
	// The fault comes when request and response have passed; then one says ping and
	// the other pong.
	later bool
}

const (
	readableRequest    = "POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	unreadableRequest  = "POST /pay HTTP/1.1\r\nHost: a\r\nno field\r\nContent-Length: 3\r\n\r\nabc"
	unreadableResponse = "HTTP/1.1 200 OK\r\nno field\r\nContent-Length: 10\r\n\r\n0123456789"
)

// conversations are the columns of the table below, in their order.
var conversations = [...]conversation{
	{"readable", readableRequest, bodied("0123456789"), false},
	{"unreadable request", unreadableRequest, bodied("0123456789"), false},
	{"unreadable response", readableRequest, unreadableResponse, false},
	{"upgrade", upgrade, switching, false},
	{"upgraded", upgrade, switching, true},
	{"unread", readableRequest, unreadableResponse, true},
}

// What a caller gets, and whether the fault has hit: a lower-case letter says that it
// has not.
const (
	whole   = 'W' // all there is
	answer5 = 'A' // an answer of the fault
	reset0  = 'R' // a reset, and nothing before
	cutOff  = 'C' // a part, and an end of whatever kind
	behind  = 'B' // all there is, and a reset behind it
	changed = 'X' // as much as there is, and something else
	silence = 'S' // nothing
)

// TestFaultsOfWhatCannotBeRead holds every fault against what can be read, what
// cannot, and what was upgraded: a fault has hit what it did something to, and
// nothing else, and keeps no exchange whose caller has left.
func TestFaultsOfWhatCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		toxic toxic.Toxic
		want  string // by conversation
	}{
		{toxic.Latency{Delay: time.Millisecond, Select: toxic.All}, "WWWWww"},
		{toxic.Latency{Delay: time.Millisecond, On: "response", Select: toxic.All}, "WWWWww"},
		{toxic.SlowBody{Piece: 5, Pause: time.Millisecond, Select: toxic.All}, "Wwwwww"},
		{toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All}, "AAAAww"},
		{toxic.Corrupt{Bytes: 1, Select: toxic.All}, "Xwwwww"},
		{toxic.Corrupt{Bytes: 1, On: "request", Select: toxic.All}, "WwWwww"},
		{toxic.Hang{Select: toxic.All}, "SSSSww"},
		{toxic.Reset{Select: toxic.All}, "RRRRRR"},
		{toxic.Reset{When: "during", Select: toxic.All}, "Cwwwww"},
		{toxic.Reset{When: "after", Select: toxic.All}, "Bwwwww"},
		{toxic.Truncate{After: 3, Select: toxic.All}, "Cwwwww"},
		{toxic.Partition{Select: toxic.All}, "SSSSSS"},
		{toxic.DropResponse{Select: toxic.All}, "SwwSww"},
		{toxic.DropResponse{Then: "reset", Select: toxic.All}, "RwwRww"},
		{toxic.Duplicate{Select: toxic.All}, "WwWwww"},
	} {
		for i, talk := range conversations {
			t.Run(tt.toxic.String()+"/"+talk.name, func(t *testing.T) {
				letter := rune(tt.want[i])
				talk.under(t, tt.toxic, letter&^0x20, letter&0x20 == 0)
			})
		}
	}
}

// under has the conversation under a fault.
func (talk conversation) under(t *testing.T, fault toxic.Toxic, want rune, hits bool) {
	d := wiretest.NewDependency(t)
	go talk.serve(d.Listener)
	l := listen(t, d.Address())
	c := l.Dial()
	say, hear := talk.request, talk.response
	if talk.later {
		c.Send(say)
		c.Expect(hear)
		say, hear = "ping", "pong"
	}
	remove := l.Add(5, fault)
	_, err := io.WriteString(c, say)
	// What was read already is reset at once, so that the write may be the first to hear
	// of it; a read finds nothing more then.
	refused := want == reset0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
	if err != nil && !refused {
		t.Fatal(err)
	}
	if want == silence {
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Silent()
	} else if !refused {
		if got := listenTo(c, hear); got != want {
			t.Errorf("the caller got %c, want %c", got, want)
		}
	}
	if want == silence && talk.name == "upgraded" {
		remove() // until then it is not known that the caller does not listen any more
	}
	c.Close()
	x := l.Next()
	if got := l.Hit(5); (got == 1) != hits || got > 1 || (x.Faults == 1<<5) != hits {
		t.Errorf("%d hits, faults %b in the record; want it hit: %v", got, x.Faults, hits)
	}
	ended := map[rune]evidence.Ending{
		answer5: evidence.Injected, reset0: evidence.Broken, cutOff: evidence.Broken, silence: evidence.CallerGone,
	}
	if how, ok := ended[want]; ok && x.Ending != how && talk.name != "upgraded" {
		t.Errorf("recorded %+v, want it to end as %v", x, how)
	}
	unread := uint64(0)
	if x.Ending == evidence.Unread {
		unread = 1
	}
	if n, _ := l.Unread(); n < unread {
		t.Errorf("recorded %+v, and %d connections unread", x, n)
	}
	wiretest.Eventually(t, "nothing is in flight", func() bool { return l.InFlight() == 0 })
	remove()
}

// serve is the dependency: it has its part of the conversation with each that comes.
func (talk conversation) serve(listener net.Listener) {
	for {
		up, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer up.Close()
			for _, part := range []struct{ hear, say string }{{talk.request, talk.response}, {"ping", "pong"}} {
				if _, err := io.ReadFull(up, make([]byte, len(part.hear))); err != nil {
					return
				}
				if err := send(up, part.say); err != nil {
					return
				}
			}
			io.Copy(io.Discard, up)
		}()
	}
}

// listenTo says what a caller gets that is to get hear.
func listenTo(c *wiretest.Caller, hear string) rune {
	got := make([]byte, len(hear))
	n, err := io.ReadFull(c.In, got)
	got = got[:n]
	switch {
	case n == 0 && errors.Is(err, syscall.ECONNRESET):
		return reset0
	case strings.HasPrefix(string(got), "HTTP/1.1 503"):
		return answer5
	case err != nil:
		return cutOff
	case !bytes.Equal(got, []byte(hear)):
		return changed
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond)) // a reset behind it is under way already, or there is none
	if _, err := c.In.Peek(1); errors.Is(err, syscall.ECONNRESET) {
		return behind
	}
	return whole
}

// TestDelayOfAResponseThatNeverComes: what would have delayed it has not hit.
func TestDelayOfAResponseThatNeverComes(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	l.Add(5, toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.All})
	c := l.Dial()
	c.Send(wiretest.Get)
	up := d.Take()
	up.Expect(wiretest.Get)
	up.Close()
	c.WasClosed()
	if x := l.Next(); x.Ending != evidence.Failed || x.Faults != 0 || l.Hit(5) != 0 {
		t.Errorf("recorded %+v, and %d hits", x, l.Hit(5))
	}
}
