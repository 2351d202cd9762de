package load

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/load/wire"
)

var verdicts = flag.Int("verdicts", 10_000, "responses that TestVerdictIsNetHTTPs draws")

// drawn is a response of HTTP/1.1 as some server may send it, sound or not; behind it
// the connection ends.
func drawn(rng *rand.Rand) string {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	often := func(sound string, others ...string) string { // nine of ten times the first
		if rng.IntN(10) > 0 {
			return sound
		}
		return pick(others...)
	}
	var b strings.Builder
	for rng.IntN(8) == 0 {
		b.WriteString(pick("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 199 x\r\n\r\n",
			"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"))
	}
	end := often("\r\n", "\n", "\r", "\r\r\n")
	line := func(text string) { b.WriteString(text + end) }
	line(often("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/1", "http/1.1", "HTTP/1.1 ", "") +
		often(" ", "", "\t", "  ") + often(pick("200", "201", "301", "404", "500", "503", "204", "304"), "20", "2000", "abc", "099", "999", "600", "+20", "-20") +
		often(" OK", "", " ", " a\x00b", " \xc3\xa9", "OK", " a\x7fb"))

	body := strings.Repeat("payload ", rng.IntN(4))
	content := body // as it is sent
	length := fmt.Sprint(len(body))
	var fields []string
	field := func(name, value string) { fields = append(fields, name+often(": ", ":", " : ", ":\t", ":  ")+value) }
	chunked := false
	switch rng.IntN(8) {
	case 0, 1, 2:
		field(often("Content-Length", "content-length", "CONTENT-LENGTH"), often(length, length+" ", "+"+length, "0"+length, length+", "+length,
			length+","+length+"1", "-1", "", "1", "1000", "0x1", "99999999999999999999", length+"\t", "two", length+";"))
		if rng.IntN(12) == 0 {
			field("Content-Length", pick(length, "1", ""))
		}
	case 3, 4, 5:
		chunked = true
		field("Transfer-Encoding", often("chunked", "Chunked", "gzip, chunked", "identity", "chunked, chunked", "chunked, gzip", "", "chunked;a=b", " chunked ", "xchunked"))
		if rng.IntN(12) == 0 {
			field(pick("Content-Length", "Transfer-Encoding"), pick(length, "1", "chunked", "x"))
		}
	case 6:
		field("Connection", "close")
	}
	for rng.IntN(3) == 0 {
		fields = append(fields, often("X: y", "X:", "X Y: z", ": y", "X", "X: a\r\n b", " X: y", "X: a\x00b", "X: a\x7fb", "X\x80: y", "X: \xff", "X\t: y",
			"Connection: close", "Connection: keep-alive", "Trailer: A", "Trailer: Content-Length", "X: "+strings.Repeat("x", 5000), "Keep-Alive: timeout=1"))
	}
	rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	for _, f := range fields {
		line(f)
	}
	line("")
	if chunked {
		content = ""
		for rest := body; rest != ""; {
			n := min(1+rng.IntN(10), len(rest))
			content += fmt.Sprintf(often("%x", "%X", "0%x", "%x ", "%x\t", "%d1", "x%x", "%x;a=b", "%x;a", "%x;a=\"b", "-%x", "%x\x00"), n) + often("\r\n", "\n", "\r", "") + rest[:n] + often("\r\n", "\n", "", "x\r\n")
			rest = rest[n:]
		}
		content += often("0\r\n\r\n", "", "0\r\n", "00\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\nA b\r\n\r\n", "0\r\nContent-Length: 3\r\n\r\n", "0\n\n", "0;a\r\n\r\n", "0\r\n\r", "0\r\nA: b\n\n")
	}
	b.WriteString(content)
	text := b.String()
	switch rng.IntN(20) {
	case 0:
		text = text[:rng.IntN(len(text)+1)]
	case 1:
		text += pick("x", "HTTP/1.1 200 OK\r\n\r\n", "\r\n", "\x00")
	}
	return text
}

// verdict is what a client makes of a response: its status, or 0 if it is none.
type verdict struct {
	status int
	why    string
}

// ours is the load's, by the reader of its loops, however the bytes are cut.
func ours(t *testing.T, text, method string, rng *rand.Rand) verdict {
	request, err := wire.Encode(method, "/", "a", nil, nil, "", wire.Fill{Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	var h http1
	var head wire.Response
	var check responseCheck
	for rest := []byte(text); len(rest) > 0; {
		n := 1 + rng.IntN(len(rest))
		complete, _, err := h.parse(&head, bytes.Clone(rest[:n]), request, &check)
		switch {
		case err != nil:
			return verdict{0, err.Error()}
		case complete:
			return verdict{h.status, ""}
		}
		rest = rest[n:]
	}
	if h.endsWell() {
		return verdict{h.status, ""}
	}
	return verdict{0, "cut off"}
}

// theirs is that of net/http's client.
func theirs(text, method string) verdict {
	client := http.Transport{DisableCompression: true, DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		mine, yours := net.Pipe()
		go func() {
			defer yours.Close()
			if r, err := http.ReadRequest(bufio.NewReader(yours)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(yours, text)
			}
		}()
		return mine, nil
	}}
	defer client.CloseIdleConnections()
	req, _ := http.NewRequest(method, "http://a/", nil)
	resp, err := client.RoundTrip(req)
	if err != nil {
		return verdict{0, err.Error()}
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return verdict{0, err.Error()}
	}
	return verdict{resp.StatusCode, ""}
}

// final is a response without those of 1xx before it, and line its first line.
func final(text string) (head, line string) {
	for strings.HasPrefix(text, "HTTP/1.1 1") {
		_, behind, more := strings.Cut(text, "\r\n\r\n")
		if !more {
			break
		}
		text = behind
	}
	line, _, _ = strings.Cut(text, "\n")
	head, _, _ = strings.Cut(text, "\r\n\r\n")
	return head, line
}

var (
	statusLine  = regexp.MustCompile(`^HTTP/1\.[0-9] [1-9][0-9]{2}( [\t -~\x{80}-\x{10ffff}]*)?\r?$`)
	spacedName  = regexp.MustCompile(`(?i)\n[!-9;-~]+[ \t]+[^:\r\n]*:`)
	lengthList  = regexp.MustCompile(`(?i)content-length[ \t]*:[ \t]*([0-9]+)[ \t]*,[ \t]*([0-9]+)[ \t]*[\r\n]`)
	foldedField = regexp.MustCompile(`(?i)\n(connection|content-length|transfer-encoding|keep-alive)[ \t]*:[^\n]*\n[ \t]+[^\n]*:`)
	coding      = regexp.MustCompile(`(?i)transfer-encoding[ \t]*:`)
)

// differences are those that are meant, and why. Each shows in the bytes and in the
// reason, so that it excuses nothing else.
var differences = []struct {
	name  string
	shows func(text string, ours, theirs verdict) bool
}{
	// RFC 9110, 7.8: a server must not switch to a protocol that was not asked for.
	// net/http gives its caller a connection to speak it; a load has nobody to do that.
	{"a 101 that was not asked for", func(text string, ours, theirs verdict) bool {
		return theirs.status == 101 && strings.Contains(ours.why, "101 switches") && strings.Contains(text, "HTTP/1.1 101")
	}},
	// RFC 9112, 4. net/http takes any version, any number and any bytes for a reason. A
	// server that cannot write its first line is one that its users should hear of.
	{"a status line that is none", func(text string, ours, _ verdict) bool {
		_, line := final(text)
		return strings.Contains(ours.why, "status line is not") && !statusLine.MatchString(line)
	}},
	// RFC 9112, 5.1: a response with white space before a colon is to be mended by a
	// proxy; the relay, which reads by the same rules, mends nothing.
	{"white space in a name", func(text string, ours, _ verdict) bool {
		head, _ := final(text)
		return strings.Contains(ours.why, "field name") && spacedName.MatchString(head+"\r\n")
	}},
	// RFC 9112, 6.1: framing that is faulty. net/http reads to the end of the connection.
	{"Transfer-Encoding in HTTP/1.0", func(text string, ours, _ verdict) bool {
		_, line := final(text)
		return strings.Contains(ours.why, "Transfer-Encoding") && strings.HasPrefix(line, "HTTP/1.0") && coding.MatchString(text)
	}},
	// RFC 9112, 6.1 and 7: sound, and net/http says itself that it does not support it.
	{"codings besides chunked", func(text string, ours, theirs verdict) bool {
		return ours.status > 0 && coding.MatchString(text) &&
			(strings.Contains(theirs.why, "unsupported transfer encoding") || strings.Contains(theirs.why, "too many transfer encodings"))
	}},
	// RFC 9112, 5.2: a folded line that looks like a field is one to readers that do not
	// unfold; where the length or the connection hang on it, two could differ.
	{"a folded line behind Connection or a length", func(text string, ours, _ verdict) bool {
		head, _ := final(text)
		return strings.Contains(ours.why, "indented, or folded") && foldedField.MatchString(head)
	}},
	// What a Trailer field announces is left to those who read trailers.
	{"a Trailer that announces a length", func(text string, ours, theirs verdict) bool {
		return ours.status > 0 && strings.Contains(theirs.why, "bad trailer key") && strings.Contains(text, "Trailer: Content-Length")
	}},
	// RFC 9110, 8.6: a list of equal numbers may be taken for one.
	{"a length that is said twice in a line", func(text string, ours, theirs verdict) bool {
		m := lengthList.FindStringSubmatch(text)
		refused := strings.Contains(theirs.why, "bad Content-Length") || strings.Contains(theirs.why, "multiple Content-Length")
		return ours.status > 0 && refused && m != nil && m[1] == m[2]
	}},
	// RFC 9112, 2.2: a lone LF may end a line; in trailers, behind a body, the relay lets
	// nobody guess where a message ends.
	{"trailers whose lines end in LF alone", func(text string, ours, _ verdict) bool {
		return strings.Contains(ours.why, "trailer") && strings.Contains(text, "\n\n")
	}},
}

// TestVerdictIsNetHTTPs: whether a response counts as one, and with which status, is what
// Go's own client says of the same bytes, but for the differences that are listed.
func TestVerdictIsNetHTTPs(t *testing.T) {
	once(t)
	const seed = 12
	rng := rand.New(rand.NewPCG(seed, 0))
	same, sound := 0, 0
	seen := map[string]int{}
	for i := range *verdicts {
		text, method := drawn(rng), "GET"
		if rng.IntN(10) == 0 {
			method = "HEAD"
		}
		o, h := ours(t, text, method, rng), theirs(text, method)
		if o.status == h.status {
			same++
			if o.status != 0 {
				sound++
			}
			continue
		}
		why := ""
		for _, d := range differences {
			if d.shows(text, o, h) {
				why = d.name
				break
			}
		}
		if seen[why]++; why == "" {
			t.Errorf("seed %d, response %d to %s: the load says %d (%s), net/http %d (%s)\n%q", seed, i, method, o.status, o.why, h.status, h.why, text)
		}
	}
	t.Logf("%d of %d alike, %d of these successes; differences: %v", same, *verdicts, sound, seen)
}
