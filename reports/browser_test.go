package reports

import (
	"bytes"
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
	picture  *image.RGBA // in its own pixels, as are the plots
	width    float64     // of the screen
	plots    []plot
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

// Words are looked at where they are SVG: on a canvas they are pixels.
const findPlots = `(() => {
const live = new Set(JSON.parse(document.getElementById("charts").textContent).map(c => c.id));
const box = e => e.getBoundingClientRect(), cut = [], covered = [];
for (const svg of document.querySelectorAll("svg")) {
	const edge = box(svg), words = [...svg.querySelectorAll("text")].filter(t => box(t).width > 0), where = svg.closest("[id]").id + ": ";
	words.forEach((t, i) => {
		const r = box(t);
		if (r.left < edge.left - 1 || r.right > edge.right + 1 || r.top < edge.top - 2 || r.bottom > edge.bottom + 2) cut.push(where + t.textContent);
		for (const other of words.slice(i + 1)) {
			const o = box(other), across = Math.min(r.right, o.right) - Math.max(r.left, o.left), down = Math.min(r.bottom, o.bottom) - Math.max(r.top, o.top);
			if (across > 2 && down > 6) covered.push(where + t.textContent + " and " + other.textContent);
		}
	});
}
return JSON.stringify({Cut: cut, Covered: covered, Wide: document.documentElement.scrollWidth, Plots: [...document.querySelectorAll("figure")].filter(f => f.checkVisibility()).map(f => {
	const r = f.querySelector(".plot").getBoundingClientRect(), c = f.querySelector("canvas"),
		shown = c && c.getBoundingClientRect().width > 0;
	return {ID: f.id, X: r.x + scrollX, Y: r.y + scrollY, W: r.width, H: r.height, Canvas: Boolean(shown), Live: live.has(f.id)};
})});
})()`

// mostHeight is how much of a page is looked at, in pixels: what a long run has below
// is more of the same.
const mostHeight = 10000

// look opens the page as a view has it.
func (b browser) look(url string, v view) seen {
	b.T.Helper()
	var target struct{ TargetID string }
	b.Call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	do := func(method string, params map[string]any, answer any) {
		b.T.Helper()
		b.Call(attached.SessionID, method, params, answer)
	}
	defer b.Call("", "Target.closeTarget", map[string]any{"targetId": target.TargetID}, nil)
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		do(domain+".enable", nil, nil)
	}
	do("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.width, "height": 800, "deviceScaleFactor": 1, "mobile": false}, nil)
	scheme, media := "light", "screen"
	if v.dark {
		scheme = "dark"
	}
	if v.print {
		media = "print"
	}
	do("Emulation.setEmulatedMedia", map[string]any{"media": media, "features": []map[string]any{{"name": "prefers-color-scheme",
		"value": scheme}}}, nil)
	do("Emulation.setScriptExecutionDisabled", map[string]any{"value": v.noScripts}, nil)
	b.Events = nil
	do("Page.navigate", map[string]any{"url": url}, nil)
	b.Await(attached.SessionID, "Page.loadEventFired")
	// Two frames: observers have had their say, and what they made is drawn.
	var out struct{ Result struct{ Value string } }
	var drawn struct{ Result struct{ Value float64 } }
	if !v.noScripts && !v.header {
		do("Runtime.evaluate", map[string]any{"awaitPromise": true, "expression": `new Promise(done => {
			let frames = 0;
			const ready = () => [...document.querySelectorAll("figure")].every(f =>
				f.classList.contains("live") || !f.checkVisibility() || !charts.has(f.id));
			const charts = new Set(JSON.parse(document.getElementById("charts").textContent).map(c => c.id));
			const frame = () => ++frames > 3 && ready() || frames > 600 ? done(performance.now()) : requestAnimationFrame(frame);
			frame();
		})`}, &drawn)
	}
	do("Runtime.evaluate", map[string]any{"expression": findPlots}, &out)
	s := seen{drawn: drawn.Result.Value}
	var found struct {
		Cut, Covered []string
		Wide         int
		Plots        []plot
	}
	if err := json.Unmarshal([]byte(out.Result.Value), &found); err != nil {
		b.T.Fatal(err)
	}
	for _, word := range found.Cut {
		b.T.Errorf("cut off: %s", word)
	}
	for _, words := range found.Covered {
		b.T.Errorf("one upon the other: %s", words)
	}
	// Without a style sheet a wide table is as wide as it is.
	if s.plots = found.Plots; found.Wide > v.width && !v.header {
		b.T.Errorf("the page is %d wide, the screen %d", found.Wide, v.width)
	}
	height := min(b.height(attached.SessionID), mostHeight)
	s.plots = slices.DeleteFunc(s.plots, func(p plot) bool { return p.Y+p.H > height })
	scale := 0.5 // what is drawn is seen as well, at a quarter of the cost
	if os.Getenv("STORMCTL_PICTURES") != "" {
		scale = 1
	}
	for i := range s.plots {
		p := &s.plots[i]
		p.X, p.Y, p.W, p.H = p.X*scale, p.Y*scale, p.W*scale, p.H*scale
	}
	s.width = float64(v.width) * scale
	var shot struct{ Data string }
	do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true,
		"clip": map[string]any{
			"x": 0, "y": 0, "width": v.width, "height": height, "scale": scale}}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.T.Fatal(err)
	}
	if dir := os.Getenv("STORMCTL_PICTURES"); dir != "" {
		_ = os.WriteFile(filepath.Join(dir, v.name+".png"), data, 0o644)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.T.Fatal(err)
	}
	s.picture = image.NewRGBA(picture.Bounds())
	draw.Draw(s.picture, picture.Bounds(), picture, image.Point{}, draw.Src)
	s.console, s.requests = b.heard(attached.SessionID)
	return s
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
	if len(s.requests) != 1 || s.requests[0] != url {
		t.Errorf("asked for %q", s.requests)
	}
	if len(s.plots) < 5 && v.name != "empty" {
		t.Errorf("%d charts", len(s.plots))
	}
	scripts := !v.noScripts && !v.header && !v.print
	for _, p := range s.plots {
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
