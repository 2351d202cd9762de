package reports

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stormctl/stormctl/chaos/judge"
)

func text(t *testing.T, name string, o TextOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Text(&out, fixtures()[name], o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheFirstLineSaysWhatMattersMost(t *testing.T) {
	for name, want := range map[string]string{
		"held":         "HELD  checkout-breaker: all 2 claims held.",
		"refuted":      "REFUTED  checkout-breaker: 1 of 2 claims refuted, 1 held.",
		"inconclusive": "INCONCLUSIVE  checkout-breaker: 1 of 2 claims inconclusive, 1 held.",
		"partial":      "STOPPED EARLY  The run ended after 12.3s, before its time: stopped by interrupt.",
		"unhealthy":    "HARNESS UNHEALTHY  The figures may be the harness's own",
		"empty":        "INCONCLUSIVE  nothing: Nothing was claimed", // a ruling on nothing proves nothing
	} {
		first, _, _ := strings.Cut(text(t, name, TextOptions{}), "\n")
		if !strings.HasPrefix(first, want) {
			t.Errorf("%s: the first line is %q, want %q", name, first, want)
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
	if err := Text(&out, r, TextOptions{}); err != nil {
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

func TestProseKeepsToTheWidth(t *testing.T) {
	for _, width := range []int{1, 60, 72, 120} { // 1 becomes 60
		limit := max(width, leastWidth)
		head, _, _ := strings.Cut(text(t, "partial", TextOptions{Width: width}), "\nRoutes:")
		for line := range strings.Lines(head) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > limit {
				t.Errorf("width %d: %d characters: %s", width, n, line)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{"", ""},
		{"   ", ""},
		{"ten chars! and", "ten chars!|and"}, // 10 fit into 10
		{"a b", "a b"},
		{"a-word-longer-than-ten b", "a-word-longer-than-ten|b"}, // stays whole
		{"✓✓✓✓✓ ✗✗✗✗ x", "✓✓✓✓✓ ✗✗✗✗|x"},                         // 5+1+4 characters, more bytes
		{"tab\tand\nline", "tab and|line"},
		{"figures p99" + noBreak + "4ms", "figures|p99" + noBreak + "4ms"}, // 7+1+3 would fit, but not all of it
	} {
		if got := strings.Join(wrap(c.in, 10), "|"); got != c.want {
			t.Errorf("wrap(%q, 10) = %q, want %q", c.in, got, c.want)
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
