package http

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

func TestTruncate(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name           string
		after          int64
		response, want string
		whole          bool
	}{
		{"in the body", 4, bodied("0123456789"), strings.TrimSuffix(bodied("0123456789"), "456789"), false},
		{"behind the head", 0, bodied("0123456789"), strings.TrimSuffix(bodied("0123456789"), "0123456789"), false},
		{"before its last byte", 9, bodied("0123456789"), strings.TrimSuffix(bodied("0123456789"), "9"), false},
		{"at its end", 10, bodied("0123456789"), bodied("0123456789"), true},
		{"no body", 0, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"in a chunk", 4, chunked + "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", chunked + "3\r\nabc\r\n3\r\nd", false},
		{"before the last chunk", 6, chunked + "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", chunked + "3\r\nabc\r\n3\r\ndef", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d) // open when it is injected
			remove := l.Add(4, toxic.Truncate{After: unit.Size(tt.after), Select: toxic.All})
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(tt.response)
			c.Expect(tt.want)
			if tt.whole {
				status, _ := strconv.Atoi(tt.response[9:12])
				l.recorded(evidence.Answered, status, false) // there was nothing to truncate
				remove()
				untouched(l, c, up)
				return
			}
			c.WasClosed()
			l.recorded(evidence.Broken, 200, true)
			if n := l.Hit(4); n != 1 {
				t.Errorf("hit %d, want 1", n)
			}
			remove()
			c, up = warm(l, d)
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(tt.response)
			c.Expect(tt.response)
			l.recorded(evidence.Answered, 200, false)
		})
	}

	t.Run("injected in the middle of the body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		head := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
		up.Send(head + "0123")
		c.Expect(head + "0123")
		l.Add(4, toxic.Truncate{After: 6, Select: toxic.All})
		up.Send("456789")
		c.Expect("45")
		c.WasClosed()
		l.recorded(evidence.Broken, 200, true)
	})

	t.Run("injected past it", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		head := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
		up.Send(head + "0123")
		c.Expect(head + "0123")
		l.Add(4, toxic.Truncate{After: 2, Select: toxic.All})
		up.Send("456789")
		c.WasClosed()
		l.recorded(evidence.Broken, 200, true)
	})

	t.Run("while the response is held", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := l.Add(3, toxic.Partition{Select: toxic.All})
		up.Send(bodied("0123456789"))
		c.Silent()
		l.Add(4, toxic.Truncate{After: 4, Select: toxic.All})
		heal()
		c.Expect(strings.TrimSuffix(bodied("0123456789"), "456789"))
		c.WasClosed()
		if x := l.Next(); x.Ending != evidence.Broken || x.Faults != 1<<3|1<<4 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the caller is still sending", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Truncate{After: 4, Select: toxic.All})
		head := "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
		c.Send(head + "ab")
		up.Expect(head + "ab")
		up.Send(bodied("0123456789"))
		c.Expect(strings.TrimSuffix(bodied("0123456789"), "456789"))
		c.WasClosed() // its own side is open
		c.Send("cdefghij")
		l.recorded(evidence.Broken, 200, true)
	})
}

// TestTruncateUntilClose: where the end of the connection is the body's, less
// of it comes and then a reset, as it would look whole otherwise. A body that is not longer is
// left alone, also if that is known only when it ends.
func TestTruncateUntilClose(t *testing.T) {
	const response = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789"
	for _, tt := range []struct {
		after int64
		want  string
		cut   bool
	}{
		{0, strings.TrimSuffix(response, "0123456789"), true},
		{4, strings.TrimSuffix(response, "456789"), true},
		{9, strings.TrimSuffix(response, "9"), true},
		{10, response, false},
		{20, response, false},
	} {
		t.Run(strconv.Itoa(int(tt.after)), func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d)
			l.Add(4, toxic.Truncate{After: unit.Size(tt.after), Select: toxic.All})
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(response)
			c.Expect(tt.want)
			up.CloseWrite()
			if tt.cut {
				c.WasReset()
				l.recorded(evidence.Broken, 200, true)
			} else {
				c.WasClosed()
				l.recorded(evidence.Answered, 200, false)
			}
		})
	}
}
