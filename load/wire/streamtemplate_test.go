package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// seen is a request as a server sees it.
type seen struct {
	Fields []string
	Body   string
}

// decode reads the frames of one request, and checks what must hold for all.
func decode(t *testing.T, wire []byte, stream uint32) (got seen) {
	t.Helper()
	var r FrameReader
	ended := false
	for p := wire; len(p) > 0; {
		if size := 9 + int(p[0])<<16 + int(p[1])<<8 + int(p[2]); size > 9+MaxFrame || size > len(p) {
			t.Fatalf("a frame of %d bytes, with %d left", size, len(p))
		}
		n, ok, err := r.Next(p)
		if err != nil || ended {
			t.Fatalf("error %v, ended %t", err, ended)
		}
		if p = p[n:]; !ok {
			continue
		}
		f := &r.Frame
		if ended = f.End; f.Stream != stream {
			t.Fatalf("a frame on stream %d, want %d", f.Stream, stream)
		}
		if f.Type == FrameData {
			got.Body += string(wire[len(wire)-len(p)-f.Flow : len(wire)-len(p)])
			continue
		}
		d := hpack.NewDecoder(0, nil)
		fields, err := d.DecodeFull(f.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range fields {
			got.Fields = append(got.Fields, h.Name+": "+h.Value)
		}
	}
	if !ended {
		t.Fatal("the request has no end")
	}
	return got
}

// all are the frames of a request of which the body is sent in parts.
func (t *StreamTemplate) all(stream uint32, seq uint64, part int) []byte {
	p := t.AppendHead(nil, stream, seq)
	for from := 0; from < t.BodyLen(); from += part {
		p = t.AppendData(p, stream, seq, from, min(part, t.BodyLen()-from))
	}
	return p
}

func TestStreamTemplate(t *testing.T) {
	const run, seq, stream = 0xabc, 42, 0x01020305
	const id = "0000000000000abc000000000000002a"
	const trace = "traceparent: 00-" + id + "-000000000000002a-01"
	for _, tt := range []struct {
		name               string
		method, path, host string
		headers            [][2]string
		body, idHeader     string
		want               seen
	}{
		{
			name: "defaults", host: "a:1",
			want: seen{Fields: []string{":method: GET", ":scheme: http", ":authority: a:1", ":path: /", "user-agent: stormctl", "x-request-id: " + id, trace}},
		}, {
			name: "id everywhere", method: "POST", path: "/o/${id}?x=${id}", host: "a", headers: [][2]string{{"Idempotency-Key", "k-${id}"}}, body: `{"order":"${id}"}`, idHeader: "X-Id",
			want: seen{[]string{":method: POST", ":scheme: http", ":authority: a", ":path: /o/" + id + "?x=" + id, "idempotency-key: k-" + id, "content-length: 44", "user-agent: stormctl", "x-id: " + id, trace}, `{"order":"` + id + `"}`},
		}, {
			name: "given headers stand", host: "a", method: "PUT", body: "xyz",
			headers: [][2]string{{"HOST", "b"}, {"User-Agent", " u\t"}, {"X-Request-Id", "mine"}, {"Traceparent", "00-${id}-1111111111111111-00"}, {"Content-Length", "3"}, {"TE", "trailers"}},
			want:    seen{[]string{":method: PUT", ":scheme: http", ":authority: b", ":path: /", "user-agent: u", "x-request-id: mine", "traceparent: 00-" + id + "-1111111111111111-00", "content-length: 3", "te: trailers"}, "xyz"},
		}, {
			name: "POST without body has a length", method: "POST", host: "a",
			want: seen{Fields: []string{":method: POST", ":scheme: http", ":authority: a", ":path: /", "content-length: 0", "user-agent: stormctl", "x-request-id: " + id, trace}},
		}, {
			name: "traceparent alone", host: "a", idHeader: "Traceparent", headers: [][2]string{{"x", strings.Repeat("v", 1000)}},
			want: seen{Fields: []string{":method: GET", ":scheme: http", ":authority: a", ":path: /", "x: " + strings.Repeat("v", 1000), "user-agent: stormctl", trace}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, err := EncodeStream("http", tt.method, tt.path, tt.host, tt.headers, []byte(tt.body), tt.idHeader, run)
			if err != nil {
				t.Fatal(err)
			}
			template.all(7, 7, 1) // must leave nothing behind
			for _, part := range []int{1, 7, MaxFrame} {
				if diff := cmp.Diff(tt.want, decode(t, template.all(stream, seq, part), stream)); diff != "" {
					t.Errorf("in parts of %d: %s", part, diff)
				}
			}
		})
	}
}

// A block that needs several frames is cut outside of its holes, wherever those
// fall.
func TestStreamTemplateContinues(t *testing.T) {
	id := string(AppendID(nil, ID{1, 0xfedcba9876543210}))
	for pad := MaxFrame - 300; pad < MaxFrame+20; pad++ {
		value := strings.Repeat("v", pad)
		template, err := EncodeStream("https", "", "", "a", [][2]string{{"x", value + Placeholder}, {"y", value + Placeholder}}, nil, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, template.all(9, 0xfedcba9876543210, 1), 9)
		want := []string{":method: GET", ":scheme: https", ":authority: a", ":path: /", "x: " + value + id, "y: " + value + id, "user-agent: stormctl", "x-request-id: " + id, "traceparent: 00-" + id + "-fedcba9876543210-01"}
		if diff := cmp.Diff(want, got.Fields); diff != "" {
			t.Fatalf("%d bytes of padding: %s", pad, diff)
		}
	}
}

func TestEncodeStreamRefuses(t *testing.T) {
	for _, tt := range []struct {
		header [2]string
		want   string
	}{
		{[2]string{"Connection", "close"}, "header Connection: there is none in HTTP/2"},
		{[2]string{"keep-alive", "5"}, "there is none in HTTP/2"},
		{[2]string{"Upgrade", "h2c"}, "there is none in HTTP/2"},
		{[2]string{"Proxy-Connection", "close"}, "there is none in HTTP/2"},
		{[2]string{"TE", "gzip"}, "no value but trailers"},
		{[2]string{"Transfer-Encoding", "chunked"}, "Transfer-Encoding"},
		{[2]string{":path", "/"}, `header ":path" is not a header name`},
		{[2]string{"Content-Length", "5"}, `Content-Length: "5", but the body has 0 bytes`},
		{[2]string{"A", "b\nc"}, "control character"},
	} {
		if _, err := EncodeStream("http", "", "", "a", [][2]string{tt.header}, nil, "", 1); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v; want %q in it", tt.header, err, tt.want)
		}
	}
}

func TestEncodeGRPC(t *testing.T) {
	template, err := EncodeGRPC("http", "/a.B/C", "a", [][2]string{{"Content-Type", "application/grpc+proto"}}, []byte("\x0a\x20"+Placeholder), 1500*time.Millisecond, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	id := string(AppendID(nil, ID{1, 2}))
	want := seen{
		[]string{":method: POST", ":scheme: http", ":authority: a", ":path: /a.B/C", "content-type: application/grpc+proto", "te: trailers", "grpc-timeout: 1500000u", "user-agent: stormctl", "x-request-id: " + id, "traceparent: 00-" + id + "-0000000000000002-01"},
		"\x00\x00\x00\x00\x22\x0a\x20" + id, // 2 + 32 = 0x22
	}
	if diff := cmp.Diff(want, decode(t, template.all(1, 2, MaxFrame), 1)); diff != "" {
		t.Error(diff)
	}
}

func TestGRPCTimeout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0n", -time.Second: "0n", time.Nanosecond: "1n", 99_999_998: "99999998n", 99_999_999: "100000u", // by more rather than by less
		time.Second: "1000000u", 10 * time.Second: "10000000u", 99_999_999 * time.Microsecond: "100000m", 24 * time.Hour: "86400000m",
		1<<63 - 1: "2562048H", // 153,722,868 minutes are nine digits
	} {
		if got := grpcTimeout(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestGRPCToHTTP(t *testing.T) {
	for status, want := range map[int]int{0: 200, 3: 400, 4: 504, 14: 503, 16: 401, 17: 500, -1: 500} {
		if got := GRPCToHTTP(status); got != want {
			t.Errorf("%d: got %d, want %d", status, got, want)
		}
	}
}
