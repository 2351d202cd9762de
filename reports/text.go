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
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// TextOptions says how the summary looks. The zero value is what goes into
// files.
type TextOptions struct {
	Width int  // of the terminal, in columns; 0 means 100, less than 60 means 60. Prose wraps to it, up to 120
	Color bool // rulings in colour, by ANSI sequences

	Page string // file of the HTML report that was written beside it; "" is none
}

const (
	defaultWidth = 100
	leastWidth   = 60
	proseWidth   = 120 // what the eye can follow
	idsShown     = 10  // of a verdict; all of them are in result.json
)

const nothingClaimed = "Nothing was claimed, so nothing has been shown."

// Text writes the summary that a tired person understands: a paragraph per
// claim, then the figures, then what weakens the rulings, and as the last line
// the ruling over all. Beside the marks of the rulings it adds only ASCII.
func Text(w io.Writer, r *result.Result, o TextOptions) error {
	s := summary{wrapped: newWrapped(o), result: r, color: o.Color, page: o.Page}
	s.head()
	s.claims()
	s.routes()
	s.warmup()
	s.links()
	s.matrix()
	s.faults()
	s.targets()
	s.harness()
	s.ending()
	_, err := w.Write(s.out.Bytes())
	return err
}

// summary is a text being written.
type summary struct {
	wrapped
	result *result.Result
	color  bool
	page   string // see TextOptions
}

// wrapped is text of a width.
type wrapped struct {
	out    bytes.Buffer
	width  int // of prose
	tables int // their width
}

func newWrapped(o TextOptions) wrapped {
	o.Width = cmp.Or(o.Width, defaultWidth)
	o.Width = max(o.Width, leastWidth)
	return wrapped{width: min(o.Width, proseWidth), tables: o.Width}
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
func (s *wrapped) prose(lead string, indent int, text string) {
	for i, line := range wrap(text, s.width-indent) {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		endLine(&s.out, lead+line)
	}
}

// head says which run it is, and what makes one like it.
func (s *summary) head() {
	r := s.result
	s.prose("", 0, r.Name)
	if r.About != "" {
		s.prose("", 0, r.About)
	}
	var sent uint64
	for _, route := range r.Routes {
		sent += route.Requests
	}
	text := fmt.Sprintf("Started %s, %s, %s", startTime(r.Started), Seconds(r.Seconds), number(sent, "request"))
	if r.Seed != 0 {
		text += fmt.Sprintf("; --seed%s%d repeats it", noBreak, r.Seed)
	}
	s.prose("", 0, text+".")
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
				ids += fmt.Sprintf(" and %d more in %s", more, result.File)
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
	return unit.List(ids, ", ", func(id uint64) string { return strconv.FormatUint(id, 10) })
}

// number is a count with its noun: "1 request", "15,000 requests".
func number(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Count(n) + " " + noun
}

// heading opens a table.
func (s *summary) heading(title string) {
	s.out.WriteByte('\n')
	s.prose("", 0, title)
}

// routes are what callers got.
func (s *summary) routes() {
	s.callers("route", "Routes: what callers got (response: since the request was due; service: since it was sent)", s.result.Routes)
	s.callers("region", "Regions: what callers from each got, of all routes", s.result.Regions)
}

// callers is a table of what they got, of each route or region.
func (s *summary) callers(what, heading string, list []result.Route) {
	if len(list) == 0 {
		return
	}
	var rows [][]string
	for _, r := range list {
		others := maps.Clone(r.Outcomes)
		delete(others, load.OK.String())
		rows = append(rows, []string{
			routeTitle(r), Count(r.Requests), PerSecond(float64(r.Requests) / s.result.Seconds), Percent(r.Success),
			Millis(r.Response.P50), Millis(r.Response.P99), Millis(r.Response.Max),
			Millis(r.Service.P50), Millis(r.Service.P99), counts(others),
		})
	}
	s.heading(heading)
	table(&s.out, s.tables, []column{{title: what}, {title: "requests", right: true}, {title: "rate", right: true, rank: 2},
		{title: "success", right: true}, {title: "response p50", right: true}, {title: "p99", right: true},
		{title: "max", right: true, rank: 1}, {title: "service p50", right: true, rank: 3},
		{title: "p99", right: true, full: "service p99", rank: 3}, {title: "other than ok"}}, rows)
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

// links are what the dependencies' links saw.
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
	table(&s.out, s.tables, []column{{title: "link"}, {title: "from > to", rank: 4}, {title: "exchanges", right: true},
		{title: "max in flight", right: true, rank: 3}, {title: "p50", right: true, rank: 2}, {title: "p99", right: true, rank: 1},
		{title: "statuses"}, {title: "endings"}}, rows)
}

// faults is what was done to the system.
func (s *summary) faults() {
	if len(s.result.Faults) == 0 {
		return
	}
	var rows [][]string
	shown, more := foremost(s.result.Faults)
	for _, f := range shown {
		rows = append(rows, []string{Clean(f.Name), Clean(f.On), moment(f.Injected), moment(f.Healed), Count(f.Hit), faultNote(f)})
	}
	s.heading("Faults: what was injected")
	table(&s.out, s.tables, []column{{title: "fault"}, {title: "on", rank: 1}, {title: "injected at", right: true},
		{title: "healed at", right: true}, {title: "hit", right: true}, {}}, rows)
	if more != "" {
		s.prose("  ", 2, more)
	}
}

// faultsShown is how many faults people are shown at most.
const faultsShown = 50

// foremost are the faults that people are shown, in their order: of many, those first
// that did not happen as planned. more says what is left out; "" if nothing is.
func foremost(all []result.Fault) (shown []result.Fault, more string) {
	room := min(faultsShown, len(all))
	noted := 0
	for i := range all {
		if faultNote(all[i]) != "" {
			noted++
		}
	}
	plain := max(0, room-noted)
	for i := range all {
		note := faultNote(all[i]) != ""
		if room == 0 || !note && plain == 0 {
			continue
		}
		if room--; !note {
			plain--
		}
		shown = append(shown, all[i])
	}
	if left := len(all) - len(shown); left > 0 {
		more = fmt.Sprintf("and %s more in %s", Count(uint64(left)), result.File)
		if noted > len(shown) {
			more += fmt.Sprintf(", %s of them with a remark", Count(uint64(noted-len(shown))))
		}
	}
	return shown, more
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
	if h.Healthy {
		s.heading("Harness: well")
	} else {
		s.heading("Harness: UNHEALTHY")
		why := "no figure says why"
		if len(h.Problems) > 0 {
			why = strings.Join(h.Problems, "; ")
		}
		s.prose(label("because"), labelWidth, why)
	}
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
