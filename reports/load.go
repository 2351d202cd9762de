package reports

import (
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
)

// LoadSchema is the version of the document that LoadJSON writes. Fields may be
// added under the same version; a change of meaning raises it.
const LoadSchema = 1

// Load is what an ad-hoc load came to. Durations are in milliseconds under
// names ending in _ms, lengths in seconds under names ending in _s.
type Load struct {
	Schema   int               `json:"schema"`
	URL      string            `json:"url"`
	Model    string            `json:"model"`    // "open" or "closed"
	Schedule string            `json:"schedule"` // what was offered, in words
	Hosts    []Host            `json:"hosts,omitempty"`
	Started  time.Time         `json:"started"`
	Seconds  float64           `json:"duration_s"` // from the start to the last outcome
	Partial  string            `json:"partial,omitempty"`
	Due      uint64            `json:"due"`      // arrivals that fell due; requests and unsent make it up
	Requests uint64            `json:"requests"` // of these, sent
	Unsent   uint64            `json:"unsent"`
	Offered  float64           `json:"offered_per_s"` // what the schedule wanted; 0 in the closed model
	Rate     float64           `json:"rate_per_s"`    // requests that ended per second
	Success  float64           `json:"success_pct"`   // share of ok among those due
	Outcomes map[string]uint64 `json:"outcomes"`      // by load.Outcome, zeros left out
	Statuses map[string]uint64 `json:"statuses"`      // of complete responses
	Received int64             `json:"received_bytes"`
	Response result.Spread     `json:"response"` // done − intended; in the closed model it omits what callers would have waited
	Service  result.Spread     `json:"service"`  // done − sent
	// the same by kind of request, if there are several; requests count what was due
	Routes      []result.Route `json:"routes,omitempty"`
	Warmup      *result.Warmup `json:"warmup,omitempty"` // what was sent before, and is in no other figure; absent without one
	Harness     LoadHarness    `json:"harness"`
	Thresholds  []Threshold    `json:"thresholds,omitempty"`
	Spectrum    []Bin          `json:"spectrum"` // of response times
	Connections Connections    `json:"connections"`
	Series      *series.View   `json:"series,omitempty"` // over time; absent where nothing recorded it
}

// Host is where requests to a host went.
type Host struct {
	URL       string `json:"url"`       // scheme and host
	Addr      string `json:"address"`   // ip:port, or unix:PATH
	Addresses int    `json:"addresses"` // how many the host has, of which only that one was used
	Protocol  string `json:"protocol"`
	Auto      bool   `json:"auto,omitempty"` // the protocol was not given, but chosen before the load began
}

// LoadHarness is the harness measuring itself.
type LoadHarness struct {
	Healthy    bool          `json:"healthy"`
	Problems   []string      `json:"problems,omitempty"` // why not, each with its figure
	SendLag    result.Spread `json:"send_lag"`           // sent − intended
	Late       result.Spread `json:"late"`               // the part of it that is the harness's own
	HiccupP99  float64       `json:"hiccup_p99_ms"`      // over the whole load
	HiccupMax  float64       `json:"hiccup_max_ms"`
	CPU        float64       `json:"cpu_cores"` // mean
	CPURequest float64       `json:"cpu_per_request_us"`
	Busy       float64       `json:"loop_busy_pct"` // of a core, by the busiest loop in its busiest second
	Pressure   float64       `json:"cpu_pressure"`  // largest of any second; -1 if unknown
	Steal      float64       `json:"steal_cores"`   // mean; -1 if unknown
	GCPause    float64       `json:"gc_pause_max_ms"`
	Memory     int64         `json:"memory_bytes"` // resident, the most there was; 0 if unknown
	Loops      int           `json:"loops"`
	Transport  string        `json:"transport"`
}

// Connections is how they were used.
type Connections struct {
	Dialled uint64  `json:"dialled"`
	Most    int     `json:"most_open"`
	Rate    float64 `json:"most_dialled_per_s"` // in any second
	Resent  uint64  `json:"resent"`             // requests sent again over HTTP/2, as the service said that it had not processed them
	// Connections that TLS has ended: a handshake that failed, or an alert of the service; and why the first of them did.
	TLSFailed uint64 `json:"tls_failed,omitempty"`
	TLSError  string `json:"tls_error,omitempty"`
	// Redirects that were followed, and those that were not; and why the first of these was not.
	Redirects  uint64 `json:"redirects,omitempty"`
	Unfollowed uint64 `json:"redirects_not_followed,omitempty"`
	Elsewhere  string `json:"redirect_not_followed,omitempty"`
}

// Threshold is a bound that the user has set, and how it came out.
type Threshold struct {
	Text   string `json:"text"` // the failure: "p99 > 50ms"
	Value  string `json:"value"`
	Failed bool   `json:"failed"`
	Open   bool   `json:"inconclusive,omitempty"` // the harness was not well enough to tell
}

// outcome is how it came out, in a word.
func (t Threshold) outcome() string {
	switch {
	case t.Failed:
		return "FAILED"
	case t.Open:
		return "INCONCLUSIVE"
	}
	return "passed"
}

// Bin is how many times fell in a stretch of the spectrum.
type Bin struct {
	From  float64 `json:"from_ms"`
	To    float64 `json:"to_ms"`
	Count int64   `json:"count"`
}

// LoadJSON writes the load as one indented document that ends in a newline.
func LoadJSON(w io.Writer, l *Load) error {
	complete := *l
	complete.Spectrum = orEmpty(l.Spectrum)
	text, err := indented(&complete)
	if err != nil {
		return fmt.Errorf("write load of %s as JSON: %w", l.URL, err)
	}
	_, err = w.Write(append(CleanJSON(text), '\n'))
	return err
}

// LoadText writes the summary of a load for people: at its end what weakens it,
// and how its thresholds came out.
func LoadText(w io.Writer, l *Load, o TextOptions) error {
	s := loadSummary{wrapped: newWrapped(o), load: l}
	s.head()
	s.counts()
	s.times()
	s.routes()
	s.harness()
	s.spectrum()
	s.ending()
	_, err := w.Write(s.out.Bytes())
	return err
}

type loadSummary struct {
	wrapped
	load *Load
}

func (s *loadSummary) head() {
	l := s.load
	s.prose("", 0, Clean(l.URL)+"  "+l.Schedule)
	for _, h := range l.Hosts {
		if text := hostText(h); text != "" {
			s.line("host", Clean(h.URL)+" "+text)
		}
	}
}

// hostText is what was found out about a host; "" if all of it was given.
func hostText(h Host) string {
	var parts []string
	if h.Addresses > 1 {
		parts = append(parts, fmt.Sprintf("is %s, one of its %d addresses", h.Addr, h.Addresses))
	}
	if h.Auto {
		parts = append(parts, "speaks "+h.Protocol)
	}
	return strings.Join(parts, "; ")
}

func (s *loadSummary) line(name, text string) { s.prose(label(name), labelWidth, text) }

func (s *loadSummary) counts() {
	l := s.load
	text := fmt.Sprintf("%s in %s, %s", Count(l.Requests), Seconds(l.Seconds), PerSecond(l.Rate))
	if l.Unsent > 0 {
		text += fmt.Sprintf("; %s more were due and never sent", Count(l.Unsent))
	}
	s.out.WriteByte('\n')
	s.line("requests", text)
	s.line("success", Percent(l.Success)+"  "+counts(l.Outcomes))
	s.line("statuses", counts(l.Statuses))
	s.line("received", bytesText(float64(l.Received))+", "+bytesText(float64(l.Received)/max(l.Seconds, 1e-9))+"/s")
	text = fmt.Sprintf("%s dialled, at most %s in a second; at most %s open", Count(l.Connections.Dialled),
		Count(uint64(math.Ceil(l.Connections.Rate))), Count(uint64(l.Connections.Most)))
	if n := l.Connections.Resent; n > 0 {
		text += fmt.Sprintf("; %s requests not processed and sent again", Count(n))
	}
	s.line("connections", text)
	if n := l.Connections.TLSFailed; n > 0 {
		s.line("TLS", fmt.Sprintf("ended %s connections, the first with: %s", Count(n), Clean(l.Connections.TLSError)))
	}
	if c := l.Connections; c.Redirects+c.Unfollowed > 0 {
		text := Count(c.Redirects) + " followed"
		if c.Unfollowed > 0 {
			text += fmt.Sprintf("; %s not, the first as %s", Count(c.Unfollowed), Clean(c.Elsewhere))
		}
		s.line("redirects", text)
	}
	if l.Warmup != nil {
		s.line("warm-up", warmupText(l.Warmup)+"; in no other figure")
	}
}

func (s *loadSummary) times() {
	l := s.load
	s.out.WriteByte('\n')
	row := func(name string, d result.Spread, about string) []string {
		return []string{name, Millis(d.P50), Millis(d.P90), Millis(d.P99), Millis(d.P999), Millis(d.Max), about}
	}
	since := "since the request was due"
	if l.Model == "closed" {
		since = "closed model: what callers would have waited is not in it"
	}
	table(&s.out, s.tables, []column{{}, {title: "p50", right: true}, {title: "p90", right: true, rank: 1}, {title: "p99", right: true},
		{title: "p99.9", right: true}, {title: "max", right: true}, {}}, [][]string{
		row("response", l.Response, since),
		row("service", l.Service, "since it was sent"),
		row("send lag", l.Harness.SendLag, "from due to sent"),
		row("of it late", l.Harness.Late, "the harness's own part"),
	})
}

// routes are the kinds of request, if there are several.
func (s *loadSummary) routes() {
	if len(s.load.Routes) == 0 {
		return
	}
	var rows [][]string
	for _, r := range s.load.Routes {
		others := maps.Clone(r.Outcomes)
		delete(others, "ok")
		rows = append(rows, []string{Clean(r.Name), Count(r.Requests), Percent(r.Success),
			Millis(r.Response.P50), Millis(r.Response.P99), Millis(r.Response.Max), Millis(r.Service.P50), Millis(r.Service.P99),
			counts(others)})
	}
	s.out.WriteByte('\n')
	table(&s.out, s.tables, []column{{title: "route"}, {title: "due", right: true}, {title: "success", right: true},
		{title: "response p50", right: true}, {title: "p99", right: true}, {title: "max", right: true, rank: 1},
		{title: "service p50", right: true, rank: 2}, {title: "p99", right: true, full: "service p99", rank: 2},
		{title: "other than ok"}}, rows)
}

func (s *loadSummary) harness() {
	h := s.load.Harness
	state := "well"
	if !h.Healthy {
		state = "UNHEALTHY, see below"
	}
	s.out.WriteByte('\n')
	text := fmt.Sprintf("%s; host hiccups p99 %s, max %s; %s cores, %s us a request; loops (%d, %s) at most %s of a core",
		state, Millis(h.HiccupP99), Millis(h.HiccupMax), fixed(h.CPU, 2), fixed(h.CPURequest, 1), h.Loops, h.Transport, Percent(h.Busy))
	if h.Steal > 0.005 {
		text += fmt.Sprintf("; %s cores stolen by the hypervisor", fixed(h.Steal, 2))
	}
	s.line("harness", text)
}

// spectrum draws the distribution, a line for each bin.
func (s *loadSummary) spectrum() {
	bins := s.load.Spectrum
	if len(bins) == 0 {
		return
	}
	s.out.WriteString("\nLatency spectrum (response time)\n")
	var most, all, sum int64
	for _, b := range bins {
		most = max(most, b.Count)
		all += b.Count
	}
	const figures = 40 // what stands beside the bar
	room := int64(max(s.width-figures, 10))
	for _, b := range bins {
		sum += b.Count
		bar := strings.Repeat("#", int((b.Count*room+most-1)/most))
		endLine(&s.out, fmt.Sprintf("  %8s %8s  %9s  %s", Millis(b.To), Percent(100*float64(sum)/float64(all)),
			Count(uint64(b.Count)), bar))
	}
}

// ending is what a screen shows when the rest has scrolled through it: what
// weakens the figures, and how the thresholds came out.
func (s *loadSummary) ending() {
	l := s.load
	if l.Harness.Healthy && l.Partial == "" && len(l.Thresholds) == 0 {
		return
	}
	s.out.WriteByte('\n')
	if l.Partial != "" {
		const mark = "STOPPED EARLY  "
		s.prose(mark, len(mark), "What is told is only what was seen until then: "+l.Partial+".")
	}
	if !l.Harness.Healthy {
		const mark = unhealthy + "  "
		s.prose(mark, len(mark), unhealthyMeans+": "+strings.Join(l.Harness.Problems, "; "))
	}
	for _, t := range l.Thresholds {
		word := t.outcome()
		s.prose(word+"  ", len(word)+2, fmt.Sprintf("fails if %s: it is %s", t.Text, t.Value))
	}
}

// bytesText prints an amount in binary units: 1536 is "1.5KiB".
func bytesText(v float64) string {
	const units = "KMGTP"
	if v < 1024 {
		return strconv.FormatFloat(v, 'f', 0, 64) + "B"
	}
	i := -1
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return fixed(v, 1) + units[i:i+1] + "iB"
}
