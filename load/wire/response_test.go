package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// want is what a row of a table expects of a head.
type want struct {
	head    int // length of the head
	framing Framing
	close   bool
}

// head is how many bytes of wire come before its body.
func headLen(wire string) int {
	end := strings.Index(wire, "\r\n\r\n") + 4
	if lf := strings.Index(wire, "\n\n"); lf >= 0 && (end == 3 || lf+2 < end) {
		end = lf + 2
	}
	return end
}

var responses = []struct {
	name, wire string
	toHEAD     bool
	err        error // nil: accepted
	status     int   // 0: incomplete
	framing    Framing
	close      bool
	doubtful   bool
}{
	{name: "no bytes", wire: ""},
	{name: "first byte", wire: "H"},
	{name: "no blank line", wire: "HTTP/1.1 200 OK\r\nA: b\r\n"},
	{name: "CR of the blank line", wire: "HTTP/1.1 200 OK\r\nA: b\r\n\r"},
	{name: "no fields: until close", wire: "HTTP/1.1 200 OK\r\n\r\nabc", status: 200, framing: UntilClose, close: true},
	{name: "no reason", wire: "HTTP/1.1 200\r\n\r\n", status: 200, framing: UntilClose, close: true},
	{name: "empty reason", wire: "HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n", status: 503},
	{name: "length", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP", status: 200, framing: Length},
	{name: "length, close", wire: "HTTP/1.1 200 OK\r\nconnection: x, Close\r\nCONTENT-LENGTH:\t3 \r\n\r\nabc", status: 200, framing: Length, close: true},
	{name: "the same length twice", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", status: 200, framing: Length},
	{name: "chunked", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", status: 200, framing: Chunked},
	{name: "1.0 closes", wire: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", status: 200, framing: Length, close: true},
	{name: "1.0 keeps", wire: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\nabc", status: 200, framing: Length},
	{name: "1.2 is like 1.1", wire: "HTTP/1.2 200 OK\r\nContent-Length: 3\r\n\r\nabc", status: 200, framing: Length},
	{name: "to HEAD, with length", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHTTP", toHEAD: true, status: 200},
	{name: "to HEAD, without", wire: "HTTP/1.1 200 OK\r\n\r\n", toHEAD: true, status: 200},
	{name: "204 with length", wire: "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", status: 204},
	{name: "304 chunked", wire: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", status: 304},
	{name: "100", wire: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", status: 100},
	{name: "101", wire: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81", status: 101},
	{name: "lines end in LF", wire: "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", status: 200, framing: Length},
	{name: "empty value", wire: "HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 3\r\n\r\nabc", status: 200, framing: Length},
	{name: "value above ASCII", wire: "HTTP/1.1 200 \xe9\r\nX: \xe9\r\nContent-Length: 3\r\n\r\nabc", status: 200, framing: Length},

	{name: "another protocol, from its first byte", wire: "\x15", err: errStatusLine},
	{name: "SSH", wire: "SSH-2.0-x", err: errStatusLine},
	{name: "HTTP/2", wire: "HTTP/2", err: errStatusLine},
	{name: "no version digit", wire: "HTTP/1.x 200 OK\r\n\r\n", err: errStatusLine},
	{name: "two spaces", wire: "HTTP/1.1  200 OK\r\n\r\n", err: errStatusLine},
	{name: "status of two digits", wire: "HTTP/1.1 20 OK\r\n\r\n", err: errStatusLine},
	{name: "status of four digits", wire: "HTTP/1.1 2000 OK\r\n\r\n", err: errStatusLine},
	{name: "status with a sign", wire: "HTTP/1.1 +20 OK\r\n\r\n", err: errStatusLine},
	{name: "status below 100", wire: "HTTP/1.1 099 OK\r\n\r\n", err: errStatusLine},
	{name: "CR in the reason", wire: "HTTP/1.1 200 O\rK\r\n\r\n", err: errStatusLine},
	{name: "empty line before", wire: "\r\nHTTP/1.1 200 OK\r\n\r\n", err: errStatusLine},
	{name: "no colon", wire: "HTTP/1.1 200 OK\r\nabc\r\n\r\n", err: errFieldName},
	{name: "no name", wire: "HTTP/1.1 200 OK\r\n: abc\r\n\r\n", err: errFieldName},
	{name: "space before the colon", wire: "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\n", err: errFieldName},
	{name: "space in the name", wire: "HTTP/1.1 200 OK\r\nA B: 3\r\n\r\n", err: errFieldName},
	{name: "name above ASCII", wire: "HTTP/1.1 200 OK\r\n\xe9: 3\r\n\r\n", err: errFieldName},
	{name: "folded", wire: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", status: 200, framing: UntilClose, close: true},
	{name: "folded twice, and behind nothing", wire: "HTTP/1.1 200 OK\r\nA:\r\n b\r\n\tc\r\nContent-Length: 3\r\n\r\n", status: 200, framing: Length},
	{name: "cut where it may be folded", wire: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n"},
	{name: "connection folded", wire: "HTTP/1.1 200 OK\r\nConnection: a,\r\n close\r\n\r\n", err: errFolded},
	{name: "first field indented", wire: "HTTP/1.1 200 OK\r\n\tA: b\r\n\r\n", err: errFolded},
	{name: "CR in a value", wire: "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", err: errFieldValue},
	{name: "two CRs", wire: "HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", err: errFieldValue},
	{name: "NUL in a value", wire: "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", err: errFieldValue},
	{name: "length and chunked", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, framing: Chunked, doubtful: true},
	{name: "the same with HEAD", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", toHEAD: true, status: 200},
	{name: "two lengths", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", err: errLengths},
	{name: "two lengths, one number", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 03\r\n\r\n", err: errLengths},
	{name: "list of lengths", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", status: 200, framing: Length},
	{name: "list of two lengths", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n", err: errLengths},
	{name: "list that goes on", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3,\r\n\r\n", err: errLength},
	{name: "length with a sign", wire: "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", err: errLength},
	{name: "negative length", wire: "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", err: errLength},
	{name: "hexadecimal length", wire: "HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\n", err: errLength},
	{name: "empty length", wire: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", err: errLength},
	{name: "length past int64", wire: "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", err: errLength}, // 2^63
	{name: "chunked twice", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", err: errCoding},
	{name: "gzip, chunked", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", status: 200, framing: Chunked},
	{name: "the same in two fields", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, framing: Chunked},
	{name: "gzip", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", status: 200, framing: UntilClose, close: true, doubtful: true},
	{name: "chunked, gzip", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", err: errCoding},
	{name: "empty coding", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked\r\n\r\n", err: errCoding},
	{name: "coding with a parameter", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip;q=1, chunked\r\n\r\n", err: errCoding},
	{name: "identity", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", err: errCoding},
	{name: "chunked in 1.0", wire: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", err: errOldCoding},
}

func TestResponse(t *testing.T) {
	for _, c := range responses {
		t.Run(c.name, func(t *testing.T) {
			var r Response
			n, err := r.Parse([]byte(c.wire), c.toHEAD)
			if c.err != nil {
				if err != c.err || !errors.Is(err, ErrMalformed) || n != 0 {
					t.Fatalf("n %d, error %v; want 0 and %v", n, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.status == 0 {
				if n != 0 {
					t.Fatalf("n %d of an incomplete head; want 0", n)
				}
				return
			}
			if r.Doubtful != c.doubtful {
				t.Errorf("doubtful %t, want %t", r.Doubtful, c.doubtful)
			}
			got := want{head: n, framing: r.Body.Framing(), close: r.Close}
			if want := (want{head: headLen(c.wire), framing: c.framing, close: c.close}); got != want || r.Status != c.status {
				t.Errorf("status %d, %+v; want %d, %+v", r.Status, got, c.status, want)
			}
		})
	}
}

// TestFoldedValue: it is one line with a space where it was folded, and the bytes
// that were given stay as they are.
func TestFoldedValue(t *testing.T) {
	const wire = "HTTP/1.1 200 OK\r\nA: b \r\n\t c\r\n d \r\nContent-Length: 0\r\n\r\n"
	var r Response
	given := []byte(wire)
	if n, err := r.Parse(given, false); n != len(wire) || err != nil {
		t.Fatal(n, err)
	}
	if got, _ := r.Fields.Get("a"); string(got) != "b c d" || string(given) != wire {
		t.Errorf("value %q of %q", got, given)
	}
}

func TestResponseInterim(t *testing.T) {
	wire := []byte("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	var r Response
	var seen []int
	for {
		n, err := r.Parse(wire, false)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		seen = append(seen, r.Status)
		if _, done, err := r.Body.Next(nil); done != r.Interim() || err != nil {
			t.Fatalf("status %d: body done %t, %v", r.Status, done, err)
		}
		wire = wire[n:]
		if !r.Interim() {
			break
		}
	}
	if diff := cmp.Diff([]int{103, 200}, seen); diff != "" || string(wire) != "ok" {
		t.Errorf("%s; left %q", diff, wire)
	}
	if n, err := r.Parse([]byte("HTTP/1.1 101 x\r\n\r\n"), false); n == 0 || err != nil || r.Interim() || !r.Upgrade {
		t.Errorf("101: interim %t, upgrade %t; it is the last response, and it upgrades", r.Interim(), r.Upgrade)
	}
}

func TestHeadBounds(t *testing.T) {
	const start, end = "HTTP/1.1 204 x\r\n", "\r\n"
	pad := func(size int) string { // one field, so that the head has this size
		return start + "A: " + strings.Repeat("b", size-len(start)-len("A: \r\n")-len(end)) + "\r\n" + end
	}
	for _, c := range []struct {
		name, wire string
		err        error
	}{
		{"largest head", pad(MaxHead), nil},
		{"a byte more", pad(MaxHead + 1), errHeadSize},
		{"no end in sight", start + strings.Repeat("A: b\r\n", 10) + strings.Repeat("x", MaxHead), errHeadSize},
		{"most fields", start + strings.Repeat("A: b\r\n", MaxFields) + end, nil},
		{"a field more", start + strings.Repeat("A: b\r\n", MaxFields+1) + end, errFields},
	} {
		var r Response
		n, err := r.Parse([]byte(c.wire), false)
		if err != c.err || err == nil && n != len(c.wire) || err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: n %d, error %v; want %v", c.name, n, err, c.err)
		}
		sameHowever(t, []byte(c.wire), 1, readOurResponse(false))
	}
}

func TestFieldsGet(t *testing.T) {
	var r Response
	if _, err := r.Parse([]byte("HTTP/1.1 200 OK\r\nretry-AFTER: 1\r\nRetry-After: 2\r\nX:\r\n\r\n"), false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"Retry-After", "1", true}, // the first
		{"RETRY-AFTER", "1", true},
		{"x", "", true},
		{"Retry-Afte", "", false},
		{"retry\x0dafter", "", false}, // differs from - by the bit that tells cases apart
	} {
		if got, ok := r.Fields.Get(c.name); string(got) != c.value || ok != c.ok {
			t.Errorf("%q: %q, %t; want %q, %t", c.name, got, ok, c.value, c.ok)
		}
	}
}

func TestHasToken(t *testing.T) {
	for _, c := range []struct {
		list string
		want bool
	}{
		{"close", true}, {"x,close", true}, {" x ,\tCLOSE ,y", true}, {",,close,", true},
		{"", false}, {"closed", false}, {"x close", false}, {"\"close\"", false},
	} {
		if got := HasToken([]byte(c.list), "close"); got != c.want {
			t.Errorf("%q: %t, want %t", c.list, got, c.want)
		}
	}
}
