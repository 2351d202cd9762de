package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// message is all that can be known of the first message in some bytes.
type message struct {
	Err    string // of the head or of the body
	Head   int    // length of the head; 0 if it is not complete
	Start  string // what the first line says
	Fields [][2]string
	Close  bool
	Body   string // payload
	Size   int    // head and body, as far as they are there
	Done   bool   // the message is complete
	EOF    string // what it means that the connection ends here

	err error
}

// read reads the first message of data, which comes in pieces that end at cuts.
func read(data []byte, cuts []int, parse func(buf []byte) (int, *Body, func() message, error)) (m message) {
	var body *Body
	pos := 0 // bytes of the message taken so far
	for _, have := range append(cuts, len(data)) {
		if body == nil {
			// A copy of exactly the bytes there are: reading past them would panic.
			n, b, describe, err := parse(bytes.Clone(data[:have]))
			if err != nil {
				return message{Err: err.Error(), err: err}
			}
			if n == 0 {
				continue
			}
			m, body, pos = describe(), b, n
			m.Head = n
		}
		for pos < have && !body.Done() {
			n, payload, err := body.Span(bytes.Clone(data[pos:have]))
			if payload {
				m.Body += string(data[pos : pos+n])
			}
			pos += n
			if err != nil {
				m.Err, m.err = err.Error(), err
				break
			}
			if n == 0 {
				panic("no progress")
			}
		}
	}
	m.Size = pos
	if body == nil {
		m.EOF = io.ErrUnexpectedEOF.Error()
		return m
	}
	m.Done = body.Done()
	if err := body.EOF(); err != nil {
		m.EOF = err.Error()
	}
	return m
}

func readOurResponse(toHEAD bool) func([]byte) (int, *Body, func() message, error) {
	return func(buf []byte) (int, *Body, func() message, error) {
		var r Response
		n, err := r.Parse(buf, toHEAD)
		return n, &r.Body, func() message {
			return message{Start: strconv.Itoa(r.Status) + " " + string(rune('0'+r.Minor)), Fields: pairs(r.Fields), Close: r.Close}
		}, err
	}
}

func readOurRequest(buf []byte) (int, *Body, func() message, error) {
	var r Request
	n, err := r.Parse(buf)
	return n, &r.Body, func() message {
		return message{Start: string(r.Method) + " " + string(r.Target) + " " + string(rune('0'+r.Minor)), Fields: pairs(r.Fields), Close: r.Close}
	}, err
}

func pairs(fields Fields) (p [][2]string) {
	for _, f := range fields {
		p = append(p, [2]string{string(f.Name), string(f.Value)})
	}
	return p
}

// sameHowever checks that it does not matter how data is cut into reads: in two
// at any place, byte by byte, and in pieces drawn from seed.
func sameHowever(t *testing.T, data []byte, seed uint64, parse func([]byte) (int, *Body, func() message, error)) message {
	t.Helper()
	whole := read(data, nil, parse)
	ways := [][]int{}
	if len(data) <= 300 {
		every := []int{}
		for i := range data {
			ways = append(ways, []int{i})
			every = append(every, i)
		}
		ways = append(ways, every)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 3 {
		cuts := []int{}
		for at := 0; at < len(data) && len(cuts) < 50; at += 1 + rng.IntN(1+len(data)/4) {
			cuts = append(cuts, at)
		}
		ways = append(ways, cuts)
	}
	for _, cuts := range ways {
		got := read(data, cuts, parse)
		if !reflect.DeepEqual(whole, got) { // much cheaper than a Diff, and there are many ways
			t.Fatalf("cut at %v (-whole +cut):\n%s\nof %q", cuts, cmp.Diff(whole, got, cmpopts.IgnoreUnexported(message{})), data)
		}
	}
	return whole
}

// theirs is what net/http makes of data.
type theirs struct {
	err    error
	start  string
	header http.Header
	close  bool
	body   string
	size   int
}

func readTheirs(data []byte, head func(*bufio.Reader) (start string, h http.Header, close bool, body io.Reader, err error)) (m theirs) {
	under := bytes.NewReader(data)
	r := bufio.NewReaderSize(under, len(data)+4096) // so that no trailer is too long for its buffer
	var body io.Reader
	m.start, m.header, m.close, body, m.err = head(r)
	if m.err != nil {
		return m
	}
	payload, err := io.ReadAll(body)
	m.body, m.err = string(payload), err
	m.size = len(data) - under.Len() - r.Buffered()
	return m
}

func readTheirResponse(data []byte, toHEAD bool) theirs {
	method := "GET"
	if toHEAD {
		method = "HEAD"
	}
	return readTheirs(data, func(r *bufio.Reader) (string, http.Header, bool, io.Reader, error) {
		p, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return "", nil, false, nil, err
		}
		return strconv.Itoa(p.StatusCode) + " " + string(rune('0'+p.ProtoMinor)), p.Header, p.Close, p.Body, nil
	})
}

func readTheirRequest(data []byte) theirs {
	return readTheirs(data, func(r *bufio.Reader) (string, http.Header, bool, io.Reader, error) {
		p, err := http.ReadRequest(r)
		if err != nil {
			return "", nil, false, nil, err
		}
		return p.Method + " " + p.RequestURI + " " + string(rune('0'+p.ProtoMinor)), p.Header, p.Close, p.Body, nil
	})
}

// agree checks that we and net/http read the same message, or differ only as
// the package comment says.
func agree(t *testing.T, data []byte, ours message, their theirs, stricter map[error]shows) {
	t.Helper()
	switch {
	case ours.err != nil:
		if !errors.Is(ours.err, ErrMalformed) && !errors.Is(ours.err, ErrTooLarge) {
			t.Fatalf("error %v wraps neither ErrMalformed nor ErrTooLarge", ours.err)
		}
		if their.err != nil {
			return
		}
		why, documented := stricter[ours.err]
		if !documented || !why(data) {
			t.Fatalf("we refuse %q: %v; net/http accepts it", data, ours.err)
		}
	case ours.EOF != "":
		if their.err == nil {
			t.Fatalf("to us, %q is cut short; to net/http it is complete", data)
		}
	case their.err != nil:
		if target := strings.Split(ours.Start, " "); len(target) == 3 { // a request
			raw := target[1]
			if target[0] == "CONNECT" && !strings.HasPrefix(raw, "/") {
				raw = "http://" + raw
			}
			if _, err := url.ParseRequestURI(raw); err != nil {
				return // documented: URLs are for the system under test to judge
			}
		}
		if strings.Contains(their.err.Error(), "bad trailer key") {
			return // documented: what Trailer announces too
		}
		if why := their.err.Error(); strings.Contains(why, "Content-Length") && listOfLengths(data) ||
			strings.Contains(why, "unsupported transfer encoding") || strings.Contains(why, "too many transfer encodings") {
			return // documented: lists of lengths, and codings besides chunked
		}
		t.Fatalf("we accept %q; net/http says %v", data, their.err)
	default:
		header := http.Header{}
		for _, f := range ours.Fields {
			name := http.CanonicalHeaderKey(f[0])
			header[name] = append(header[name], f[1])
		}
		for _, edited := range []string{"Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Host", "Cache-Control"} {
			header.Del(edited) // net/http takes these out, or adds them
			their.header.Del(edited)
		}
		got := theirs{start: ours.Start, header: header, close: ours.Close, body: ours.Body, size: ours.Size}
		if diff := cmp.Diff(their, got, cmp.AllowUnexported(theirs{})); diff != "" {
			t.Fatalf("of %q (-net/http +ours):\n%s", data, diff)
		}
	}
}

var listOfLengths = matching(`(?i)\ncontent-length:[ \t]*[0-9]+[ \t]*,`)

// shows tells that data gives a reason to refuse it.
type shows func(data []byte) bool

func matching(pattern string) shows { return regexp.MustCompile(pattern).Match }

func longerThan(n int) shows { return func(data []byte) bool { return len(data) > n } }

func moreLinesThan(n int) shows {
	return func(data []byte) bool { return bytes.Count(data, []byte("\n")) > n }
}

// aLineOver reports a line of more than n bytes, its end included.
func aLineOver(n int) shows {
	return func(data []byte) bool {
		for line := range bytes.Lines(data) {
			if len(line) > n {
				return true
			}
		}
		return false
	}
}

// bothStricter is where we refuse what net/http accepts, and what the bytes must
// show then.
var bothStricter = map[error]shows{
	errLength:        matching(`(?is)\ncontent-length:.*\ntransfer-encoding:|\ntransfer-encoding:.*\ncontent-length:`),
	errOldCoding:     matching(`(?is)^[^\n]*HTTP/1\.0.*\ntransfer-encoding:`),
	errCoding:        matching(`(?is)^[^\n]*HTTP/1\.0.*\ntransfer-encoding:`),
	errFolded:        matching(`\n[ \t]`),
	errFieldName:     matching(`\n[^:\n]* [^:\n]*:`),
	errHeadSize:      longerThan(MaxHead),
	errFields:        moreLinesThan(MaxFields),
	errChunkSize:     matching(`(?i)\n[0-9a-f]{16}[ \t;\r]`),
	errChunkLine:     matching(`\n[0-9A-Fa-f]+;[^\n]*[\x00-\x08\x0b-\x1f\x7f]`),
	errChunkLineSize: aLineOver(maxChunkLine),
	errTrailer:       matching(`\n0+[ \t]*(;[^\n]*)?\r\n`),
	errTrailerSize:   longerThan(MaxHead),
	errTrailerFields: moreLinesThan(MaxFields),
}

// Regexps cannot negate, so this spells out each way a status line may differ
// from those we accept.
var responseStricter = with(bothStricter, errStatusLine,
	matching(`^HTTP/([^1]|1\.[0-9]  |1\.[0-9] (0|\+)|[^\n]*[\x00-\x08\x0b-\x1f\x7f][^\n]*\n)`))

var requestStricter = with(with(bothStricter,
	errRequestLine, matching(`^[^\n]*(  | HTTP/[^1])[^\n]*\n`)), // a target of nothing, which net/http takes of CONNECT
	errBareLF, matching(`(^|[^\r])\n`))

func with(m map[error]shows, err error, why shows) map[error]shows {
	m = maps.Clone(m)
	m[err] = why
	return m
}

func FuzzResponse(f *testing.F) {
	for _, c := range responses {
		f.Add([]byte(c.wire), c.toHEAD, uint64(1))
	}
	for _, body := range chunkedBodies {
		f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+body.wire), false, uint64(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, toHEAD bool, seed uint64) {
		ours := sameHowever(t, data, seed, readOurResponse(toHEAD))
		agree(t, data, ours, readTheirResponse(data, toHEAD), responseStricter)
	})
}

func FuzzRequest(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.wire), uint64(1))
	}
	for _, body := range chunkedBodies {
		f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"+body.wire), uint64(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		ours := sameHowever(t, data, seed, readOurRequest)
		agree(t, data, ours, readTheirRequest(data), requestStricter)
	})
}

// Grammar drawn at random reaches combinations that mutation of bytes seldom
// does; it needs no fuzzing engine, so it runs with every test.
func TestAgreesWithNetHTTPOnDrawnMessages(t *testing.T) {
	const seed = 20261123
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	fields := func() (s string) {
		for range rng.IntN(5) {
			s += pick("Content-Length: 3", "content-length:5", "Content-Length: 0", "Content-Length: 05", "Transfer-Encoding: chunked",
				"Transfer-Encoding: gzip", "Connection: close", "Connection: x, keep-alive", "Host: a", "X: y", "X : y", " folded", "Content-Length: 3, 3", "Transfer-Encoding: gzip, chunked", "X:", ":x",
				"Expect: 100-continue", "Upgrade: h2c", "X: \x00", "X: \ty\t ", "Trailer: X", "Trailer: Content-Length") + pick("\r\n", "\r\n", "\r\n", "\n", "\r\r\n")
		}
		return s + pick("\r\n", "\r\n", "\n", "")
	}
	body := func() string {
		return pick("", "abc", "abcdefgh", "3\r\nabc\r\n0\r\n\r\nHTTP/1.1", "3;x=\"y\"\r\nabc\r\n0\r\nX: y\r\n\r\nz", "3 \r\nabc\r\n00\r\n\r\n", "3\nabc\r\n0\r\n\r\n",
			"ffffffffffffffff\r\n", "0\r\nX: y\n\r\n", "0\r\n X: y\r\n\r\n", "3\r\nabcd\r\n", "-1\r\n", "3\r\nabc\r\n0\r\n")
	}
	verdicts := map[string]int{}
	for range 5_000 {
		start := pick("HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 304", "HTTP/1.1 100 Continue",
			"HTTP/1.1 101 x", "HTTP/1.1 099 x", "HTTP/2.0 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.7 503 \x7f") + pick("\r\n", "\r\n", "\n")
		data, toHEAD := []byte(start+fields()+body()), rng.IntN(8) == 0
		ours, their := sameHowever(t, data, rng.Uint64(), readOurResponse(toHEAD)), readTheirResponse(data, toHEAD)
		agree(t, data, ours, their, responseStricter)
		verdicts[sides("response", ours, their)]++

		start = pick("GET / HTTP/1.1", "POST /a?b HTTP/1.1", "PUT http://a/b HTTP/1.0", "GET /%zz HTTP/1.1", "G(T / HTTP/1.1", "GET  / HTTP/1.1",
			"GET / HTTP/2.0", "CONNECT a:1 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET /a b HTTP/1.1", "GET /") + pick("\r\n", "\r\n", "\r\n", "\n")
		data = []byte(start + fields() + body())
		ours, their = sameHowever(t, data, rng.Uint64(), readOurRequest), readTheirRequest(data)
		agree(t, data, ours, their, requestStricter)
		verdicts[sides("request", ours, their)]++
	}
	for _, kind := range []string{"request", "response"} {
		for _, side := range []string{"both accept", "both refuse", "we are stricter"} {
			if n := verdicts[kind+": "+side]; n < 50 {
				t.Errorf("seed %d: %s: %s: only %d messages; the draw proves little (%v)", seed, kind, side, n, slices.Sorted(maps.Keys(verdicts)))
			}
		}
	}
}

func sides(kind string, ours message, their theirs) string {
	weRefuse := ours.err != nil || ours.EOF != ""
	switch {
	case weRefuse && their.err != nil:
		return kind + ": both refuse"
	case weRefuse:
		return kind + ": we are stricter"
	case their.err != nil:
		return kind + ": they are stricter"
	default:
		return kind + ": both accept"
	}
}
