package http

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// TestStreamsActs does to responses what faults say, frame by frame. The
// dependency answers "0123456789" with a trailer.
func TestStreamsActs(t *testing.T) {
	const begun = "3 HEADERS :status=200 content-length=10"
	for _, tt := range []struct {
		name   string
		toxic  toxic.Toxic
		caller []string // what it sees
		reset  bool     // the dependency's stream is
		ending evidence.Ending
		status int
	}{
		{"truncate", toxic.Truncate{After: 4, Select: toxic.All}, []string{begun, "3 DATA 0123", "3 DATA  END"}, true, evidence.Broken, 200},
		{"truncate to the head", toxic.Truncate{Select: toxic.All}, []string{begun, "3 DATA  END"}, true, evidence.Broken, 200},
		{"truncate behind the end", toxic.Truncate{After: 10, Select: toxic.All}, []string{begun, "3 DATA 0123456789", "3 HEADERS sum=x END"}, false, evidence.Answered, 200},
		{"reset", toxic.Reset{Select: toxic.All}, []string{"3 RST_STREAM INTERNAL_ERROR"}, true, evidence.Broken, 0},
		{"reset in the middle", toxic.Reset{When: "during", Select: toxic.All}, []string{begun, "3 DATA 01234", "3 RST_STREAM INTERNAL_ERROR"}, true, evidence.Broken, 200},
		{"reset behind it", toxic.Reset{When: "after", Select: toxic.All}, []string{begun, "3 DATA 0123456789", "3 RST_STREAM INTERNAL_ERROR"}, false, evidence.Broken, 200},
		{"reset of the connection in the middle", toxic.Reset{When: "during", Connection: true, Select: toxic.All}, []string{begun, "3 DATA 01234", "RST"}, true, evidence.Broken, 200},
		{"reset of the connection behind it", toxic.Reset{When: "after", Connection: true, Select: toxic.All},
			[]string{begun, "3 DATA 0123456789", "3 HEADERS sum=x END", "RST"}, false, evidence.Answered, 200},
		{"drop", toxic.DropResponse{Then: "reset", Select: toxic.All}, []string{"3 RST_STREAM INTERNAL_ERROR"}, false, evidence.Broken, 0},
		{"corrupt", toxic.Corrupt{Bytes: 1, Select: toxic.All}, []string{begun, "corrupt", "3 HEADERS sum=x END"}, false, evidence.Answered, 200},
		{"slow body", toxic.SlowBody{Piece: 4, Pause: time.Millisecond, Select: toxic.All},
			[]string{begun, "3 DATA 0123", "3 DATA 4567", "3 DATA 89", "3 HEADERS sum=x END"}, false, evidence.Answered, 200},
		{"late", toxic.Latency{Delay: time.Millisecond, On: "response", Select: toxic.All}, []string{begun, "3 DATA 0123456789", "3 HEADERS sum=x END"}, false, evidence.Answered, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _, c, up := streaming(t)
			remove := l.Add(4, tt.toxic)
			defer remove()
			c.get(3, "/a")
			if r, ok := tt.toxic.(toxic.Reset); ok && r.When == "" {
				c.expect(tt.caller...)
				l.recorded(tt.ending, tt.status, true)
				return
			}
			up.expect("3 " + gotGet + "/a END")
			up.head(3, false, ":status=200", "content-length=10")
			up.must(up.WriteData(3, false, []byte("0123456789")))
			if !tt.reset {
				up.head(3, true, "sum=x")
			}
			for _, want := range tt.caller {
				got := c.frame()
				if want == "corrupt" {
					if len(got) != len("3 DATA 0123456789") || got == "3 DATA 0123456789" {
						t.Errorf("got %s, want ten other bytes", got)
					}
				} else if got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
			l.recorded(tt.ending, tt.status, tt.name != "truncate behind the end")
			if tt.caller[len(tt.caller)-1] == "RST" {
				return
			}
			if tt.reset {
				up.expect("3 RST_STREAM CANCEL")
			}
			remove()
			c.get(5, "/b")
			up.expect("5 " + gotGet + "/b END")
			up.head(5, true, ":status=200")
			c.expect("5 HEADERS :status=200 END")
			l.recorded(evidence.Answered, 200, false)
		})
	}
}

// TestStreamsTruncatedWithoutLength: a caller that was not told how much comes
// must not take what was truncated for the whole.
func TestStreamsTruncatedWithoutLength(t *testing.T) {
	l, _, c, up := streaming(t)
	l.Add(4, toxic.Truncate{After: 4, Select: toxic.All})
	for id := uint32(3); id <= 5; id += 2 {
		c.get(id, "/a")
		up.expect(fmt.Sprintf("%d %s/a END", id, gotGet))
		up.head(id, false, ":status=200")
		up.must(up.WriteData(id, false, []byte("0123")))
		c.expect(fmt.Sprintf("%d HEADERS :status=200", id), fmt.Sprintf("%d DATA 0123", id))
		if id == 5 { // there is no more than this
			up.must(up.WriteData(id, true, nil))
			c.expect("5 DATA  END")
			l.recorded(evidence.Answered, 200, false)
			break
		}
		up.must(up.WriteData(id, false, []byte("4")))
		c.expect(fmt.Sprintf("%d RST_STREAM INTERNAL_ERROR", id))
		up.expect(fmt.Sprintf("%d RST_STREAM CANCEL", id))
		l.recorded(evidence.Broken, 200, true)
	}
}

// TestStreamsDropped lets a caller wait for what was dropped, until the heal.
func TestStreamsDropped(t *testing.T) {
	l, _, c, up := streaming(t)
	remove := l.Add(4, toxic.DropResponse{Select: toxic.All})
	c.get(3, "/a")
	up.expect("3 " + gotGet + "/a END")
	up.head(3, false, ":status=200")
	for range 2 * window / 16384 { // more than is kept
		up.must(up.WriteData(3, false, make([]byte, 16384)))
		up.frame() // a WINDOW_UPDATE
	}
	up.must(up.WriteData(3, true, nil))
	up.must(up.WritePing(false, [8]byte{'x'}))
	c.expect("PING x\x00\x00\x00\x00\x00\x00\x00")
	if n := l.InFlight(); n != 1 {
		t.Errorf("%d in flight, want 1", n)
	}
	remove()
	c.expect("3 RST_STREAM INTERNAL_ERROR")
	if x := l.recorded(evidence.Broken, 0, true); x.Own != 200 {
		t.Errorf("the dependency answered 200, recorded %d", x.Own)
	}
}

// What a call of gRPC came to stands in its trailers: until they are there it is not known.
func TestWithheldStatus(t *testing.T) {
	field := func(name, value string) []hpack.HeaderField { return []hpack.HeaderField{{Name: name, Value: value}} }
	for _, c := range []struct {
		name           string
		grpc           bool
		head, trailers []hpack.HeaderField
		own            int16
	}{
		{"HTTP", false, field(":status", "404"), nil, 404},
		{"HTTP with trailers", false, field(":status", "200"), field("x-sum", "1"), 200},
		{"gRPC, and no trailers yet", true, field(":status", "200"), nil, 0},
		{"gRPC, OK", true, field(":status", "200"), field("grpc-status", "0"), 200},
		{"gRPC, UNAVAILABLE", true, field(":status", "200"), field("grpc-status", "14"), 503},
		{"gRPC that was refused as HTTP", true, field(":status", "502"), nil, 502},
	} {
		s := &h2Stream{grpc: c.grpc}
		s.x.open, s.response.heads, s.response.trailers = true, [][]hpack.HeaderField{c.head}, c.trailers
		s.withheld()
		if s.x.Own != c.own {
			t.Errorf("%s: %d, want %d", c.name, s.x.Own, c.own)
		}
	}
}

func TestStreamsWithoutBodyAreReset(t *testing.T) {
	for _, when := range []string{"during", "after"} {
		l, _, c, up := streaming(t)
		remove := l.Add(4, toxic.Reset{When: when, Select: toxic.All})
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.head(3, true, ":status=200")
		status := 0
		if when == "after" {
			c.expect("3 HEADERS :status=200")
			status = 200
		}
		c.expect("3 RST_STREAM INTERNAL_ERROR")
		l.recorded(evidence.Broken, status, true)
		remove()
	}
}

func TestStreamsDuplicate(t *testing.T) {
	l, _, c, up := streaming(t)
	remove := l.Add(4, toxic.Duplicate{Select: toxic.All})
	body := strings.Repeat("0123456789abcdef", 1024)
	c.post(3, "/a")
	c.must(c.WriteData(3, false, []byte(body[:8192])))
	c.must(c.WriteData(3, false, []byte(body[8192:])))
	c.head(3, true, "sum=x")
	for _, id := range []uint32{3, 5} {
		up.expect(fmt.Sprintf("%d HEADERS :method=POST :scheme=http :authority=a :path=/a", id))
		got := ""
		for len(got) < len(body) {
			text := up.frame()
			got += strings.TrimPrefix(text, fmt.Sprintf("%d DATA ", id))
		}
		if got != body {
			t.Errorf("delivery on stream %d is not what was sent", id)
		}
		up.expect(fmt.Sprintf("%d HEADERS sum=x END", id))
	}
	up.head(5, false, ":status=500")
	for range 3 * window / 16384 {
		up.must(up.WriteData(5, false, make([]byte, 16384)))
		up.frame() // its WINDOW_UPDATE
	}
	up.must(up.WriteData(5, true, nil))
	up.head(3, true, ":status=201")
	for {
		if got := c.frame(); got == "3 HEADERS :status=201 END" {
			break
		} else if !strings.HasPrefix(got, "3 WINDOW_UPDATE") {
			t.Fatalf("the caller got %s", got)
		}
	}
	if x := l.recorded(evidence.Answered, 201, true); x.Payload != hashBytes([]byte(body)) {
		t.Errorf("recorded %+v", x)
	}
	remove()
}

func TestStreamsCorruptRequests(t *testing.T) {
	l, _, c, up := streaming(t)
	remove := l.Add(4, toxic.Corrupt{Bytes: 1, On: "request", Select: toxic.All})
	c.post(3, "/a")
	c.must(c.WriteData(3, true, []byte("0123456789")))
	up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
	if got := up.frame(); len(got) != len("3 DATA 0123456789 END") || strings.Contains(got, "0123456789") {
		t.Errorf("the dependency got %q, want ten other bytes", got)
	}
	up.head(3, true, ":status=200")
	c.expect("3 HEADERS :status=200 END")
	if x := l.recorded(evidence.Answered, 200, true); x.Payload != hashBytes([]byte("0123456789")) {
		t.Errorf("recorded %+v, want the hash of what the caller sent", x)
	}
	remove()
}

// TestStreamsSlowBodyHeals stops slowing a body down in the middle of it.
func TestStreamsSlowBodyHeals(t *testing.T) {
	l, _, c, up := streaming(t)
	remove := l.Add(4, toxic.SlowBody{Rate: unit.Bandwidth(1), Select: toxic.All})
	c.get(3, "/a")
	up.expect("3 " + gotGet + "/a END")
	up.head(3, false, ":status=200")
	up.must(up.WriteData(3, true, []byte("0123456789")))
	c.expect("3 HEADERS :status=200")
	wiretest.Eventually(t, "it is slowed down", func() bool { return l.Hit(4) == 1 })
	remove()
	got, more := "", true
	for more { // a byte may have been due on a slow machine
		var piece string
		piece, more = strings.CutSuffix(strings.TrimPrefix(c.frame(), "3 DATA "), " END")
		got, more = got+piece, !more
	}
	if got != "0123456789" {
		t.Errorf("got %q", got)
	}
	l.recorded(evidence.Answered, 200, true)
}
