package http

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

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

func TestResetDuring(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name           string
		response, want string
	}{
		{"half of the body", bodied("0123456789"), strings.TrimSuffix(bodied("0123456789"), "56789")},
		{"a body of one byte", bodied("0"), strings.TrimSuffix(bodied("0"), "0")},
		{"a body of unknown length", chunked + "3\r\nabc\r\n0\r\n\r\n", chunked + "3\r\na"},
		{"until the connection ends", "HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.0 200 OK\r\n\r\na"},
		{"no body", empty, empty[:len(empty)-2]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d)
			remove := l.Add(4, toxic.Reset{When: "during", Select: toxic.All})
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(tt.response)
			c.Expect(tt.want) // what was sent before the reset is not lost by it
			c.WasReset()
			status := 200
			if tt.response == empty {
				status = 0 // it never had the whole head
			}
			l.recorded(evidence.Broken, status, true)
			remove()
			c, up = warm(l, d)
			untouched(l, c, up)
		})
	}

	t.Run("half of a long body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Reset{When: "during", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		body := strings.Repeat("x", 4<<20)
		go io.WriteString(up, bodied(body)) // fails when the connection is closed in the middle of it
		c.Expect(bodied(body)[:len(bodied(""))+len("4194304")-1])
		c.Expect(body[:2<<20])
		c.WasReset()
		l.recorded(evidence.Broken, 200, true)
	})
}

func TestResetAfter(t *testing.T) {
	t.Run("the dependency's response", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(bodied("0123456789"))
		c.Expect(bodied("0123456789"))
		c.WasReset()
		l.recorded(evidence.Answered, 200, true)
		remove()
		c, up = warm(l, d)
		untouched(l, c, up)
	})

	t.Run("the next request waits already", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		c.Send(wiretest.Get + wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		c.WasReset()
		l.recorded(evidence.Answered, 200, true) // and none of the second
	})

	t.Run("an answer of ours", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, _ := warm(l, d)
		l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		l.Add(3, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c.Send(wiretest.Get)
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		c.WasReset()
		if x := l.Next(); x.Ending != evidence.Injected || x.Faults != 1<<3|1<<4 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("a long response that is read slowly", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		body := strings.Repeat("x", 1<<20)
		go io.WriteString(up, bodied(body))
		time.Sleep(20 * time.Millisecond) // most of it is in buffers; the test cannot fail for it
		c.Expect(bodied(body))
		c.WasReset()
		l.recorded(evidence.Answered, 200, true)
	})
}

func TestDropResponse(t *testing.T) {
	t.Run("the caller waits until it leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.DropResponse{Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get) // the dependency does the work
		up.Send(bodied("0123456789"))
		up.WasClosed() // and the link has read its response
		c.Silent()
		c.Close()
		l.recorded(evidence.CallerGone, 0, true)
		remove()
		c, up = warm(l, d)
		untouched(l, c, up)
	})

	t.Run("a caller that still waits at the heal is reset", func(t *testing.T) {
		for name, all := range map[string]bool{"the response is there": true, "half of the response is there": false} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.DropResponse{Select: toxic.All})
				c.Send(wiretest.Get)
				up.Expect(wiretest.Get)
				response := bodied("0123456789")
				if !all {
					response = response[:len(response)-5]
				}
				up.Send(response)
				wiretest.Eventually(t, "it is dropped", func() bool { return l.any(func(c *h1Conn) bool { return c.x.dropped && c.x.lost == all }) })
				c.Silent()
				remove()
				c.WasReset()
				l.recorded(evidence.Broken, 0, true)
			})
		}
	})

	t.Run("then reset", func(t *testing.T) {
		for name, response := range map[string]string{
			"a length": bodied("0123456789"), "no body": empty, "an upgrade": "HTTP/1.1 101 X\r\n\r\n",
			"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.DropResponse{Then: "reset", Select: toxic.All})
				c.Send(wiretest.Get)
				up.Expect(wiretest.Get)
				up.Send("HTTP/1.1 103 Early Hints\r\n\r\n") // is no response yet
				c.Expect("HTTP/1.1 103 Early Hints\r\n\r\n")
				up.Send(response)
				c.WasReset()
				l.recorded(evidence.Broken, 0, true)
				remove()
				c, up = warm(l, d)
				untouched(l, c, up)
			})
		}
	})

	t.Run("its end is the connection's", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.DropResponse{Then: "reset", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send("HTTP/1.0 200 OK\r\n\r\nall of it")
		c.Silent()
		up.Close()
		c.WasReset()
		l.recorded(evidence.Broken, 0, true)
	})

	t.Run("the dependency fails by itself", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.DropResponse{Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Close()
		c.WasClosed()
		l.recorded(evidence.Failed, 0, false) // no response, none dropped
	})

	t.Run("injected in flight", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		l.Add(4, toxic.DropResponse{Then: "reset", Select: toxic.All})
		up.Send(wiretest.OK)
		c.WasReset()
		l.recorded(evidence.Broken, 0, true)
	})

	t.Run("too late", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK[:len(wiretest.OK)-1])
		c.Expect(wiretest.OK[:len(wiretest.OK)-1])
		l.Add(4, toxic.DropResponse{Select: toxic.All})
		l.Add(4, toxic.Hang{Select: toxic.All})
		l.Add(4, toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.All})
		up.Send(wiretest.OK[len(wiretest.OK)-1:])
		c.Expect(wiretest.OK[len(wiretest.OK)-1:])
		l.recorded(evidence.Answered, 200, false)
	})

	t.Run("an error comes after all", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.DropResponse{Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		up.WasClosed()
		remove := l.Add(4, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		l.recorded(evidence.Injected, 503, true)
		remove()
	})
}

func TestHang(t *testing.T) {
	t.Run("until the heal", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.Hang{Select: toxic.All})
		c.Send(wiretest.Get)
		c.Silent()
		up.Silent()
		remove()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		l.recorded(evidence.Answered, 200, true)
		untouched(l, c, up)
	})
	t.Run("until the caller leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Hang{Select: toxic.All})
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		l.recorded(evidence.CallerGone, 0, true)
		up.WasClosed() // without a request
	})
	t.Run("a response that has not begun", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		remove := l.Add(4, toxic.Hang{Select: toxic.All})
		up.Send(wiretest.OK)
		c.Silent()
		remove()
		c.Expect(wiretest.OK)
		l.recorded(evidence.Answered, 200, true)
	})
}

func TestLatencyOfTheResponse(t *testing.T) {
	t.Run("the dependency has the request at once", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Silent()
		remove()
		c.Expect(wiretest.OK)
		l.recorded(evidence.Answered, 200, true)
		untouched(l, c, up)
	})
	t.Run("delays by what it says at least", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Latency{Delay: 40 * time.Millisecond, On: "response", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		sent := time.Now()
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		if took := time.Since(sent); took < 40*time.Millisecond {
			t.Errorf("the response took %v, want 40ms at least", took)
		}
		l.recorded(evidence.Answered, 200, true)
	})
	t.Run("delays an answer too", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, _ := warm(l, d)
		l.Add(4, toxic.Latency{Delay: 20 * time.Millisecond, Select: toxic.All})
		l.Add(4, toxic.Latency{Delay: 30 * time.Millisecond, On: "response", Select: toxic.All})
		l.Add(4, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c.Send(wiretest.Get)
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		// 20 ms + 30 ms
		if x := l.recorded(evidence.Injected, 503, true); x.Duration() < 50*time.Millisecond {
			t.Errorf("it took %v, want 50ms at least", x.Duration())
		}
	})
}

func TestCorrupt(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	exchange := func(l *testLink, c, up *wiretest.Caller, request, response string) (gotUp, gotCaller string) {
		l.T.Helper()
		c.Send(request)
		in := make([]byte, len(request))
		if _, err := io.ReadFull(up.In, in); err != nil {
			l.T.Fatal(err)
		}
		up.Send(response)
		out := make([]byte, len(response))
		if _, err := io.ReadFull(c.In, out); err != nil {
			l.T.Fatal(err)
		}
		return string(in), string(out)
	}
	put := fmt.Sprintf("PUT /pay HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	chunks := "\r\n64\r\n" + strings.Repeat("x", 100) + "\r\n64\r\n" + strings.Repeat("y", 100) + "\r\n0\r\n\r\n"

	t.Run("the response", func(t *testing.T) {
		for name, response := range map[string]string{"a length": bodied(body), "chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + chunks} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.Corrupt{Bytes: 0.1, Select: toxic.All})
				in, out := exchange(l, c, up, put, response)
				if in != put {
					t.Error("the request is changed")
				}
				same, changed := compare(t, response, out)
				if !same {
					t.Error("the head or the chunks' framing are changed")
				}
				// A tenth of 10,000 or 200 bytes; five standard deviations are
				// 150 and 22.
				if n := float64(payloadOf(response)); float64(changed) < n*0.1-150 || float64(changed) > n*0.1+150 || changed == 0 {
					t.Errorf("%d of %v bytes are changed, want about a tenth", changed, n)
				}
				l.recorded(evidence.Answered, 200, true)
				remove()
				if in, out := exchange(l, c, up, put, response); in != put || out != response {
					t.Error("something is changed after the heal")
				}
				l.recorded(evidence.Answered, 200, false)
			})
		}
	})

	t.Run("the request", func(t *testing.T) {
		for name, request := range map[string]string{"a length": put, "chunks": "PUT /pay HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + chunks} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				exchange(l, c, up, request, wiretest.OK)
				hash := l.recorded(evidence.Answered, 200, false).Payload
				remove := l.Add(4, toxic.Corrupt{Bytes: 0.1, On: "request", Select: toxic.All})
				in, out := exchange(l, c, up, request, bodied(body))
				if out != bodied(body) {
					t.Error("the response is changed")
				}
				if same, changed := compare(t, request, in); !same || changed == 0 {
					t.Errorf("%d bytes of payload are changed, framing the same: %v", changed, same)
				}
				if x := l.recorded(evidence.Answered, 200, true); x.Payload != hash {
					t.Error("the record has not the payload that the caller sent")
				}
				remove()
				if in, _ := exchange(l, c, up, request, wiretest.OK); in != request {
					t.Error("something is changed after the heal")
				}
				l.recorded(evidence.Answered, 200, false)
			})
		}
	})

	t.Run("every byte, and none of an empty body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Corrupt{Bytes: 1, Select: toxic.All})
		l.Add(4, toxic.Corrupt{Bytes: 1, On: "request", Select: toxic.All})
		in, out := exchange(l, c, up, put, bodied(body))
		_, changedIn := compare(t, put, in)
		_, changedOut := compare(t, bodied(body), out)
		if changedIn != len(body) || changedOut != len(body) {
			t.Errorf("%d and %d bytes are changed, want all %d", changedIn, changedOut, len(body))
		}
		l.recorded(evidence.Answered, 200, true)
		if in, out := exchange(l, c, up, wiretest.Get, empty); in != wiretest.Get || out != empty {
			t.Error("a message without a body is changed")
		}
		l.recorded(evidence.Answered, 200, false)
	})
}

// compare counts the bytes of payload (digits, x and y: all that is not framing
// in these tests stands behind the head) that differ, and reports whether the
// rest is the same.
func compare(t *testing.T, want, got string) (same bool, changed int) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d bytes came of %d", len(got), len(want))
	}
	same = true
	mask := payloadMask(want)
	for i := range mask {
		if want[i] == got[i] {
			continue
		}
		if mask[i] {
			changed++
		} else {
			same = false
		}
	}
	return same, changed
}

func payloadOf(message string) (n int) {
	for _, yes := range payloadMask(message) {
		if yes {
			n++
		}
	}
	return n
}

// payloadMask tells which bytes of a message are payload: behind the head all,
// or of these tests' chunks the x and y.
func payloadMask(message string) []bool {
	mask := make([]bool, len(message))
	head := strings.Index(message, "\r\n\r\n")
	chunked := strings.Contains(message, "chunked")
	if chunked {
		head = strings.Index(message, "chunked")
	}
	for i := head + 4; i < len(message); i++ {
		mask[i] = !chunked || i > head+8 && (message[i] == 'x' || message[i] == 'y')
	}
	return mask
}

func TestSlowBody(t *testing.T) {
	t.Run("pieces with a pause", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.SlowBody{Piece: 4, Pause: 20 * time.Millisecond, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		response := bodied("0123456789")
		begun := time.Now()
		up.Send(response)
		c.Expect(response)
		// Pieces of 4, 4 and 2 bytes: 20 + 20 + 10 ms.
		if took := time.Since(begun); took < 50*time.Millisecond {
			t.Errorf("the response took %v, want 50ms at least", took)
		}
		l.recorded(evidence.Answered, 200, true)
	})

	t.Run("a rate", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.SlowBody{Rate: 100_000, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		body := strings.Repeat("x", 20_000)
		begun := time.Now()
		up.Send(bodied(body))
		c.Expect(bodied(body))
		// 20,000 bytes at 100,000 a second: 0.2 s, and never faster.
		if took := time.Since(begun); took < 200*time.Millisecond {
			t.Errorf("the response took %v, want 200ms at least", took)
		}
		l.recorded(evidence.Answered, 200, true)
	})

	t.Run("the head comes at once, and all the rest at the heal", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.SlowBody{Piece: 1, Pause: time.Hour, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		up.Send(chunked + "3\r\nabc\r\n0\r\n\r\n")
		c.Expect(chunked)
		c.Expect("3\r\n")
		c.Silent()
		remove()
		c.Expect("abc\r\n0\r\n\r\n")
		l.recorded(evidence.Answered, 200, true)
		untouched(l, c, up)
	})

	t.Run("injected in the middle of the body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		head := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
		up.Send(head + "01234")
		c.Expect(head + "01234")
		remove := l.Add(4, toxic.SlowBody{Piece: 1, Pause: time.Hour, Select: toxic.All})
		up.Send("56789")
		c.Silent()
		remove()
		c.Expect("56789")
		l.recorded(evidence.Answered, 200, true)
	})

	t.Run("the caller leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.SlowBody{Piece: 1, Pause: time.Hour, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(bodied("0123456789"))
		c.Expect("HTTP/1.1 200 OK\r\n")
		c.Close()
		l.recorded(evidence.CallerGone, 200, true)
	})
}

func TestDuplicate(t *testing.T) {
	t.Run("twice, and one answer", func(t *testing.T) {
		for name, request := range map[string]string{
			"no body":     wiretest.Get,
			"a length":    "POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
			"chunks":      "POST /pay HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			"a long body": fmt.Sprintf("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("x", 1<<20)),
		} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.Duplicate{Select: toxic.All})
				go io.WriteString(c, request)
				up.Expect(request)
				second := d.Take()
				second.Expect(request)
				second.Send(bodied("of the second"))
				second.WasClosed()
				up.Send(bodied("of the first"))
				c.Expect(bodied("of the first"))
				l.recorded(evidence.Answered, 200, true)
				remove()
				untouched(l, c, up)
			})
		}
	})

	t.Run("the first is answered and closed at once", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(4, toxic.Duplicate{Select: toxic.All})
		for range 20 {
			c := l.Dial()
			c.Send(wiretest.Get)
			for range 2 { // whichever is the first
				up := d.Take()
				up.Expect(wiretest.Get)
				up.Send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				up.Close()
			}
			c.Expect("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			l.recorded(evidence.Answered, 200, true)
		}
	})

	t.Run("the link closes before the second is answered", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(4, toxic.Duplicate{Select: toxic.All})
		c := l.Dial()
		c.Send(wiretest.Get)
		for range 2 {
			d.Take().Expect(wiretest.Get)
		}
		l.Close() // waits for every goroutine
		l.recorded(evidence.Cut, 0, true)
	})

	t.Run("once, as it asks for an upgrade or is too long", func(t *testing.T) {
		long := fmt.Sprintf("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", maxCopy, strings.Repeat("x", maxCopy))
		for name, request := range map[string]string{
			"upgrade": "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
			"CONNECT": "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
			"long":    long,
		} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				l.Add(4, toxic.Duplicate{Select: toxic.All})
				go io.WriteString(c, request)
				up.Expect(request)
				up.Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				c.Expect("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				l.recorded(evidence.Answered, 400, false)
			})
		}
	})
}

// TestFaultsTogether does several things to one response.
func TestFaultsTogether(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c, up := warm(l, d)
	l.Add(0, toxic.Truncate{After: 8, Select: toxic.All})
	l.Add(1, toxic.Corrupt{Bytes: 1, Select: toxic.All})
	l.Add(2, toxic.SlowBody{Piece: 3, Pause: time.Millisecond, Select: toxic.All})
	l.Add(3, toxic.Latency{Delay: time.Millisecond, On: "response", Select: toxic.All})
	l.Add(5, toxic.Reset{When: "during", Select: toxic.All}) // after 10 bytes: the truncation comes first
	c.Send(wiretest.Get)
	up.Expect(wiretest.Get)
	up.Send(bodied("0123456789abcdefghij"))
	c.Expect("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
	got, err := io.ReadAll(c.In)
	if err != nil || len(got) != 8 {
		t.Errorf("the caller got %d bytes of the body and %v, want 8 and a FIN", len(got), err)
	}
	for i, b := range got {
		if b == "0123456789"[i] {
			t.Errorf("byte %d of the body is not changed", i)
		}
	}
	if x := l.Next(); x.Faults != 0b1111 || x.Ending != evidence.Broken {
		t.Errorf("recorded %v, faults %b; want it broken, and all but the reset", x.Ending, x.Faults)
	}
}

// TestNoise: which bytes change does not depend on how the body is cut up.
func TestNoise(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 500)
	change := func(c toxic.Corruption, piece int) []byte {
		var n noise
		got := bytes.Clone(body)
		for at := 0; at < len(got); at += piece {
			n.on(c, int64(at), got[at:min(at+piece, len(got))])
		}
		return got
	}
	whole := change(toxic.Corruption{Share: 0.05, Seed: 1}, len(body))
	for _, piece := range []int{1, 7, 100} {
		if !bytes.Equal(whole, change(toxic.Corruption{Share: 0.05, Seed: 1}, piece)) {
			t.Errorf("pieces of %d bytes are changed otherwise than the whole", piece)
		}
	}
	late := bytes.Clone(body[1000:]) // injected when a thousand bytes have passed
	new(noise).on(toxic.Corruption{Share: 0.05, Seed: 1}, 1000, late)
	if !bytes.Equal(whole[1000:], late) {
		t.Error("what is left of a body is changed otherwise than in the whole")
	}
	if bytes.Equal(whole, change(toxic.Corruption{Share: 0.05, Seed: 2}, len(body))) {
		t.Error("another seed changes the same")
	}
	if !bytes.Equal(body, change(toxic.Corruption{Share: 1e-300, Seed: 1}, len(body))) {
		t.Error("next to no share changes something")
	}
}

// TestTruncateUntilClose: where the end of the connection is the body's, less
// of it comes, and the record names the fault. A body that is not longer is
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
			c.WasClosed()
			if tt.cut {
				l.recorded(evidence.Broken, 200, true)
			} else {
				l.recorded(evidence.Answered, 200, false)
			}
		})
	}
}
