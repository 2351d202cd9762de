package reports

import (
	"bytes"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

func text(t *testing.T, name string, o TextOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Text(&out, fixtures()[name], o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The last line is all that is read of a long summary. What weakens the ruling
// stands on the lines before it.
func TestTheLastLineIsTheRuling(t *testing.T) {
	const dir = "runs/checkout-breaker-20261123T231502"
	for name, want := range map[string]string{
		"held":         "Judge again  stormctl judge " + dir + "\nHELD  2 of 2 claims  " + dir,
		"refuted":      "\nREFUTED  1 of 2 claims  breaker  " + dir,
		"inconclusive": "\nINCONCLUSIVE  1 of 2 claims  breaker  " + dir,
		"partial":      "\nREFUTED  1 of 3 claims  stopped early  recovery  " + dir,
		"unhealthy": "\nHARNESS UNHEALTHY  of 2 claims 1 stands all the same, 1 is inconclusive\n" +
			"INCONCLUSIVE  1 of 2 claims  breaker  /var/lib/runs of tonight/it's-late",
		"empty": "\nINCONCLUSIVE  nothing was claimed", // a ruling on nothing proves nothing
	} {
		if got := text(t, name, TextOptions{}); !strings.HasSuffix(got, want+"\n") {
			t.Errorf("%s ends in\n%s\nwant\n%s", name, got[max(0, len(got)-300):], want)
		}
	}
}

// Who asked for a page is told where it is; who did not is not sent to one.
func TestTextNamesThePage(t *testing.T) {
	r := breakerRun(judge.Held)
	for page, want := range map[string]string{
		"first/report.html":         "\nLook at      first/report.html\nJudge again  stormctl judge ",
		"runs of today/report.html": "\nLook at      'runs of today/report.html'\nJudge again  stormctl judge ",
		"":                          "\n\nJudge again  stormctl judge ",
	} {
		var out bytes.Buffer
		if err := Text(&out, r, TextOptions{Page: page}); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, want) {
			t.Errorf("page %q: ends in\n%s\nwant\n%s", page, got[max(0, len(got)-300):], want)
		}
	}
}

// Where the line has no room for all, the directory goes first, then kinds.
func TestTheRulingIsOneLineAtAnyWidth(t *testing.T) {
	r := breakerRun(judge.Refuted)
	r.Verdicts = r.Verdicts[1:]
	for _, kind := range []string{"retry", "retry", "bulkhead", "recovery", "backoff", "timeout"} {
		r.Verdicts = append(r.Verdicts, judge.Verdict{Kind: kind, Claim: "x", Ruling: judge.Refuted})
	}
	for width, want := range map[int]string{
		// 23 columns of the ruling, 53 of the kinds with their gap, 39 of the directory with its
		120: "REFUTED  7 of 7 claims  breaker, retry, bulkhead, recovery, backoff, timeout  " + r.Dir,
		80:  r.Dir + "\nREFUTED  7 of 7 claims  breaker, retry, bulkhead, recovery, backoff, timeout",
		60:  r.Dir + "\nREFUTED  7 of 7 claims  breaker, retry, bulkhead and 3 more",
	} {
		var out bytes.Buffer
		if err := Text(&out, r, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(out.String(), "\n"+want+"\n") {
			t.Errorf("width %d: ends in\n%s\nwant\n%s", width, out.String()[out.Len()-200:], want)
		}
	}
}

// Steps are told with what they follow, and a choice with what came of it: it is
// why arrivals may be unsent.
func TestStepsAndChoicesAreTold(t *testing.T) {
	r := fixtures()["held"]
	r.Routes[1].Follows = r.Routes[0].Name
	r.Harness.Steps, r.Harness.Stalled, r.Harness.Unsent = 1234, "skip", 7
	var out bytes.Buffer
	if err := Text(&out, r, TextOptions{Width: 120}); err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{r.Routes[1].Name + " (after " + r.Routes[0].Name + ") ", "7 unsent (when_stalled: skip); 1,234 of them followed an answer"} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestTextIsASCIIBesideItsMarks(t *testing.T) {
	for name := range fixtures() {
		if name == "hostile" {
			continue // its names are not ASCII themselves
		}
		for _, r := range text(t, name, TextOptions{}) {
			if r >= utf8.RuneSelf && r != '✓' && r != '✗' {
				t.Errorf("%s: has %q", name, r)
			}
		}
	}
}

// What a system under test chose must not reach the terminal as it is.
func TestTextHasNoControlCharacters(t *testing.T) {
	for _, r := range text(t, "hostile", TextOptions{}) {
		if r < ' ' && r != '\n' || r == 0x7f {
			t.Errorf("has %q", r)
		}
	}
}

var sequence = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestColorAddsOnlyColor(t *testing.T) {
	for name := range fixtures() {
		plain, colored := text(t, name, TextOptions{}), text(t, name, TextOptions{Color: true})
		if !strings.Contains(colored, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		if strings.Contains(plain, "\x1b") {
			t.Errorf("%s: colour that nobody asked for", name)
		}
		if sequence.ReplaceAllString(colored, "") != plain {
			t.Errorf("%s: without its colour the text is another", name)
		}
	}
}

func TestColorOfRulings(t *testing.T) {
	for ruling, want := range map[judge.Ruling]string{
		judge.Held: "\x1b[1;32m", judge.Inconclusive: "\x1b[1;33m", judge.Refuted: "\x1b[1;31m",
	} {
		s := summary{color: true}
		if got := s.paint(ruling, "x"); got != want+"x\x1b[0m" {
			t.Errorf("%v is painted %q", ruling, got)
		}
	}
}

// Nothing is wider than the terminal, in columns of it, but what has no space to
// break at and is to be copied; and nothing is cut: a word of the narrow text is
// one of the wide text.
func TestTextKeepsToTheWidth(t *testing.T) {
	for name := range fixtures() {
		if name == "hostile" {
			continue // its escapes are words that no table has room for, and that are broken
		}
		whole := map[string]bool{}
		for _, word := range strings.Fields(text(t, name, TextOptions{Width: 1000}) + " not shown at this width: service p50, service p99, rate, max, on and more") {
			whole[strings.Trim(word, ",")] = true
		}
		for _, width := range []int{1, 60, 72, 80, 120, 200} { // 1 becomes 60
			limit := max(width, 60)
			for line := range strings.Lines(text(t, name, TextOptions{Width: width})) {
				line = strings.TrimSuffix(line, "\n")
				if n := runewidth.StringWidth(line); n > limit && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s, width %d: %d columns: %s", name, width, n, line)
				}
				for _, word := range strings.Fields(line) {
					if word = strings.Trim(word, ","); !whole[word] && !columnTitles[word] {
						t.Errorf("%s, width %d: %q is no word of the text: %s", name, width, word, line)
					}
				}
			}
		}
	}
}

// columnTitles are the words of titles that are told where their column is left out.
var columnTitles = map[string]bool{"from": true, ">": true, "to": true, "max": true, "in": true, "flight": true, "p50": true, "p99": true}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{"", ""},
		{"   ", ""},
		{"ten chars! and", "ten chars!|and"}, // 10 fit into 10
		{"a b", "a b"},
		{"a-word-longer-than-ten b", "a-word-longer-than-ten|b"},           // stays whole
		{"✓✓✓✓✓ ✗✗✗✗ x", "✓✓✓✓✓ ✗✗✗✗|x"},                                   // 5+1+4 columns, more bytes
		{"支付 支付 x", "支付 支付|x"},                                             // two columns each: 4+1+4, and x would be the eleventh
		{"支付 支 xyz", "支付 支|xyz"},                                           // 4+1+2 columns, 4 characters
		{"e\u0301e\u0301e\u0301 1234567", "e\u0301e\u0301e\u0301|1234567"}, // 3+1+7 columns
		{"tab\tand\nline", "tab and|line"},
		{"figures p99" + noBreak + "4ms", "figures|p99" + noBreak + "4ms"}, // 7+1+3 would fit, but not all of it
	} {
		if got := strings.Join(wrap(c.in, 10), "|"); got != c.want {
			t.Errorf("wrap(%q, 10) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestWrapKeepsColumns(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"  fits in 20 columns", "  fits in 20 columns"}, // exactly
		{"  web   listens on a free port", "  web   listens on a\n    free port"},
		{"  web            reached by TLS", "  web\n    reached by TLS"},
		{"a-word-longer-than-20-columns and more", "a-word-longer-than-20-columns\n  and more"},
		{"one-word-longer-than-20-columns", "one-word-longer-than-20-columns"},
		{"支付支付 支付支付 支付", "支付支付 支付支付\n  支付"}, // 8+1+8 columns, and 1+4
		{"esc\x1b[2J", `esc\x1b[2J`},
		{"", ""},
	} {
		if got := Wrap(c.in, 20); got != c.want {
			t.Errorf("Wrap(%q, 20) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"runs/a-1.2":  "runs/a-1.2",
		"with space":  "'with space'",
		"it's":        `'it'\''s'`,
		"$(reboot)":   "'$(reboot)'",
		"~/runs":      "'~/runs'", // a folder of that name, not the home
		"":            "''",
		"über":        "'über'",
		"esc\x1b[2Jx": `'esc\x1b[2Jx'`,
	} {
		if got := shellWord(in); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", in, got, want)
		}
	}
}

// Of very many faults those are shown first that did not go as planned, and what is
// left out is counted.
func TestManyFaults(t *testing.T) {
	faults := func(n int, odd ...int) (all []result.Fault) {
		for i := range n {
			f := result.Fault{Name: fmt.Sprint("f", i), Injected: 1, Healed: 2, Hit: 1}
			if slices.Contains(odd, i) {
				f.Hit = 0
			}
			all = append(all, f)
		}
		return all
	}
	for _, tt := range []struct {
		all         []result.Fault
		n           int
		first, last string
		more        string
	}{
		{nil, 0, "", "", ""},
		{faults(50), 50, "f0", "f49", ""},
		{faults(1000), 50, "f0", "f49", "and 950 more in result.json"},
		{faults(1000, 7, 900, 999), 50, "f0", "f999", "and 950 more in result.json"}, // 0 to 47, and two of the three
		{slices.Concat(faults(10), faults(60, slices.Collect(upTo(60))...)), 50, "f0", "f49",
			"and 20 more in result.json, 10 of them with a remark"},
	} {
		shown, more := foremost(tt.all)
		if len(shown) != tt.n || more != tt.more {
			t.Errorf("%d of %d are shown, %q; want %d, %q", len(shown), len(tt.all), more, tt.n, tt.more)
		}
		if len(shown) > 0 && (shown[0].Name != tt.first || shown[len(shown)-1].Name != tt.last) {
			t.Errorf("%s to %s, want %s to %s", shown[0].Name, shown[len(shown)-1].Name, tt.first, tt.last)
		}
	}
}

func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}
