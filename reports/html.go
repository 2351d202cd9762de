package reports

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"runtime/debug"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports/chart"
)

// MaxHTML bounds the page of a run of any length, in bytes: a browser opens it at
// once, and a mail takes it.
const MaxHTML = 3 << 20

// assets are the page's own; uplot is vendored, with its licence and hashes beside it.
//
//go:embed assets/page.tmpl assets/style.css assets/charts.js assets/uplot/uPlot.iife.min.js assets/uplot/uPlot.min.css
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/page.tmpl"))

func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded: the build has it or fails
	}
	return string(text)
}

// Style is the style sheet of our pages: colours in light and dark, and what charts are
// drawn with.
func Style() string { return asset("style.css") }

// Charts is the style sheet of uPlot, and the script by which a page draws charts with it:
// drawCharts, of a list of charts.
func Charts() (style, script string) {
	return asset("uplot/uPlot.min.css"), asset("uplot/uPlot.iife.min.js") + "\n" + asset("charts.js")
}

// detail is how much a page shows of what there may be thousands of.
type detail struct {
	links    int // that have charts
	windows  int // around faults
	exhibits int // over all claims
	routes   int // in tables
	claims   int // that have a place of their own
}

// details go from all that is worth looking at to what always fits.
var details = []detail{
	{links: 12, windows: 12, exhibits: 120, routes: 50, claims: 200},
	{links: 6, windows: 6, exhibits: 60, routes: 50, claims: 100},
	{links: 3, windows: 3, exhibits: 24, routes: 50, claims: 50},
	{links: 1, windows: 0, exhibits: 6, routes: 20, claims: 20},
}

// HTML writes the result as one page that needs nothing else, neither a network nor
// scripts, of at most MaxHTML bytes: what does not fit is left out, and the page
// says what that is. The experiment is from the run directory, if that has it.
func HTML(w io.Writer, r *result.Result) error {
	page, err := pageThatFits(func(d detail) (*htmlPage, error) { return resultPage(r, d) })
	if err != nil {
		return fmt.Errorf("write result of %s as HTML: %w", r.Name, err)
	}
	_, err = w.Write(page)
	return err
}

// LoadHTML writes an ad-hoc load as such a page.
func LoadHTML(w io.Writer, l *Load) error {
	page, err := pageThatFits(func(d detail) (*htmlPage, error) { return loadPage(l, d) })
	if err != nil {
		return fmt.Errorf("write load of %s as HTML: %w", l.URL, err)
	}
	_, err = w.Write(page)
	return err
}

// pageThatFits is the most detailed page that is small enough.
func pageThatFits(make func(detail) (*htmlPage, error)) ([]byte, error) {
	var size int
	for _, d := range details {
		p, err := make(d)
		if err != nil {
			return nil, err
		}
		text, err := p.render()
		if err != nil || len(text) <= MaxHTML {
			return text, err
		}
		size = len(text)
	}
	return nil, fmt.Errorf("its page would have %d bytes with the least detail, and %d is the most", size, MaxHTML)
}

// htmlPage is what the template shows, in its order. All strings are plain text.
type htmlPage struct {
	CSP     string
	CSS     template.CSS
	Scripts []template.JS
	Data    template.JS

	Warnings          []warning
	Class, Mark, Word string // of the ruling
	Name, About       string
	Facts             []fact
	ClaimsTitle       string
	Claims            []claimLine
	NoClaims          string
	Nav               []link

	Stack       []chartGroup
	StackNote   string
	Windows     []chartGroup
	WindowsNote string
	Articles    []article
	Spectra     []figure

	SpectrumTitle, SpectrumNote string
	Tables                      []grid

	HarnessClass, HarnessWord string
	Problems                  []string
	Harness                   []fact

	AgainTitle, Command        string
	Experiment, ExperimentNote string
	Version                    string

	live []*chart.Chart // that the script draws
}

type warning struct{ Label, Text string }

type fact struct{ Name, Text string }

type link struct{ Anchor, Text string }

// render adds what all pages have, and makes the bytes.
func (p *htmlPage) render() ([]byte, error) {
	css := asset("uplot/uPlot.min.css") + "\n" + asset("style.css")
	scripts := []string{asset("uplot/uPlot.iife.min.js"), asset("charts.js")}
	p.CSS = template.CSS(css) //nolint:gosec // ours
	p.CSP = "default-src 'none'; img-src data:; style-src '" + cspHash(css) + "'; script-src"
	for _, s := range scripts {
		p.Scripts = append(p.Scripts, template.JS(s)) //nolint:gosec // ours
		p.CSP += " '" + cspHash(s) + "'"
	}
	p.CSP += "; base-uri 'none'; form-action 'none'"
	data, err := json.Marshal(orEmpty(p.live)) // which escapes what could end the element
	if err != nil {
		return nil, err
	}
	p.Data = template.JS(data) //nolint:gosec // JSON, in an element that is not run
	p.Version = versionText()
	var out bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&out, "page.tmpl", p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// cspHash is how a policy names an element's text.
func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// versionText is which stormctl wrote the page.
func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "Written by stormctl (devel)."
	}
	return "Written by stormctl " + info.Main.Version + ", " + info.GoVersion + "."
}

// mostName is how much of a name is shown, in characters.
const mostName = 120

// shown is foreign text as a page shows it: what does something in it is escaped,
// and of a long one the beginning is shown.
func shown(text string, most int) string {
	text = Clean(text)
	if len(text) <= most {
		return text
	}
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

func nameOf(text string) string { return shown(text, mostName) }
