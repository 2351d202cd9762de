package http

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

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
