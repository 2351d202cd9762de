package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/reports/chart"
)

//go:embed assets/room.tmpl assets/door.tmpl assets/room.css assets/room.js
var assets embed.FS

var templates = template.Must(template.ParseFS(assets, "assets/room.tmpl", "assets/door.tmpl"))

func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded: the build has it or fails
	}
	return string(text)
}

// partNames are the parts of the page that change, each a template and an element of
// this name. They are the same for all who look: what a role may not do is hidden by
// the style sheet, and refused.
var partNames = []string{"status", "force", "armed", "hypothesis", "charts", "people", "checklist", "marks", "outcome"}

// rendered is the parts as they were made last.
type rendered struct {
	mu      sync.Mutex
	version int
	at      time.Time
	parts   map[string]string
}

// goodFor is how long parts are good enough for streams, however much happens: to make
// them takes milliseconds, which the load may need.
const goodFor = 200 * time.Millisecond

// parts are the parts by name: as of now, or a little older where that is good enough.
// They are made once for all who ask. Nobody may change them.
func (c *Console) parts(fresh bool) (map[string]string, error) {
	c.rendered.mu.Lock()
	defer c.rendered.mu.Unlock()
	if !fresh && time.Since(c.rendered.at) < goodFor {
		return c.rendered.parts, nil // the board changes every second, so that what is newer comes soon
	}
	v := c.view()
	if c.rendered.parts != nil && v.version == c.rendered.version {
		return c.rendered.parts, nil
	}
	all := map[string]string{}
	for _, name := range partNames {
		html, err := render(name, v)
		if err != nil {
			return nil, err
		}
		all[name] = html
	}
	c.rendered.parts, c.rendered.version, c.rendered.at = all, v.version, time.Now()
	return all, nil
}

func render(name string, data any) (string, error) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	return out.String(), nil
}

// roomPage is the whole page for one person.
type roomPage struct {
	*view
	Me    actor
	Role  string
	Flash string
	Parts map[string]template.HTML
	Last  int // the last line that is on it
	Lines []line

	Palette []choiceView
	Limits  []string
	About   string
}

func (c *Console) renderPage(a actor, flash string) ([]byte, error) {
	lines, _ := c.board.since(0)
	parts, err := c.parts(true) // after the lines: what is newer comes by the stream
	if err != nil {
		return nil, err
	}
	p := roomPage{view: c.view(), Me: a, Role: a.Role.String(), Flash: flash, Parts: map[string]template.HTML{}, Lines: lines,
		Palette: c.palette(), Limits: limits(c.x), About: reports.CleanLines(c.x.About)}
	for _, l := range lines {
		p.Last = max(p.Last, l.ID)
	}
	slices.Reverse(p.Lines)
	for name, html := range parts {
		p.Parts[name] = template.HTML(html) //nolint:gosec // a template has made it
	}
	text, err := render("room.tmpl", p)
	return []byte(text), err
}

func (c *Console) renderDoor(problem string) ([]byte, error) {
	text, err := render("door.tmpl", struct{ Name, Problem string }{c.x.Name, problem})
	return []byte(text), err
}

// choiceView is one fault of the palette.
type choiceView struct {
	Index                       int
	Name, What, On, Most, Usual string
	Touches, Undo               string
	Restart                     bool
}

func (c *Console) palette() (all []choiceView) {
	for i, choice := range c.x.GameDay.Palette {
		v := choiceView{Index: i, Name: reports.Clean(choice.Name), What: reports.Clean(choice.What()), On: choice.Where(),
			Most: unit.FormatDuration(choice.For), Usual: unit.FormatDuration(usual(choice.For)), Restart: choice.Restart != nil}
		if i < len(c.config.Touches) {
			v.Touches, v.Undo = reports.Clean(c.config.Touches[i].What), reports.Clean(c.config.Touches[i].Undo)
		}
		all = append(all, v)
	}
	return all
}

// usual is what a form begins with: not the longest that is allowed.
func usual(most time.Duration) time.Duration {
	return min(most, max(most/2, 5*time.Second).Truncate(time.Second))
}

// limits are what would end the run by itself, and what it may touch.
func limits(x *experiment.Experiment) (all []string) {
	for _, s := range x.Limits.StopIf {
		all = append(all, fmt.Sprintf("The run is halted if %s for %s.", s, unit.FormatDuration(max(s.For, time.Second))))
	}
	if x.Limits.StopFile != "" {
		all = append(all, "The run is halted if "+x.Limits.StopFile+" is there.")
	}
	if len(all) == 0 {
		all = append(all, "Nothing halts the run by itself: limits: {stop_if: [...]} would.")
	}
	all = append(all, fmt.Sprintf("All faults are healed when no owner or operator is at the page for %s.",
		unit.FormatDuration(x.GameDay.HealAfter)))
	for _, allow := range x.Limits.Allow {
		all = append(all, "May touch "+allow+".")
	}
	return all
}

// view is the board as the parts show it.
type view struct {
	version int

	Name, Phase, Doing, Clock, Total string
	Seconds, Length                  float64 // of the clock
	Unready                          string  // why nothing may be injected
	Ready                            bool
	Ending                           string
	Rate, OK, P99                    string // of the last column
	Faults                           []faultView
	Force                            []faultView // those of them that are in force
	Armed                            []armedView
	Claims                           []claimView
	Closed                           bool // to predictions
	Final                            bool
	Charts                           []*chart.Chart
	People                           []person
	Checks                           []checkView
	Marks                            []mark
	Summary                          []gameday.Times
}

type faultView struct {
	fault
	Letter, State string
	Until         float64 // on the clock; 0 is not known
	By            string
}

type armedView struct {
	choiceView
	For, By string
}

type checkView struct {
	Index    int
	Text, By string
}

type claimView struct {
	Index                      int
	Claim, Class, Mark, Reason string
	Predictions                []predictionView
}

type predictionView struct{ By, Mark, Class, Right string }

// view takes what is on the board, and makes of it what is shown.
func (c *Console) view() *view {
	c.board.mu.Lock()
	b := c.board
	now := b.now
	if b.phase == during && !b.told.IsZero() && !b.final {
		now += min(time.Since(b.told), time.Second)
	}
	v := &view{version: b.version, Name: c.x.Name, Phase: b.phase, Doing: b.doing, Clock: clock(now), Total: clock(b.total),
		Seconds: now.Seconds(), Length: b.total.Seconds(), Ending: reports.Clean(b.ending), Closed: len(b.faults) > 0 || b.phase == after,
		Final: b.final, Marks: slices.Clone(b.marks)}
	faults, cols := slices.Clone(b.faults), b.columns.clone()
	inForce, arms := b.inForce(), slices.Clone(b.armed)
	verdicts, checked := b.verdicts, maps.Clone(b.checked)
	foretold := map[string]map[int]judge.Ruling{}
	for who, rulings := range b.foretold {
		foretold[who] = maps.Clone(rulings)
	}
	c.board.mu.Unlock()

	v.Unready = c.control.Unready()
	v.Ready = v.Unready == "" && v.Phase == during
	v.figures(cols.last())
	for i, f := range faults {
		v.Faults = append(v.Faults, viewOf(f, i))
	}
	for _, f := range inForce {
		v.Force = append(v.Force, viewOf(f, slices.IndexFunc(faults, func(o fault) bool { return o.Index == f.Index })))
	}
	palette := c.palette()
	for _, a := range arms {
		v.Armed = append(v.Armed, armedView{palette[a.Choice], unit.FormatDuration(a.For), a.By})
	}
	for i, text := range c.x.GameDay.Checklist {
		v.Checks = append(v.Checks, checkView{i, reports.Clean(text), checked[i]})
	}
	v.claims(c.x, verdicts, foretold)
	v.charts(&cols, faults, now, slices.Sorted(maps.Keys(c.x.Links)))
	v.People = c.room.present(time.Now())
	v.Summary = timesOf(faults, v.Marks)
	return v
}

func (v *view) figures(last column) {
	if last.seconds == 0 {
		return
	}
	ended := last.ok + last.failed + last.unsent
	v.Rate = strconv.FormatUint(last.offered/uint64(last.seconds), 10) + "/s"
	v.OK = "–"
	if ended > 0 {
		v.OK = strconv.FormatFloat(100*float64(last.ok)/float64(ended), 'f', 1, 64) + "%"
	}
	v.P99 = last.p99.Round(100 * time.Microsecond).String()
}

// viewOf is a fault as it is shown, the i-th that came.
func viewOf(f fault, i int) faultView {
	v := faultView{fault: f, Letter: letter(i), State: "healed", By: reports.Clean(f.By)}
	v.Name, v.Error = reports.Clean(f.Name), reports.Clean(f.Error)
	switch {
	case f.Error != "":
		v.State = "failed"
	case f.Healed >= 0:
	case f.Healing:
		v.State = "healing"
	case f.Injected < 0:
		v.State = "coming"
	default:
		v.State = "in force"
		if f.For > 0 {
			until := f.Injected + f.For
			v.Until, v.State = until.Seconds(), "to "+clock(until) // which the page's script counts down to
		}
	}
	return v
}

var rulingMarks = map[judge.Ruling]string{judge.Held: "✓", judge.Refuted: "✗", judge.Inconclusive: "?"}

func (v *view) claims(x *experiment.Experiment, verdicts []judge.Verdict, foretold map[string]map[int]judge.Ruling) {
	for i, c := range x.Claims {
		one := claimView{Index: i, Claim: reports.Clean(c.Judge().String()), Class: "open", Mark: "·", Reason: "not judged yet"}
		if i < len(verdicts) {
			r := verdicts[i].Ruling
			one.Class, one.Mark, one.Reason = r.String(), rulingMarks[r], reports.Clean(verdicts[i].Reason)
		}
		for _, who := range slices.Sorted(maps.Keys(foretold)) {
			r, ok := foretold[who][i]
			if !ok {
				continue
			}
			p := predictionView{By: who, Mark: rulingMarks[r], Class: r.String()}
			switch {
			case !v.Final || i >= len(verdicts):
			case verdicts[i].Ruling == r:
				p.Right = "right"
			case verdicts[i].Ruling != judge.Inconclusive: // else nobody was wrong
				p.Right = "wrong"
			}
			one.Predictions = append(one.Predictions, p)
		}
		v.Claims = append(v.Claims, one)
	}
}

func (v *view) charts(cols *columns, faults []fault, now time.Duration, links []string) {
	if len(cols.all) == 0 {
		return
	}
	v.Charts = cols.charts(faults, now, links)
	for _, c := range v.Charts {
		c.Title = reports.Clean(c.Title)
		c.Fit()
	}
}

// timesOf is how long it took people to see each fault, and to mitigate it.
func timesOf(faults []fault, marks []mark) (all []gameday.Times) {
	for _, f := range faults {
		if f.Injected < 0 {
			continue
		}
		t := gameday.Times{Fault: reports.Clean(f.Name), Injected: f.Injected, Healed: f.Healed, By: f.By}
		for _, m := range marks {
			if m.Fault == f.Name {
				t.Mark(m.What, m.At, m.By)
			}
		}
		all = append(all, t)
	}
	return all
}
