package reports

import (
	"bytes"
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	rendered "github.com/yuin/goldmark/renderer/html"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// page renders a result as hosts do: with tables, links made of addresses, and HTML
// that stands in the text.
func page(t *testing.T, r *result.Result, limit int) string {
	t.Helper()
	var text, out bytes.Buffer
	if err := Markdown(&text, r, limit); err != nil {
		t.Fatal(err)
	}
	if text.Len() > limit {
		t.Errorf("%d bytes, and %d are the most", text.Len(), limit)
	}
	host := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(rendered.WithUnsafe()))
	if err := host.Convert(text.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var tags = regexp.MustCompile(`<(/?[a-zA-Z!][^>]*)>`)

// tagsOf are the kinds of tags of a page, sorted.
func tagsOf(page string) []string {
	kinds := map[string]bool{}
	for _, tag := range tags.FindAllStringSubmatch(page, -1) {
		kinds[strings.TrimPrefix(tag[1], "/")] = true
	}
	return slices.Sorted(maps.Keys(kinds))
}

// cells are the texts of a page's tables, by table and row.
func cells(page string) (tables [][][]string) {
	for _, table := range regexp.MustCompile(`(?s)<table>.*?</table>`).FindAllString(page, -1) {
		var rows [][]string
		for _, row := range regexp.MustCompile(`(?s)<tr>.*?</tr>`).FindAllString(table, -1) {
			var one []string
			for _, cell := range regexp.MustCompile(`(?s)<t[hd]>(.*?)</t[hd]>`).FindAllStringSubmatch(row, -1) {
				one = append(one, visible(cell[1]))
			}
			rows = append(rows, one)
		}
		tables = append(tables, rows)
	}
	return tables
}

// visible is what a reader sees of a piece of a page.
func visible(piece string) string {
	return strings.ReplaceAll(html.UnescapeString(tags.ReplaceAllString(piece, "")), "\u200b", "")
}

func TestMarkdownRenders(t *testing.T) {
	got := page(t, fixtures()["course"], SummaryLimit)
	tables := cells(got)
	if len(tables) != 6 { // claims, course, routes, links, faults, harness
		t.Fatalf("%d tables:\n%s", len(tables), got)
	}
	want := [][]string{
		{"over the run", "", ""},
		{"requests", "▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▁▁▁▁▁▁▁▁▁▁", "0/s to 500/s"},
		{"not ok", "▁▁▁▁▁▇▇▇▇▇▇▇▇▇▇▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁", "0/s to 500/s"},
		{"p99", "▂▂▂▂▂▇▇▇▇▇▇▇▇▇▇▂▂▂▂▂··········", "4.0ms to 250ms"},
	}
	if diff := cmp.Diff(want, tables[1]); diff != "" {
		t.Errorf("the run over its length (-want +got):\n%s", diff)
	}
	if claims := tables[0]; len(claims) != 3 || claims[1][1] != "steady: route pay" || claims[2][2] != "held" {
		t.Errorf("claims: %q", claims)
	}
	for i, table := range tables {
		for _, row := range table {
			if len(row) != len(table[0]) {
				t.Errorf("table %d: %d cells under %d titles: %q", i, len(row), len(table[0]), row)
			}
		}
	}
	for _, text := range []string{"✓ HELD: checkout-breaker", "2 of 2 claims", "seed 7"} {
		if !strings.Contains(visible(got), text) {
			t.Errorf("%q is not to be seen:\n%s", text, visible(got))
		}
	}
}

// What others wrote is shown as it is.
func TestMarkdownOfOthersIsText(t *testing.T) {
	plain := tagsOf(page(t, fixtures()["partial"], SummaryLimit))
	if !slices.Contains(plain, "table") || !slices.Contains(plain, "details") {
		t.Fatalf("the page has no tables or nothing folded: %q", plain)
	}
	r := markupRun()
	r.Series = courseRun().Series
	got := page(t, r, SummaryLimit)
	allowed := append(plain, "code", "strong", "blockquote")
	for _, tag := range tagsOf(got) {
		if !slices.Contains(allowed, tag) {
			t.Errorf("text of others made a tag <%s>", tag)
		}
	}
	tables := cells(got)
	seen := Clean(markup)
	for i, want := range map[int][]string{
		0: {"✗", seen, "refuted", seen},
		2: {"✓", seen, seen}, // parts of the first claim
		4: {seen, "1", "0%", "0ms", "0ms", "0ms", "0ms", "0ms", seen + ": 1"},
		5: {seen, seen + " > " + seen, "0", "0", "0ms", "0ms", seen + ": 1", seen + ": 1"},
		6: {seen, "?, 0%"},
		7: {seen, seen, "0.00s", "0.00s", "0", seen},
	} {
		if i >= len(tables) || len(tables[i]) < 2 {
			t.Errorf("table %d is not there", i)
			continue
		}
		if diff := cmp.Diff(want, strings.Split(strings.ReplaceAll(strings.Join(tables[i][1], "\n"), "\u00a0", " "), "\n")); diff != "" {
			t.Errorf("table %d (-want +got):\n%s", i, diff)
		}
	}
	for _, live := range []string{"@octocat", "#12", "!7"} { // a host makes links of these in what was rendered
		if text := html.UnescapeString(tags.ReplaceAllString(got, "")); strings.Contains(text, live) {
			t.Errorf("%s is as a host looks for it", live)
		}
	}
	if open, closed := strings.Count(got, "<details>"), strings.Count(got, "</details>"); open != 2 || closed != 2 {
		t.Errorf("%d folds are opened and %d closed, want 2", open, closed)
	}
}

// However much there is to tell, it fits, what did not hold comes first, and what
// is open is closed.
func TestMarkdownFits(t *testing.T) {
	r := breakerRun(judge.Refuted)
	r.Name = strings.Repeat("@", 5000)
	for i := range 1200 { // of more than a kilobyte each
		r.Verdicts = append(r.Verdicts, judge.Verdict{Kind: "retry", Name: fmt.Sprint("c", i), Ruling: judge.Ruling(i % 3),
			Reason: strings.Repeat("it is a long story. ", 100), Parts: breakerParts()})
		if i < 100 {
			r.Notes = append(r.Notes, strings.Repeat("@", 500))
		}
	}
	for _, limit := range []int{leastMarkdown, CommentLimit, SummaryLimit} {
		got := page(t, r, limit)
		tables := cells(got)
		if !strings.Contains(got, "REFUTED") || !strings.Contains(got, "more than fits here") {
			t.Errorf("%d bytes: no verdict, or not told that it is cut:\n%.2000s", limit, got)
		}
		if open, closed := strings.Count(got, "<details>"), strings.Count(got, "</details>"); open != closed {
			t.Errorf("%d bytes: %d folds are opened and %d closed", limit, open, closed)
		}
		if limit > leastMarkdown && (len(tables) == 0 || tables[0][1][2] != "refuted" || len(tables[0]) < 20) {
			t.Errorf("%d bytes: the table of claims does not begin with what is refuted", limit)
		}
	}
	// Folded parts that do not fit are cut within the fold.
	r.Verdicts = r.Verdicts[:30]
	r.Notes = nil
	for i := range r.Verdicts {
		r.Verdicts[i].Parts = slices.Repeat(breakerParts(), 10)
	}
	got := page(t, r, CommentLimit)
	if !strings.Contains(got, "<details>") || strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Error("what is open is not closed")
	}
	// Wherever the limit falls: what ends a fold has its place beside what says that
	// there is more.
	r.Verdicts = r.Verdicts[:8]
	for i := range r.Verdicts {
		r.Verdicts[i].Reason = "so it was"
	}
	for limit := leastMarkdown; limit < leastMarkdown+400; limit++ { // several rows of a table within a fold
		var out bytes.Buffer
		if err := Markdown(&out, r, limit); err != nil {
			t.Fatal(err)
		}
		if out.Len() > limit {
			t.Fatalf("%d bytes, and %d are the most", out.Len(), limit)
		}
	}
	// What fits is not said to be cut.
	if got := page(t, breakerRun(judge.Held), CommentLimit); strings.Contains(got, "more than fits") {
		t.Errorf("it is said to be cut:\n%s", got)
	}
}

func TestLoadMarkdownRenders(t *testing.T) {
	l := &Load{
		URL: "http://127.0.0.1:8080/" + markup, Schedule: "500/s for 10s", Requests: 5000, Seconds: 10, Rate: 500, Success: 99.5,
		Outcomes: map[string]uint64{"ok": 4975, "5xx": 25}, Statuses: map[string]uint64{"200": 4975, "503": 25},
		Response: result.Spread{P50: 1.5, P90: 3, P99: 9, P999: 20, Max: 31}, Partial: markup,
		Harness:    LoadHarness{Problems: []string{markup}, Transport: markup},
		Thresholds: []Threshold{{Text: "p99 > 5ms", Value: "9.0ms", Failed: true}, {Text: markup, Value: markup, Open: true}, {Text: "success < 99%"}},
		Routes:     []result.Route{{Name: markup, Requests: 7}},
		Spectrum:   []Bin{{From: 0, To: 1, Count: 2000}, {From: 1, To: 2, Count: 3000}},
	}
	var text, out bytes.Buffer
	if err := LoadMarkdown(&text, l, CommentLimit); err != nil {
		t.Fatal(err)
	}
	host := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(rendered.WithUnsafe()))
	if err := host.Convert(text.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	tables := cells(out.String())
	if len(tables) != 6 { // thresholds, counts, times, routes, harness, spectrum
		t.Fatalf("%d tables:\n%s", len(tables), out.String())
	}
	seen := Clean(markup)
	for _, c := range []struct {
		table, row int
		want       []string
	}{
		{0, 1, []string{"FAILED", "p99 > 5ms", "9.0ms"}},
		{0, 2, []string{"INCONCLUSIVE", seen, seen}},
		{0, 3, []string{"passed", "success < 99%", ""}},
		{1, 1, []string{"5,000", "500/s", "0", "99.50%", "ok:\u00a04,975; 5xx:\u00a025", "200:\u00a04,975; 503:\u00a025"}},
		{2, 1, []string{"response", "1.5ms", "3.0ms", "9.0ms", "20ms", "31ms"}},
		{5, 2, []string{"2.0ms", "3000"}},
	} {
		if diff := cmp.Diff(c.want, tables[c.table][c.row]); diff != "" {
			t.Errorf("table %d, row %d (-want +got):\n%s", c.table, c.row, diff)
		}
	}
	for _, tag := range tagsOf(out.String()) {
		if tag == "script" || tag == "a" || tag == "img" {
			t.Errorf("text of others made a tag <%s>", tag)
		}
	}
}
