package reports

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"flag"
	"image"
	"image/draw"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/reports/browsertest"
)

var pages = flag.String("pages", "", "a folder of HTML reports, for TestPagesInABrowser")

// browser is a Chromium that looks at pages.
type browser struct{ *browsertest.Browser }

// view is how a page is looked at.
type view struct {
	name      string
	width     int
	dark      bool
	print     bool
	noScripts bool
	header    bool // it is served as Jenkins serves artifacts
}

// seen is what came of it.
type seen struct {
	found
	picture  *image.RGBA // in its own pixels, as are the plots
	width    float64     // of the screen
	console  []string
	requests []string
	drawn    float64 // when every chart was, in ms since it was asked for; 0 where no script says
}

// plot is where a chart is on the picture.
type plot struct {
	ID         string
	X, Y, W, H float64
	Canvas     bool // it is uPlot's
	Live       bool // it is to be
}

// found is what testdata/seen.js says of a page.
type found struct {
	Cut, Covered []string // words of charts that go beyond them, and such that stand upon each other
	Below        bool     // why a claim is refuted is not on the first screen
	Wide         int
	Plots        []plot
}

//go:embed testdata/seen.js
var findSeen string

// allDrawn waits until the scripts have drawn every chart, and at least three frames.
const allDrawn = `new Promise(done => {
	let frames = 0;
	const charts = new Set(JSON.parse(document.getElementById("charts").textContent).map(c => c.id));
	const figures = [...document.querySelectorAll("figure")];
	const ready = () => figures.every(f => f.classList.contains("live") || !f.checkVisibility() || !charts.has(f.id));
	const frame = () => ++frames > 3 && ready() || frames > 600 ? done(performance.now()) : requestAnimationFrame(frame);
	frame();
})`

// mostHeight is how much of a page is looked at, in pixels: what a long run has below
// is more of the same.
const mostHeight = 10000

// tab is one of the browser's, set up for a view.
type tab struct {
	browser
	session string
}

func (b browser) open(v view) (t tab, closeTab func()) {
	b.T.Helper()
	var target struct{ TargetID string }
	b.Call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	t = tab{b, attached.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		t.do(domain+".enable", nil, nil)
	}
	t.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.width, "height": 800, "deviceScaleFactor": 1, "mobile": false}, nil)
	scheme, media := "light", "screen"
	if v.dark {
		scheme = "dark"
	}
	if v.print {
		media = "print"
	}
	t.do("Emulation.setEmulatedMedia", map[string]any{"media": media, "features": []map[string]any{{"name": "prefers-color-scheme",
		"value": scheme}}}, nil)
	t.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": v.noScripts}, nil)
	return t, func() { b.Call("", "Target.closeTarget", map[string]any{"targetId": target.TargetID}, nil) }
}

func (t tab) do(method string, params map[string]any, answer any) {
	t.T.Helper()
	t.Call(t.session, method, params, answer)
}

// look opens the page as a view has it.
func (b browser) look(url string, v view) seen {
	b.T.Helper()
	t, closeTab := b.open(v)
	defer closeTab()
	b.Events = nil
	t.do("Page.navigate", map[string]any{"url": url}, nil)
	b.Await(t.session, "Page.loadEventFired")
	var drawn struct{ Result struct{ Value float64 } }
	if !v.noScripts && !v.header {
		t.do("Runtime.evaluate", map[string]any{"awaitPromise": true, "expression": allDrawn}, &drawn)
	}
	var out struct{ Result struct{ Value string } }
	t.do("Runtime.evaluate", map[string]any{"expression": findSeen}, &out)
	s := seen{drawn: drawn.Result.Value}
	if err := json.Unmarshal([]byte(out.Result.Value), &s.found); err != nil {
		b.T.Fatal(err)
	}
	height := min(b.height(t.session), mostHeight)
	s.Plots = slices.DeleteFunc(s.Plots, func(p plot) bool { return p.Y+p.H > height })
	t.shoot(&s, v, height)
	s.console, s.requests = b.heard(t.session)
	return s
}

// shoot takes the picture, and says where on it the plots are.
func (t tab) shoot(s *seen, v view, height float64) {
	t.T.Helper()
	scale := 0.5 // what is drawn is seen as well, at a quarter of the cost
	if os.Getenv("STORMCTL_PICTURES") != "" {
		scale = 1
	}
	for i := range s.Plots {
		p := &s.Plots[i]
		p.X, p.Y, p.W, p.H = p.X*scale, p.Y*scale, p.W*scale, p.H*scale
	}
	s.width = float64(v.width) * scale
	var shot struct{ Data string }
	t.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true,
		"clip": map[string]any{
			"x": 0, "y": 0, "width": v.width, "height": height, "scale": scale}}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.T.Fatal(err)
	}
	if dir := os.Getenv("STORMCTL_PICTURES"); dir != "" {
		_ = os.WriteFile(filepath.Join(dir, v.name+".png"), data, 0o644)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.T.Fatal(err)
	}
	s.picture = image.NewRGBA(picture.Bounds())
	draw.Draw(s.picture, picture.Bounds(), picture, image.Point{}, draw.Src)
}

func (b browser) height(session string) float64 {
	var m struct {
		CSSContentSize struct{ Height float64 }
	}
	b.Call(session, "Page.getLayoutMetrics", nil, &m)
	return m.CSSContentSize.Height
}

// heard is what the page has said on its console, and what it has asked for.
func (b browser) heard(session string) (console, requests []string) {
	for _, e := range b.Events {
		if e.SessionID != session {
			continue
		}
		switch e.Method {
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
			console = append(console, string(e.Params))
		case "Network.requestWillBeSent":
			var r struct{ Request struct{ URL string } }
			_ = json.Unmarshal(e.Params, &r)
			requests = append(requests, r.Request.URL)
		}
	}
	return console, requests
}

// colored is how many pixels of a chart have a colour: what is drawn has, while
// axes and text are gray.
func colored(picture *image.RGBA, p plot) (n int) {
	area := image.Rect(int(p.X), int(p.Y), int(p.X+p.W), int(p.Y+p.H)).Intersect(picture.Rect)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		row := picture.Pix[picture.PixOffset(area.Min.X, y):picture.PixOffset(area.Max.X, y)]
		for ; len(row) >= 4; row = row[4:] {
			if max(row[0], row[1], row[2])-min(row[0], row[1], row[2]) > 0x28 {
				n++
			}
		}
	}
	return n
}

// views are how every page is looked at: light and dark, on a phone and on paper,
// without scripts, and where a server turns off scripts and styles.
var views = []view{
	{name: "light", width: 1200}, {name: "dark", width: 1200, dark: true}, {name: "phone", width: 375},
	{name: "print", width: 800, print: true, dark: true},
	{name: "no-scripts", width: 1200, noScripts: true}, {name: "no-scripts-phone", width: 375, noScripts: true, dark: true},
	{name: "jenkins", width: 1200, header: true},
}

// lookAll looks at a page in every view.
func lookAll(t *testing.T, b browser, file string) {
	t.Helper()
	jenkins := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; style-src 'self';")
		w.Header().Set("Content-Type", "text/html")
		http.ServeFile(w, r, file)
	}))
	defer jenkins.Close()
	name := strings.TrimSuffix(filepath.Base(file), ".html")
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			b.T = t
			url := "file://" + file
			if v.header {
				url = jenkins.URL + "/" + name
			}
			if name != "report" {
				v.name = name + "-" + v.name
			}
			checkSeen(t, b.look(url, v), url, v)
		})
	}
}

// The pages of real runs, each in every view; make pages makes them. With the
// environment's STORMCTL_PICTURES what was seen is kept in that folder.
func TestPagesInABrowser(t *testing.T) {
	if *pages == "" {
		t.Skip("run it with make pages")
	}
	files, err := filepath.Glob(filepath.Join(*pages, "*.html"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages in %s: %v", *pages, err)
	}
	b := browser{browsertest.Start(t)}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".html"), func(t *testing.T) {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > 3<<20 {
				t.Errorf("%d bytes", info.Size())
			}
			lookAll(t, b, file)
		})
	}
}

// Light and dark, on a phone and on paper, without scripts and where a server turns
// off scripts and styles: each chart is drawn, nothing is asked for, nothing is said
// on the console.
func TestHTMLInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := browser{browsertest.Start(t)}
	page := []byte(pageOf(t, drawnRun()))
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	lookAll(t, b, file)
	for name, render := range map[string]func(*bytes.Buffer) error{
		"short": func(w *bytes.Buffer) error { return HTML(w, shortRun()) },
		"long":  func(w *bytes.Buffer) error { return HTML(w, longDay()) },
		"empty": func(w *bytes.Buffer) error { return HTML(w, fixtures()["empty"]) },
		"name":  func(w *bytes.Buffer) error { return HTML(w, hostileDrawn(strings.Join(hostileNames[:8], " "))) },
		"load":  func(w *bytes.Buffer) error { return LoadHTML(w, drawnLoad()) },
	} {
		t.Run(name, func(t *testing.T) {
			b.T = t
			var out bytes.Buffer
			if err := render(&out); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "report.html")
			if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			v := view{name: name, width: 1000}
			s := b.look("file://"+file, v)
			t.Logf("%d bytes, drawn after %.0f ms", out.Len(), s.drawn)
			checkSeen(t, s, "file://"+file, v)
		})
	}
}

func checkSeen(t *testing.T, s seen, url string, v view) {
	t.Helper()
	for _, line := range s.console {
		// Such a server's own policy refuses the style sheet and the scripts, which is
		// what is tried here, and the browser says so.
		if v.header && (strings.Contains(line, "Content Security Policy") || strings.Contains(line, "sandboxed")) {
			continue
		}
		t.Errorf("on the console: %s", line)
	}
	for _, word := range s.Cut {
		t.Errorf("cut off: %s", word)
	}
	for _, words := range s.Covered {
		t.Errorf("one upon the other: %s", words)
	}
	if s.Below && v.width > 1000 {
		t.Error("the first screen does not say why it is refuted")
	}
	if s.Wide > v.width && !v.header { // without a style sheet a wide table is as wide as it is
		t.Errorf("the page is %d wide, the screen %d", s.Wide, v.width)
	}
	if len(s.requests) != 1 || s.requests[0] != url {
		t.Errorf("asked for %q", s.requests)
	}
	if len(s.Plots) < 5 && v.name != "empty" {
		t.Errorf("%d charts", len(s.Plots))
	}
	scripts := !v.noScripts && !v.header && !v.print
	for _, p := range s.Plots {
		if n := colored(s.picture, p); n < 30 {
			t.Errorf("%s is not drawn: %d pixels of its %.0f × %.0f have a colour", p.ID, n, p.W, p.H)
		}
		if live := scripts && p.Live; p.Canvas != live {
			t.Errorf("%s is drawn by a script: %v, want %v", p.ID, p.Canvas, live)
		}
		if p.X < 0 || p.X+p.W > s.width+1 {
			t.Errorf("%s is wider than the screen: from %.0f to %.0f of %.0f", p.ID, p.X, p.X+p.W, s.width)
		}
	}
}
