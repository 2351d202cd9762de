package wire

import (
	"strings"
	"testing"
	"time"
)

// A small answer as nginx gives it, and one in chunks.
const (
	smallResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nDate: Mon, 23 Nov 2026 08:49:37 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 2\r\nLast-Modified: Mon, 23 Nov 2026 08:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"67\"\r\nAccept-Ranges: bytes\r\n\r\nok"
	chunkedResponse = "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	smallRequest    = "GET /pay?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: stormctl\r\nX-Request-Id: 0000000000000abc000000000000002a\r\n" +
		"traceparent: 00-0000000000000abc000000000000002a-000000000000002a-01\r\n\r\n"
)

// readOne reads a whole response that is all there.
func readOne(r *Response, wire []byte) (ok bool) {
	n, err := r.Parse(wire, false)
	if n == 0 || err != nil {
		return false
	}
	_, done, err := r.Body.Next(wire[n:])
	return done && err == nil
}

// steady are the things that happen once per request: none may allocate.
func steady(tb testing.TB) map[string]func() (ok bool) {
	template, err := Encode("POST", "/o/${id}", "a", nil, []byte("${id}"), "", Fill{Run: 1})
	if err != nil {
		tb.Fatal(err)
	}
	varying, err := Encode("POST", "/o/${seq}?u=${data.user}", "a", [][2]string{{"X-Shard", "${rand:0-15}"}}, []byte(`{"id":"${id}","user":"${data.user}","n":${rand:1-1000}}`), "",
		Fill{Run: 1, Data: &Table{Names: []string{"user"}, Columns: [][]string{{"ada", "grace hopper"}}}})
	if err != nil {
		tb.Fatal(err)
	}
	var (
		small, chunked, request = []byte(smallResponse), []byte(chunkedResponse), []byte(smallRequest)
		bad                     = []byte("HTTP/1.1 200 OK\r\nA : b\r\n\r\n")
		id                      = []byte("00-0000000000000001000000000000002a-000000000000002a-01")
		retryAfter              = []byte("120")
		dst                     = make([]byte, 0, template.Len())
		other                   = make([]byte, 0, varying.Len())
		response                Response
		r                       Request
		frames                  FrameReader
		blocks                  = NewBlockReader()
		answer                  = []byte(raw(FrameHeaders, 4, 1, "\x08\x03503\x0f\x12\x03now") + raw(FrameData, 1, 1, "ok"))
	)
	streamed, err := EncodeStream("http", "POST", "/o/${id}", "a", nil, []byte("${id}"), "", Fill{Run: 1})
	if err != nil {
		tb.Fatal(err)
	}
	varyingStream, err := EncodeGRPC("http", "/o/${seq}?u=${data.user}", "a", [][2]string{{"X-Shard", "${rand:0-15}"}, {"X-Long", strings.Repeat("x", 200) + "${prev.x}"}}, []byte(`{"id":"${id}","user":"${data.user}","n":${rand:1-1000}}`), time.Second, "",
		Fill{Run: 1, Data: &Table{Names: []string{"user"}, Columns: [][]string{{"ada", "grace hopper"}}}, Prev: func(string) (int, error) { return 0, nil }})
	if err != nil {
		tb.Fatal(err)
	}
	extracted := []string{"token"}
	dst, other = append(dst, make([]byte, 1024)...), append(other, make([]byte, 1024)...)
	return map[string]func() bool{
		"response":  func() bool { return readOne(&response, small) },
		"chunked":   func() bool { return readOne(&response, chunked) },
		"request":   func() bool { n, err := r.Parse(request); return n == len(request) && err == nil },
		"malformed": func() bool { _, err := response.Parse(bad, false); return err != nil },
		"template":  func() bool { dst = template.Append(dst[:0], 42); return len(dst) == template.Len() },
		"varying":   func() bool { other = varying.Append(other[:0], 42); return len(other) <= varying.Len() },
		"frames": func() bool {
			n, ok, err := frames.Next(answer)
			block, blockErr := blocks.Read(frames.Frame.Payload, 0)
			m, okData, errData := frames.Next(answer[n:])
			return ok && err == nil && blockErr == nil && block.Status == 503 && okData && errData == nil && n+m == len(answer)
		},
		"stream": func() bool {
			dst = streamed.AppendHead(dst[:0], Unindexed, 1, 42, nil)
			dst = streamed.AppendData(dst, 1, 42, nil, 0, streamed.BodyLen(42, nil))
			return len(dst) > streamed.BodyLen(42, nil)
		},
		"varying stream": func() bool {
			other = varyingStream.AppendHead(other[:0], Unindexed, 1, 42, extracted)
			size := varyingStream.BodyLen(42, extracted)
			other = varyingStream.AppendData(other, 1, 42, extracted, 0, size/2)
			other = varyingStream.AppendData(other, 1, 42, extracted, size/2, size-size/2)
			return len(other) > size
		},
		"id":          func() bool { seq, ok := ParseID(id, 1); return ok && seq == 42 },
		"retry-after": func() bool { _, ok := ParseRetryAfter(retryAfter, time.Time{}); return ok },
		"get":         func() bool { _, ok := r.Fields.Get("TRACEPARENT"); return ok },
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	things := steady(t)
	things["request"]() // gives "get" its fields
	for name, once := range things {
		ok := true
		if allocs := testing.AllocsPerRun(100, func() { ok = once() && ok }); allocs != 0 || !ok {
			t.Errorf("%s: %v allocations, ok %t", name, allocs, ok)
		}
	}
}

func BenchmarkSteadyState(b *testing.B) {
	things := steady(b)
	things["request"]()
	for name, once := range things {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// BenchmarkManyChunks is the worst case of a body: framing is read byte by byte.
func BenchmarkManyChunks(b *testing.B) {
	wire := []byte(strings.Repeat("4\r\nabcd\r\n", 1000) + "0\r\n\r\n")
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		body := newBody(Chunked, 0)
		if _, done, err := body.Next(wire); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
