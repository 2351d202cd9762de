package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
	"pgregory.net/rapid"
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
			got.Body += string(f.Payload)
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
func (t *StreamTemplate) all(stream uint32, seq uint64, part int, extracted ...string) []byte {
	p, size := t.AppendHead(nil, Unindexed, stream, seq, extracted), t.BodyLen(seq, extracted)
	for from := 0; from < size; from += part {
		p = t.AppendData(p, stream, seq, extracted, from, min(part, size-from))
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
			template, err := EncodeStream("http", tt.method, tt.path, tt.host, tt.headers, []byte(tt.body), tt.idHeader, Fill{Run: run})
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
		template, err := EncodeStream("https", "", "", "a", [][2]string{{"x", value + Placeholder}, {"y", value + Placeholder}}, nil, "", Fill{Run: 1})
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

// A head that says that there is no table says nothing else than the same head
// without that.
func TestTablelessHead(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		pad        int
	}{{"ends the request", "", 10}, {"has a body", "xyz", 10}, {"continues", "", MaxFrame}, {"fills a frame", "", MaxFrame - 150}} {
		template, err := EncodeStream("http", "", "", "a", [][2]string{{"x", strings.Repeat("v", tt.pad)}}, []byte(tt.body), "", Fill{Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		block := func(p []byte) Frame {
			for r := (FrameReader{}); len(p) > 0; {
				n, ok, err := r.Next(p)
				if err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				if p = p[n:]; ok && len(p) == 0 {
					return r.Frame
				}
			}
			t.Fatalf("%s: it is not one block", tt.name)
			panic("unreachable")
		}
		const before = "before"
		plain, said := template.AppendHead(nil, Unindexed, 9, 5, nil), template.AppendTablelessHead([]byte(before), 9, 5, nil)
		want, got := block(plain), block(said[len(before):])
		if string(got.Payload) != "\x20"+string(want.Payload) || got.End != want.End || got.Stream != 9 || want.End != (tt.body == "") {
			t.Errorf("%s: %q, end %v, want the same behind 0x20: %q, end %v", tt.name, got.Payload, got.End, want.Payload, want.End)
		}
	}
}

// What varies in length is cut into frames when it is there, whatever its length.
func TestStreamTemplateContinuesWhatVaries(t *testing.T) {
	fill := Fill{Run: 1, Prev: func(string) (int, error) { return 0, nil }}
	template, err := EncodeStream("http", "", "/${prev.x}", "a", [][2]string{{"x", "<${prev.x}>"}}, []byte("${prev.x}"), "", fill)
	if err != nil {
		t.Fatal(err)
	}
	id := string(AppendID(nil, ID{1, 5}))
	for _, n := range []int{0, 1, 124, 125, 126, 127, 128, 250, 253, 254, 255, 8000, MaxFrame/2 - 130, MaxFrame - 300, MaxFrame, 16_500, 32_000} {
		value := strings.Repeat("v", n)
		got := decode(t, template.all(9, 5, 1000, value), 9)
		want := seen{[]string{":method: GET", ":scheme: http", ":authority: a", ":path: /" + value, "x: <" + value + ">", fmt.Sprint("content-length: ", n), "user-agent: stormctl", "x-request-id: " + id, "traceparent: 00-" + id + "-0000000000000005-01"}, value}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d bytes: %s", n, diff)
		}
	}
	for n := MaxFrame/2 - 130; n < MaxFrame/2; n++ { // over the bound of the first frame
		value := strings.Repeat("v", n)
		if got := decode(t, template.all(9, 5, MaxFrame, value), 9); got.Fields[3] != ":path: /"+value || len(got.Fields) != 9 || got.Body != value {
			t.Fatalf("%d bytes: got %d fields, and %d bytes of body", n, len(got.Fields), len(got.Body))
		}
	}
}

// The value of a field has no white space at its ends, whatever fills it.
func TestStreamTemplateTrims(t *testing.T) {
	template, err := EncodeStream("http", "", "", "a", [][2]string{{"x", " ${data.v} ${data.v} "}}, nil, "", Fill{Run: 1, Data: &Table{Names: []string{"v"}, Columns: [][]string{{" \ta ", " "}}}})
	if err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[uint64]string{1: "x: a   \ta", 2: "x: "} {
		if got := decode(t, template.all(1, seq, 1), 1).Fields[4]; got != want {
			t.Errorf("row %d: got %q, want %q", seq, got, want)
		}
	}
}

// Over HTTP/2 a request says what it says over HTTP/1.1.
func TestStreamTemplateAgreesWithTemplate(t *testing.T) {
	texts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "-", "${id}", "${seq}", "${rand:0-9}", "${rand:1-100000}", "${data.name}", "${data.x y}", "$${", "$", strings.Repeat("long", 40), "${prev.a}", "${prev.b}",
	}), 0, 6)
	rapid.Check(t, func(rt *rapid.T) {
		text := func(label string) string { return strings.Join(texts.Draw(rt, label), "") }
		path, header, body, seq := "/"+text("path"), "x"+text("header")+"x", text("body"), rapid.Uint64Range(1, 1<<48-1).Draw(rt, "seq")
		host := rapid.SampledFrom([]string{"a", "a${seq}:80", "${id}", "${rand:1-100000}"}).Draw(rt, "host")
		extracted := []string{"one", strings.Repeat("two?/ é", 30)}
		fill := func() Fill {
			return Fill{Run: 1, Seed: 9, Data: people, Prev: func(what string) (int, error) { return int(what[0] - 'a'), nil }}
		}
		one, err1 := Encode("POST", path, host, [][2]string{{"X", header}}, []byte(body), "", fill())
		two, err2 := EncodeStream("http", "POST", path, host, [][2]string{{"X", header}}, []byte(body), "", fill())
		if err1 != nil || err2 != nil {
			if fmt.Sprint(err1) != fmt.Sprint(err2) {
				rt.Fatalf("%v, but over HTTP/2 %v", err1, err2)
			}
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(one.AppendExtracted(nil, seq, extracted))))
		if err != nil {
			rt.Fatal(err)
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			rt.Fatal(err)
		}
		want := seen{[]string{
			":method: POST", ":scheme: http", ":authority: " + r.Host, ":path: " + r.RequestURI, "x: " + r.Header.Get("X"), fmt.Sprint("content-length: ", len(content)), "user-agent: stormctl",
			"x-request-id: " + r.Header.Get("X-Request-Id"), "traceparent: " + r.Header.Get("Traceparent"),
		}, string(content)}
		got := decode(t, two.all(7, seq, rapid.IntRange(1, 100).Draw(rt, "part"), extracted...), 7)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// The head of a call's message says how long it is, each time anew.
func TestEncodeGRPCVaries(t *testing.T) {
	template, err := EncodeGRPC("http", "/a.B/C", "a", nil, []byte("<${seq}>"), time.Second, "", Fill{Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[uint64]string{7: "\x00\x00\x00\x00\x03<7>", 12345: "\x00\x00\x00\x00\x07<12345>"} {
		for part := 1; part < 10; part++ {
			if got := decode(t, template.all(1, seq, part), 1).Body; got != want {
				t.Errorf("request %d in parts of %d: got %q, want %q", seq, part, got, want)
			}
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
		if _, err := EncodeStream("http", "", "", "a", [][2]string{tt.header}, nil, "", Fill{Run: 1}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v; want %q in it", tt.header, err, tt.want)
		}
	}
}

func TestEncodeGRPC(t *testing.T) {
	template, err := EncodeGRPC("http", "/a.B/C", "a", [][2]string{{"Content-Type", "application/grpc+proto"}}, []byte("\x0a\x20"+Placeholder), 1500*time.Millisecond, "", Fill{Run: 1})
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
