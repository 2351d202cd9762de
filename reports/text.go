package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
)

// TextOptions says how the summary looks. The zero value is what goes into
// files.
type TextOptions struct {
	Width int  // to which prose wraps, in characters; 0 means 100, less than 60 means 60. Tables keep their columns.
	Color bool // rulings in colour, by ANSI sequences
}

const (
	defaultWidth = 100
	leastWidth   = 60
	idsShown     = 10 // of a verdict; all of them are in result.json
)

const nothingClaimed = "Nothing was claimed, so nothing has been shown."

// Text writes the summary that a tired person understands: what weakens the
// rulings, the ruling over all, a paragraph per claim, then the figures and
// where the rest is. Beside the marks of the rulings it adds only ASCII.
func Text(w io.Writer, r *result.Result, o TextOptions) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	s := summary{result: r, width: max(o.Width, leastWidth), color: o.Color}
	s.warnings()
	s.overall()
	s.claims()
	s.routes()
	s.warmup()
	s.links()
	s.faults()
	s.harness()
	s.directory()
	_, err := w.Write(s.out.Bytes())
	return err
}

// summary is a text being written.
type summary struct {
	out    bytes.Buffer
	result *result.Result
	width  int
	color  bool
}

// Mark is the sign of a ruling in front of its claim.
func Mark(r judge.Ruling) string {
	switch r {
	case judge.Held:
		return "✓"
	case judge.Refuted:
		return "✗"
	default:
		return "?"
	}
}

// paint gives text the colour of a ruling: green, red, yellow; bold besides,
// so that the difference does not hang on colour alone.
func (s *summary) paint(r judge.Ruling, text string) string {
	if !s.color {
		return text
	}
	code := "33"
	switch r {
	case judge.Held:
		code = "32"
	case judge.Refuted:
		code = "31"
	}
	return "\x1b[1;" + code + "m" + text + "\x1b[0m"
}

// prose writes text wrapped to the width: its first line behind lead, which
// is indent characters wide when the colour is left out, the others behind as
// many spaces.
func (s *summary) prose(lead string, indent int, text string) {
	for i, line := range wrap(text, s.width-indent) {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		endLine(&s.out, lead+line)
	}
}

// What the first line says where the harness was not well.
const (
	unhealthy      = "HARNESS UNHEALTHY"
	unhealthyMeans = "The figures may be the harness's own and not the system's: "
)

// faultMissing is what the first lines say where a fault did not do its part.
const faultMissing = "FAULT MISSING"

// warnings come before anything else: they change how all of the rest is to
// be read.
func (s *summary) warnings() {
	warn := func(label, text string) {
		s.prose(s.paint(judge.Inconclusive, label)+"  ", len(label)+2, text)
	}
	if h := s.result.Harness; !h.Healthy {
		why := "no figure says why"
		if len(h.Problems) > 0 {
			why = strings.Join(h.Problems, "; ")
		}
		text := unhealthyMeans + why + "."
		if h.Effect != "" {
			text += " " + strings.ToUpper(h.Effect[:1]) + h.Effect[1:] + "."
		}
		warn(unhealthy, text)
	}
	if s.result.Partial {
		warn("STOPPED EARLY", stopped(s.result)+" What follows is only what was seen until then.")
	}
	for _, fault := range s.result.Missing {
		warn(faultMissing, Clean(fault))
	}
	for _, note := range s.result.Notes {
		warn("NOTE", Clean(note))
	}
}

// stopped says that and why the run ended early, as a sentence.
func stopped(r *result.Result) string {
	why := strings.TrimSuffix(r.Stopped, ".")
	if why == "" {
		why = "the reason was not recorded"
	}
	return fmt.Sprintf("The run ended after %s, before its time: %s.", Seconds(r.Seconds), why)
}

// overall is the ruling of the run, in one line.
func (s *summary) overall() {
	r := s.result
	ruling, what := r.Ruling, tally(r.Verdicts)
	if len(r.Verdicts) == 0 {
		ruling, what = max(ruling, judge.Inconclusive), nothingClaimed
	}
	label := strings.ToUpper(ruling.String())
	s.prose(s.paint(ruling, label)+"  ", len(label)+2, r.Name+": "+what)
	if r.About != "" {
		s.prose("", 0, r.About)
	}
	var sent uint64
	for _, route := range r.Routes {
		sent += route.Requests
	}
	s.prose("", 0, fmt.Sprintf("Seed %d, started %s, %s, %s.",
		r.Seed, startTime(r.Started), Seconds(r.Seconds), number(sent, "request")))
}

// tally counts the rulings in a sentence.
func tally(verdicts []judge.Verdict) string {
	var by [3]int
	for _, v := range verdicts {
		by[min(int(v.Ruling), int(judge.Refuted))]++
	}
	held, open, refuted, all := by[judge.Held], by[judge.Inconclusive], by[judge.Refuted], len(verdicts)
	if held == all {
		if all == 1 {
			return "the claim held."
		}
		return fmt.Sprintf("all %d claims held.", all)
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{refuted, "refuted"}, {open, "inconclusive"}, {held, "held"}} {
		switch {
		case p.n == 0:
		case parts == nil:
			parts = append(parts, fmt.Sprintf("%d of %s %s", p.n, number(uint64(all), "claim"), p.what))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ") + "."
}

// claims is a paragraph per claim, in the order of the experiment file: what
// was claimed, what each of its parts came to, what proves it. All that was
// measured is in result.json: here it would bury the reason.
func (s *summary) claims() {
	for _, v := range s.result.Verdicts {
		s.out.WriteByte('\n')
		s.prose(s.paint(v.Ruling, Mark(v.Ruling))+" ", 2, claimTitle(v))
		switch {
		case len(v.Parts) == 0:
			s.prose("  ", 2, v.Ruling.String()+": "+v.Reason)
		case v.Void != "":
			s.prose("  ", 2, v.Ruling.String()+": "+v.Void)
		default:
			s.prose("  ", 2, v.Ruling.String())
		}
		if v.Despite != "" {
			s.prose("  ", 2, "stands all the same: "+v.Despite)
		}
		for _, p := range v.Parts {
			s.part(p)
		}
		if len(v.IDs) > 0 {
			ids := joinIDs(v.IDs[:min(len(v.IDs), idsShown)])
			if more := len(v.IDs) - idsShown; more > 0 {
				ids += fmt.Sprintf(" and %d more in %s", more, File("json"))
			}
			s.prose(label("requests"), labelWidth, ids)
		}
	}
}

// part is one sentence of a claim behind its name: the key that it is about.
// What is not claimed has no mark.
func (s *summary) part(p judge.Part) {
	mark := "-"
	if !p.Note {
		mark = s.paint(p.Ruling, Mark(p.Ruling))
	}
	s.prose(fmt.Sprintf("  %s %-*s ", mark, partName, Clean(p.Name)), partName+5, p.Reason)
}

const partName = 14 // rejects_within

// label opens a line under a claim or under the harness.
func label(text string) string { return fmt.Sprintf("    %-10s  ", text) }

const labelWidth = 16

// claimTitle is the claim for people, led by its kind.
func claimTitle(v judge.Verdict) string {
	if v.Claim == "" || strings.HasPrefix(strings.ToLower(v.Claim), v.Kind) {
		return v.Claim
	}
	return v.Kind + ": " + v.Claim
}

func joinIDs(ids []uint64) string {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = strconv.FormatUint(id, 10)
	}
	return strings.Join(text, ", ")
}

// number is a count with its noun: "1 request", "15,000 requests".
func number(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Count(n) + " " + noun
}

// heading opens a table.
func (s *summary) heading(title string) { s.out.WriteString("\n" + title + "\n") }

// routes is the front: what callers got.
func (s *summary) routes() {
	if len(s.result.Routes) == 0 {
		return
	}
	var rows [][]string
	for _, r := range s.result.Routes {
		others := maps.Clone(r.Outcomes)
		delete(others, load.OK.String())
		rows = append(rows, []string{
			routeTitle(r), Count(r.Requests), PerSecond(float64(r.Requests) / s.result.Seconds), Percent(r.Success),
			Millis(r.Response.P50), Millis(r.Response.P99), Millis(r.Response.Max),
			Millis(r.Service.P50), Millis(r.Service.P99), counts(others),
		})
	}
	s.heading("Routes: what callers got (response: since the request was due; service: since it was sent)")
	table(&s.out, s.width, []column{{"route", false}, {"requests", true}, {"rate", true}, {"success", true},
		{"response p50", true}, {"p99", true}, {"max", true}, {"service p50", true}, {"p99", true},
		{"other than ok", false}}, rows)
}

// warmup is told on its own, as it is in none of the other figures.
func (s *summary) warmup() {
	if w := s.result.Warmup; w != nil {
		s.heading("Warm-up, before the clock began and in no other figure: " + warmupText(w))
	}
}

func warmupText(w *result.Warmup) string {
	return fmt.Sprintf("%s in %s, success %s, p50 %s, p99 %s", number(w.Requests, "request"), Seconds(w.Seconds),
		Percent(w.Success), Millis(w.P50), Millis(w.P99))
}

// routeTitle is a route for people, or a step with what it follows.
func routeTitle(r result.Route) string {
	if r.Follows == "" {
		return Clean(r.Name)
	}
	return Clean(r.Name + " (after " + r.Follows + ")")
}

// links is the behind: what the dependencies' links saw.
func (s *summary) links() {
	if len(s.result.Links) == 0 {
		return
	}
	var rows [][]string
	for _, l := range s.result.Links {
		rows = append(rows, []string{
			Clean(l.Name), Clean(l.From + " > " + l.To), Count(l.Exchanges), strconv.Itoa(l.InFlight),
			Millis(l.Duration.P50), Millis(l.Duration.P99), counts(l.Statuses), counts(l.Endings),
		})
	}
	s.heading("Links: what reached the dependencies")
	table(&s.out, s.width, []column{{"link", false}, {"from > to", false}, {"exchanges", true}, {"max in flight", true},
		{"p50", true}, {"p99", true}, {"statuses", false}, {"endings", false}}, rows)
}

// faults is what was done to the system.
func (s *summary) faults() {
	if len(s.result.Faults) == 0 {
		return
	}
	var rows [][]string
	for _, f := range s.result.Faults {
		rows = append(rows, []string{Clean(f.Name), Clean(f.On), moment(f.Injected), moment(f.Healed), Count(f.Hit), faultNote(f)})
	}
	s.heading("Faults: what was injected")
	table(&s.out, s.width, []column{{"fault", false}, {"on", false}, {"injected at", true}, {"healed at", true},
		{"hit", true}, {"", false}}, rows)
}

// faultNote says what is wrong with a fault: one that did not happen as
// planned proves nothing.
func faultNote(f result.Fault) string {
	switch {
	case f.Error != "":
		return f.Error
	case f.Injected < 0:
		return "never injected"
	case f.Healed < 0:
		return "not healed when the evidence ends"
	case f.Hit == 0:
		return "hit nothing"
	case f.Overflow > 0:
		return "let " + Count(f.Overflow) + " go past max_active"
	}
	return ""
}

// moment prints a time since the start, of which a negative one is none.
func moment(seconds float64) string {
	if seconds < 0 {
		return unknown
	}
	return Seconds(seconds)
}

// counts prints how often each thing was seen, the most frequent first.
func counts(by map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		if by[name] > 0 {
			parts = append(parts, Clean(name)+":"+noBreak+Count(by[name]))
		}
	}
	if parts == nil {
		return unknown
	}
	return strings.Join(parts, "; ")
}

// harness is the harness measuring itself.
func (s *summary) harness() {
	h := s.result.Harness
	state := "well"
	if !h.Healthy {
		state = "UNHEALTHY, see above"
	}
	s.heading("Harness: " + state)
	arrivals := fmt.Sprintf("%s due, %s sent, %s unsent", Count(h.Offered), Count(h.Sent), Count(h.Unsent))
	if h.Stalled != "" {
		arrivals += fmt.Sprintf(" (when_stalled: %s)", Clean(h.Stalled))
	}
	if h.Steps > 0 {
		arrivals += fmt.Sprintf("; %s of them followed an answer", Count(h.Steps))
	}
	s.prose(label("arrivals"), labelWidth, arrivals)
	s.prose(label("send lag"), labelWidth, fmt.Sprintf("p50 %s, p99 %s, max %s", Millis(h.SendLag.P50), Millis(h.SendLag.P99),
		Millis(h.SendLag.Max)))
	s.prose(label("hiccups"), labelWidth, fmt.Sprintf("p99 %s in the worst second, max %s", Millis(h.HiccupP99), Millis(h.HiccupMax)))
	steal := "steal unknown"
	if h.Steal >= 0 {
		steal = fixed(h.Steal, 2) + " stolen by the host"
	}
	pressure := "pressure unknown"
	if h.Pressure >= 0 {
		pressure = "threads waited for a core in " + Percent(100*h.Pressure) + " of the worst second"
	}
	s.prose(label("CPU"), labelWidth, fmt.Sprintf("%s cores, %s, %s", fixed(h.CPU, 2), steal, pressure))
	lost := "no record lost"
	if h.Lost > 0 {
		lost = number(h.Lost, "record") + " lost: counts are lower bounds"
	}
	s.prose(label("evidence"), labelWidth, lost)
}

// directory says where everything is, and how to rule again.
func (s *summary) directory() {
	if s.result.Dir == "" {
		return
	}
	fmt.Fprintf(&s.out, "\nRun directory  %s\nJudge again    stormctl judge %s\n", Clean(s.result.Dir), shellWord(s.result.Dir))
}

// shellWord quotes text for a POSIX shell where it needs it. What would move
// the cursor is replaced all the same.
func shellWord(text string) string {
	text = Clean(text)
	safe := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@%", r))
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
