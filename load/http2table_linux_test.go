package load

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// A peer whose header table is below the default is told that we use none, once and at
// the start of the first header block behind the acknowledgement of its settings.
func TestHTTP2SmallHeaderTable(t *testing.T) {
	for _, size := range []uint32{0, 4095, 4096} {
		blocks := make(chan string, 10)
		acknowledged := false
		peer := listen(t, frames(frame(settings, 0, 0, setting(1, size)), func(c net.Conn, kind, flags byte, stream uint32, payload string) bool {
			switch kind {
			case settings:
				acknowledged = acknowledged || flags == 1
			case headers, continuation:
				if acknowledged && kind == headers { // one more comes before, as no settings are there yet
					blocks <- payload[:1]
				}
				if flags&4 != 0 {
					io.WriteString(c, frame(headers, 5, stream, status200))
				}
			}
			return true
		}))
		one := Plan{Closed: &Closed{Connections: 1, Requests: 4}, Run: 1, Loops: 1, Streams: 1, Routes: []Route{h2(peer.addr)}}
		if samples, err := collect(t, t.Context(), one, time.Now()); err != nil || len(samples) != 4 {
			t.Fatalf("%d samples, error %v", len(samples), err)
		}
		behind := len(blocks)
		for i := range behind {
			first := <-blocks
			if told := first == "\x20"; told != (i == 0 && size < 4096) {
				t.Errorf("a table of %d: block %d begins with %x", size, i, first)
			}
		}
		if behind == 0 {
			t.Errorf("a table of %d: no request behind the acknowledgement", size)
		}
	}
}

// Behind the peer's settings, fields that all requests have are written once on each
// connection, and named by their places from then on, until the peer wants no table. A
// decoder that keeps a table finds the same in each.
func TestHTTP2SharedFields(t *testing.T) {
	for name, c := range map[string]struct {
		first, then uint32 // sizes of the table, the second behind the fourth request
		literal     []bool // which requests are told in full
	}{
		"a table":     {4096, 4096, []bool{true, true, false, false, false, false, false, false}},
		"none":        {0, 0, []bool{true, true, true, true, true, true, true, true}},
		"taken away":  {4096, 0, []bool{true, true, false, false, true, true, true, true}},
		"and back":    {0, 4096, []bool{true, true, true, true, true, true, true, true}},
		"larger than": {65_536, 65_536, []bool{true, true, false, false, false, false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type seen struct {
				fields  map[string]string
				literal bool
			}
			requests := make(chan seen, 20)
			decoder := hpack.NewDecoder(4096, nil)
			block, heads := "", 0
			answer := func(conn net.Conn, kind, flags byte, stream uint32, payload string) bool {
				if kind != headers && kind != continuation {
					return true
				}
				if block += payload; flags&4 == 0 {
					return true
				}
				fields, err := decoder.DecodeFull([]byte(block))
				if err != nil {
					t.Error(err)
					return false
				}
				one := seen{map[string]string{}, strings.Contains(block, "stormctl")}
				for _, f := range fields {
					one.fields[f.Name] = f.Value
				}
				requests <- one
				block = ""
				if heads++; heads == 4 {
					io.WriteString(conn, frame(settings, 0, 0, setting(1, c.then)))
				}
				io.WriteString(conn, frame(headers, 5, stream, status200))
				return true
			}
			peer := listen(t, frames(frame(settings, 0, 0, setting(1, c.first)), answer))
			one := Plan{Closed: &Closed{Connections: 1, Requests: 8}, Run: 1, Loops: 1, Streams: 1, Routes: []Route{h2(peer.addr)}}
			if samples, err := collect(t, t.Context(), one, time.Now()); err != nil || len(samples) != 8 || len(requests) != 8 {
				t.Fatalf("%d samples of %d requests, error %v", len(samples), len(requests), err)
			}
			ids := map[string]bool{}
			for i, literal := range c.literal {
				r := <-requests
				ids[r.fields["x-request-id"]] = true
				if r.literal != literal || r.fields["user-agent"] != "stormctl" || r.fields[":authority"] != peer.addr ||
					!strings.HasPrefix(r.fields["traceparent"], "00-"+r.fields["x-request-id"]) {
					t.Errorf("request %d, in full %v: %v", i, r.literal, r.fields)
				}
			}
			if len(ids) != 8 {
				t.Errorf("%d ids of 8 requests", len(ids))
			}
		})
	}
}
