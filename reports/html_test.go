package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports/chart"
)

func pageOf(t *testing.T, r *result.Result) string {
	t.Helper()
	var out bytes.Buffer
	if err := HTML(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// element is a start tag of a page with the text that follows it.
type element struct {
	name, text string
	attr       map[string]string
}

// elements reads a page as a browser's tokenizer does.
func elements(t *testing.T, page string) (all []element) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(page))
	inside := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			return all
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			e := element{name: tok.Data, attr: map[string]string{}}
			for _, a := range tok.Attr {
				e.attr[a.Key] = a.Val
			}
			all, inside = append(all, e), true
		case html.EndTagToken:
			inside = false
		case html.TextToken:
			if inside {
				all[len(all)-1].text += string(z.Text())
			}
		}
	}
}

// What a page may not do, whatever stands in it.
func checkPage(t *testing.T, page string) []element {
	t.Helper()
	if len(page) > MaxHTML {
		t.Errorf("the page has %d bytes, %d is the most", len(page), MaxHTML)
	}
	all, ids := elements(t, page), map[string]bool{}
	var csp string
	hashes := map[string][]string{}
	for _, e := range all {
		if e.attr["http-equiv"] == "Content-Security-Policy" {
			csp = e.attr["content"]
		}
		if e.name == "style" || e.name == "script" && e.attr["type"] == "" {
			sum := sha256.Sum256([]byte(e.text))
			hashes[e.name] = append(hashes[e.name], "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		for key, value := range e.attr {
			switch {
			case key == "style", strings.HasPrefix(key, "on"), key == "src", key == "action":
				t.Errorf("<%s> has %s=%q", e.name, key, value)
			case key == "href" && !strings.HasPrefix(value, "#"):
				t.Errorf("<%s> leads to %q", e.name, value)
			case key == "id" && ids[value]:
				t.Errorf("id %q is there twice", value)
			case key == "id":
				ids[value] = true
			}
		}
		if !knownElement(e.name) {
			t.Errorf("the page has an element <%s>", e.name)
		}
	}
	want := "default-src 'none'; img-src data:; style-src " + strings.Join(hashes["style"], " ") + "; script-src " +
		strings.Join(hashes["script"], " ") + "; base-uri 'none'; form-action 'none'"
	if csp != want {
		t.Errorf("the policy is\n%s\nand the page's content\n%s", csp, want)
	}
	for _, e := range all {
		for _, ref := range strings.Fields(e.attr["aria-labelledby"]) {
			if !ids[ref] {
				t.Errorf("<%s> is labelled by %q, which is not there", e.name, ref)
			}
		}
		if anchor, ok := strings.CutPrefix(e.attr["href"], "#"); ok && !ids[anchor] {
			t.Errorf("a link leads to #%s, which is not there", anchor)
		}
	}
	return all
}

// knownElement reports the elements that the template and the drawings have.
func knownElement(name string) bool {
	return strings.Contains(" html head meta title style body a header main section ul li b div p h1 h2 h3 h4 dl dt dd "+
		"span nav bdi figure figcaption "+
		"svg defs pattern rect line circle path text desc details summary table caption thead tbody tr th td article pre script ", " "+name+" ")
}

func charts(t *testing.T, all []element) (list []chart.Chart) {
	t.Helper()
	for _, e := range all {
		if e.attr["id"] == "charts" {
			if err := json.Unmarshal([]byte(e.text), &list); err != nil {
				t.Fatal(err)
			}
		}
	}
	return list
}

func TestHTMLOfEachResult(t *testing.T) {
	for name, r := range fixtures() {
		t.Run(name, func(t *testing.T) { checkPage(t, pageOf(t, r)) })
	}
	for name, r := range map[string]*result.Result{"drawn": drawnRun(), "short": shortRun()} {
		t.Run(name, func(t *testing.T) {
			all := checkPage(t, pageOf(t, r))
			figures := map[string]int{}
			for _, e := range all {
				figures[e.name]++
			}
			if list := charts(t, all); len(list) < 8 || figures["figure"] < len(list) {
				t.Errorf("%d charts of %d figures", len(list), figures["figure"])
			}
		})
	}
}

// Whatever is called whatever, it stays text: a page with hostile names has the
// elements of one with others.
func TestHTMLOfHostileNames(t *testing.T) {
	for _, name := range hostileNames {
		t.Run(name[:min(len(name), 20)], func(t *testing.T) {
			page := pageOf(t, hostileDrawn(name))
			count := map[string]int{}
			for _, e := range checkPage(t, page) {
				count[e.name]++
			}
			if count["script"] != 3 || count["style"] != 1 || count["img"] != 0 {
				t.Errorf("%d scripts, %d style sheets, %d pictures", count["script"], count["style"], count["img"])
			}
			if strings.ContainsAny(page, "\x00\x1b\u202e\u2067") {
				t.Error("what acts on the reader's screen is in the page as it is")
			}
		})
	}
}

var dayDir = flag.String("day", "", "a folder that the result of TestHTMLOfALongDay is left in, for stormctl report")

func TestHTMLOfALongDay(t *testing.T) {
	r := longDay()
	if *dayDir != "" {
		if err := Write(*dayDir, []string{"json"}, r); err != nil {
			t.Fatal(err)
		}
	}
	all := checkPage(t, pageOf(t, r))
	list := charts(t, all)
	if len(list) == 0 {
		t.Fatal("no charts")
	}
	whole := r.Series.Whole
	for _, c := range list {
		if c.ID != "t-rate" && c.ID != "t-response" {
			continue
		}
		// From the first second to the last, each column as it was.
		if c.X.Min != 0 || c.X.Max != r.Seconds || c.N != len(whole.Offered) || len(c.Series[0].Y) != c.N {
			t.Errorf("%s goes from %v to %v in %d columns", c.ID, c.X.Min, c.X.Max, c.N)
		}
		if y := c.Series[0].Y; c.ID == "t-rate" {
			for _, i := range []int{0, c.N - 1} {
				want := float64(whole.Outcomes["ok"][i]) / float64(whole.Step)
				if math.Abs(y[i]-want) > want/1000 {
					t.Errorf("column %d is %v/s, want %v", i, y[i], want)
				}
			}
		}
	}
	var text strings.Builder
	for _, e := range all {
		text.WriteString(e.text)
	}
	for _, want := range []string{"And 450 more routes", "more links", "more faults"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// The first screen says what was refuted, and by what.
func TestHTMLSaysFirstWhatFailed(t *testing.T) {
	page := pageOf(t, drawnRun())
	top, _, ok := strings.Cut(page, `<section class="stack"`)
	if !ok {
		t.Fatal("there is no time axis")
	}
	for _, want := range []string{"✗ REFUTED", "1 of 2 claims", "37 calls reached payments while it was open", `<a href="#claim-2">`,
		"2,500 requests before the first fault"} {
		if !strings.Contains(top, want) {
			t.Errorf("above the first chart there is no %q", want)
		}
	}
}

// Warnings stand before the ruling.
func TestHTMLWarnsFirst(t *testing.T) {
	page := pageOf(t, unhealthyRun())
	warning, ruling := strings.Index(page, unhealthy), strings.Index(page, `class="hero`)
	if warning < 0 || ruling < warning {
		t.Errorf("the warning is at %d, the ruling at %d", warning, ruling)
	}
}

// The experiment is that of the run directory; one that is larger than a page can
// bear is cut, which the page says.
func TestHTMLHasTheExperiment(t *testing.T) {
	r := drawnRun()
	r.Dir = t.TempDir()
	if page := pageOf(t, r); !strings.Contains(page, "has no experiment.yaml") {
		t.Error("it does not say that there is none")
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(r.Dir, "experiment.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("name: <checkout>\n")
	if page := pageOf(t, r); !strings.Contains(page, "name: &lt;checkout&gt;\n") || !strings.Contains(page, "--seed 7") {
		t.Error("the experiment or its seed is not there")
	}
	write("# " + strings.Repeat("x", 3<<20))
	if page := pageOf(t, r); !strings.Contains(page, "It goes on: the run directory") {
		t.Error("it does not say that it was cut")
	}
}

func TestLoadHTML(t *testing.T) {
	l := drawnLoad()
	var out bytes.Buffer
	if err := LoadHTML(&out, l); err != nil {
		t.Fatal(err)
	}
	all := checkPage(t, out.String())
	if list := charts(t, all); len(list) < 5 {
		t.Errorf("%d charts", len(list))
	}
	for _, want := range []string{"FAILED", "fails if p99 &gt; 1ms", "it is 5ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// What is vendored is what its maker published.
func TestVendoredFilesAreTheirs(t *testing.T) {
	source, err := os.ReadFile("assets/uplot/SOURCE")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^([0-9a-f]{64})  (\S+)$`).FindAllStringSubmatch(string(source), -1)
	if len(rows) != 3 {
		t.Fatalf("%d files have a hash", len(rows))
	}
	for _, row := range rows {
		text, err := os.ReadFile(filepath.Join("assets/uplot", row[2]))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != row[1] {
			t.Errorf("%s is not the published one", row[2])
		}
	}
}

func TestSpanText(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		unit      string
		low, high float64
		want      string
	}{
		{"", -inf, 1, "at most 1"}, {"", -inf, 0, "none"}, {"", 24, inf, "at least 24"}, {"ms", 1850, 2000, "1.85s to 2.00s"}, {"pct", 99.9,
			99.9, "99.90%"}, {"times", 2, 2, "2×"},
		{"", -inf, inf, "anything"}, {"mib_per_h", 11940.3, 13075.8, "11,940 MiB/h to 13,076 MiB/h"},
		{"per_h", 999.96, 9999.4, "1,000/h to 9,999/h"},
	} {
		if got := spanText(c.unit, c.low, c.high); got != c.want {
			t.Errorf("%v to %v %s is %q, want %q", c.low, c.high, c.unit, got, c.want)
		}
	}
}

// A register without an order is drawn: each operation with what it wrote or read, and
// those that contradict each other.
func TestHTMLDrawsOperations(t *testing.T) {
	page := pageOf(t, drawnRun())
	for _, want := range []string{"Request 31 found what had been replaced", "Operations on price 3 from", "31 look: read what 11 wrote (ok)",
		"20 reprice: wrote its own, perhaps (5xx)", "and 2 more of the same time"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
