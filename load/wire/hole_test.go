package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var people = &Table{Names: []string{"name", "x y"}, Columns: [][]string{{"ada", "é/?&=+ %", ""}, {"1", "22", "333"}}}

// sent encodes a request with these, appends number seq, and returns what
// net/http reads of it.
func sent(t testing.TB, path, header, body string, fill Fill, seq uint64) (uri, gotHeader, gotBody string) {
	t.Helper()
	template, err := Encode("POST", path, "a", [][2]string{{"X", header}}, []byte(body), "", fill)
	if err != nil {
		t.Fatal(err)
	}
	wire := template.Append(nil, seq)
	if len(wire) > template.Len() {
		t.Errorf("%d bytes, Len said %d at most", len(wire), template.Len())
	}
	in := bufio.NewReader(bytes.NewReader(wire))
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("net/http: %v in %q", err, wire)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil || in.Buffered() != 0 {
		t.Fatalf("net/http: body %q, %v, %d bytes behind it", b, err, in.Buffered())
	}
	return r.RequestURI, r.Header.Get("X"), string(b)
}

func TestHoles(t *testing.T) {
	const last = 1<<48 - 1
	for _, c := range []struct {
		name               string
		seq                uint64
		path, header, body string
		want               [3]string
	}{
		{"seq", 1, "/${seq}", "${seq}", "<${seq}>", [3]string{"/1", "1", "<1>"}},
		{"the last seq", last, "/${seq}", "${seq}", "<${seq}>", [3]string{"/281474976710655", "281474976710655", "<281474976710655>"}},
		{"of a step", SeqOf(5, 65535), "/${seq}", "${data.x y}", "${id}", [3]string{"/5", "22", "0000000000000001ffff000000000005"}},
		{"row 1 of 3", 1, "/${data.name}", "${data.name}", "${data.name}", [3]string{"/ada", "ada", "ada"}},
		{"row 2 is escaped in a path only", 5, "/a?b=${data.name}", "${data.name}", `"${data.name}"`, [3]string{"/a?b=%C3%A9%2F%3F%26%3D%2B%20%25", "é/?&=+ %", `"é/?&=+ %"`}},
		{"row 3 is empty", 3, "/${data.name}", "a${data.name}", "${data.name}", [3]string{"/", "a", ""}},
		{"a column with a space", 3, "/${data.x y}", "${data.x y}", "${data.x y}", [3]string{"/333", "333", "333"}},
		{"a range of one number", 9, "/${rand:7-7}", "${rand:0-0}", "${rand:9223372036854775807-9223372036854775807}", [3]string{"/7", "0", "9223372036854775807"}},
		{"escaped", 9, "/$${seq}", "$${", "$$${seq}${seq}$", [3]string{"/${seq}", "${", "$${seq}9$"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			uri, header, body := sent(t, c.path, c.header, c.body, Fill{Run: 1, Data: people}, c.seq)
			if got := [3]string{uri, header, body}; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Whatever comes before, between and behind the holes, the length is right:
// net/http reads the whole body and nothing is left.
func TestLengthFitsWhateverVaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "$$${x}", "${id}", "${seq}", "${rand:0-100000}", "${rand:5-15}", "${data.name}", "\r\n"}), 0, 8).Draw(t, "body")
		seq := rapid.Uint64Min(1).Draw(t, "seq")
		fill := Fill{Run: 1, Seed: rapid.Uint64().Draw(t, "seed"), Data: people}
		template, err := Encode("", "/", "a", nil, []byte(strings.Join(texts, "")), "", fill)
		if err != nil {
			t.Fatal(err)
		}
		wire := template.Append(nil, seq)
		var r Request
		n, err := r.Parse(wire)
		if err != nil {
			t.Fatal(err)
		}
		rest, done, err := r.Body.Next(wire[n:])
		if !done || err != nil || n+rest != len(wire) || len(wire) > template.Len() {
			t.Fatalf("head %d, body %d of %d (Len %d), done %t, %v", n, rest, len(wire), template.Len(), done, err)
		}
	})
}

func TestRandomNumbers(t *testing.T) {
	const n, low, high = 20_000, 3, 12
	draw := func(seed, seq uint64) (first, second int) {
		_, a, b := sent(t, "/", "${rand:3-12}", "${rand:3-12}", Fill{Run: 1, Seed: seed}, seq)
		first, _ = strconv.Atoi(a)
		second, _ = strconv.Atoi(b)
		return first, second
	}
	template, err := Encode("", "/${rand:3-12}", "a", nil, nil, "", Fill{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var dst []byte
	for seq := uint64(1); seq <= n; seq++ {
		dst = template.Append(dst[:0], seq)
		counts[strings.Fields(string(dst))[1]]++
	}
	for v := low; v <= high; v++ {
		// n/10 expected; four deviations of √(n·0.1·0.9) = 42.
		if got := counts[fmt.Sprint("/", v)]; got < n/10-170 || got > n/10+170 {
			t.Errorf("%d came %d times of %d, want %d ± 170", v, got, n, n/10)
		}
	}
	if len(counts) != high-low+1 {
		t.Errorf("got %v, want numbers from %d to %d", counts, low, high)
	}
	same := map[string]int{}
	for seq := uint64(1); seq <= 1000; seq++ {
		a, b := draw(1, seq)
		again, _ := draw(1, seq)
		other, _ := draw(2, seq)
		next, _ := draw(1, seq+1)
		if a != again {
			t.Fatalf("number %d: %d and then %d with the same seed", seq, a, again)
		}
		for name, v := range map[string]int{"place": b, "seed": other, "arrival": next} {
			if v == a {
				same[name]++
			}
		}
	}
	for _, name := range []string{"place", "seed", "arrival"} {
		// A tenth of them by chance; four deviations of √(1000·0.09) = 9.5.
		if same[name] < 100-38 || same[name] > 100+38 {
			t.Errorf("another %s draws the same %d times of 1000, want 100 ± 38", name, same[name])
		}
	}
}

func TestDataRefused(t *testing.T) {
	bad := &Table{Names: []string{"v"}, Columns: [][]string{{"fine", "a\r\nX: y"}}}
	for _, c := range []struct {
		name                     string
		data                     *Table
		path, host, header, body string
		want                     string
	}{
		{"no such column", people, "/${data.nmae}", "a", "", "", "path: placeholder ${data.nmae}: the data has no such column; it has name, x y"},
		{"no rows", &Table{Names: []string{"v"}, Columns: [][]string{nil}}, "/", "a", "", "${data.v}", "body: placeholder ${data.v}: the data has no rows"},
		{"header", bad, "/", "a", "${data.v}", "", `header X: placeholder ${data.v}: row 2: "a\r\nX: y" cannot be in a header`},
		{"host", people, "/", "${data.name}", "", "", `header Host: placeholder ${data.name}: row 2: "é/?&=+ %" is not part of a host`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Encode("", c.path, c.host, [][2]string{{"X", c.header}}, []byte(c.body), "", Fill{Data: c.data})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
		})
	}
	// What a header cannot have, a body and, encoded, a path can.
	if uri, _, body := sent(t, "/${data.v}", "", "${data.v}", Fill{Data: bad}, 2); uri != "/a%0D%0AX%3A%20y" || body != "a\r\nX: y" {
		t.Errorf("got %q and %q", uri, body)
	}
}

func TestLiteral(t *testing.T) {
	for _, text := range []string{"", "$", "${", "$${", "a${id}$${seq}$$$${{", "${x"} {
		if _, _, body := sent(t, "/", "", Literal(text), Fill{}, 1); body != text {
			t.Errorf("%q came as %q", text, body)
		}
	}
}

func TestIsPlaceholder(t *testing.T) {
	for text, want := range map[string]bool{
		"${id}": true, "${seq}": true, "${rand:1-6}": true, "${rand:6-1}": false, "${data.x}": false, "${port}": false, "id": false, "${id": false, "": false,
	} {
		if got := IsPlaceholder(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}

func TestGivenValues(t *testing.T) {
	var asked []string
	fill := Fill{Run: 1, Prev: func(what string) (int, error) {
		asked = append(asked, what)
		return len(asked) - 1, nil
	}}
	for _, c := range []struct{ path, given, want string }{
		{"/a/${prev.x}", "b/c?d=é", "/a/b%2Fc%3Fd%3D%C3%A9"},
		{"${prev.x}", "/a?b=c&d", "/a?b=c&d"},
		{"${prev.x}", "http://other:80/a?b#c", "/a?b"},
		{"${prev.x}", "http://other", "/"},
		{"${prev.x}", "http://other?q", "/?q"},
		{"${prev.x}", "a", "/a"},
		{"${prev.x}", "", "/"},
		{"${prev.x}", "/a b\u00e9", "/a%20b%C3%A9"},
		{"${prev.x}", "/a?next=http://b/", "/a?next=http://b/"},
		{"${prev.x}${seq}", "/a/", "/a/5"},
	} {
		asked = nil
		template, err := Encode("PUT", c.path, "a", [][2]string{{"X", "<${prev.y}>"}}, []byte("${prev.z}"), "", fill)
		if err != nil {
			t.Fatal(err)
		}
		if want := "[z x y]"; fmt.Sprint(asked) != want {
			t.Errorf("asked for %v, want %s", asked, want)
		}
		wire := template.AppendExtracted(nil, 5, []string{"body", c.given, "h"})
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			t.Fatalf("%v in %q", err, wire)
		}
		body, err := io.ReadAll(r.Body)
		if r.RequestURI != c.want || r.Header.Get("X") != "<h>" || string(body) != "body" || err != nil {
			t.Errorf("%s with %q: got %q, X %q, body %q, %v; want %q", c.path, c.given, r.RequestURI, r.Header.Get("X"), body, err, c.want)
		}
	}
}
