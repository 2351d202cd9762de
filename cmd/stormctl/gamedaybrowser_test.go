package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/reports/browsertest"
)

// window is a page of a browser of its own: it shares no cookies with others.
type window struct {
	*browsertest.Browser
	session string
}

// open opens a page, as it is looked at in some width, light or dark.
func open(b *browsertest.Browser, url string, width int, scheme string) window {
	b.T.Helper()
	var context struct{ BrowserContextID string }
	b.Call("", "Target.createBrowserContext", nil, &context)
	var target struct{ TargetID string }
	b.Call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": context.BrowserContextID}, &target)
	var attached struct{ SessionID string }
	b.Call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	w := window{b, attached.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.Call(w.session, domain+".enable", nil, nil)
	}
	w.looks(width, scheme)
	b.Call(w.session, "Page.navigate", map[string]any{"url": url}, nil)
	return w
}

func (w window) looks(width int, scheme string) {
	w.T.Helper()
	w.Call(w.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	w.Call(w.session, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// eval is what an expression comes to, as text.
func (w window) eval(expression string) string {
	w.T.Helper()
	value, err := w.try(expression)
	if err != nil {
		w.T.Fatalf("%s: %v", expression, err)
	}
	return value
}

// try is eval with its error: that of the script, or of a page that is left meanwhile.
func (w window) try(expression string) (string, error) {
	w.T.Helper()
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	err := w.Try(w.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if err == nil && out.ExceptionDetails != nil {
		err = errors.New(out.ExceptionDetails.Exception.Description)
	}
	return fmt.Sprint(out.Result.Value), err
}

// until waits until an expression is true. One that fails is not true yet: a page may be on its
// way to the next one, or lack an element that comes.
func (w window) until(expression string) {
	w.T.Helper()
	var failed error
	for deadline := time.Now().Add(browsertest.Patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var value string
		if value, failed = w.try("document.readyState === 'complete' && Boolean(" + expression + ")"); value == "true" {
			return
		}
	}
	w.T.Fatalf("not in %v: %s (%v)\nthe page: %s", browsertest.Patience, expression, failed, w.eval("document.body.innerText"))
}

func (w window) click(selector string) {
	w.T.Helper()
	w.until(fmt.Sprintf("document.querySelector(%q)", selector))
	w.eval(fmt.Sprintf("document.querySelector(%q).click()", selector))
}

func (w window) picture(name string) {
	dir := os.Getenv("STORMCTL_PICTURES")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	w.Call(w.session, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	data, _ := base64.StdEncoding.DecodeString(shot.Data)
	_ = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644)
}

// comeIn goes through the door, as the line that was printed leads there.
func (g *gathering) comeIn(b *browsertest.Browser, role, name string, width int, scheme string) window {
	w := open(b, g.url+"/#"+g.tokens[role], width, scheme)
	w.until(`document.querySelector("form.door") && document.querySelector("form.door").elements.token.value`)
	w.picture("door-" + role)
	w.eval(fmt.Sprintf(`(f => { f.elements.name.value = %q; f.requestSubmit(); })(document.querySelector("form.door"))`, name))
	w.until(`document.body.dataset.role === "` + role + `"`)
	if at := w.eval("location.href"); at != g.url+"/" {
		w.T.Errorf("the address is %s: the token stays in it", at)
	}
	return w
}

// said is what consoles, and scripts that failed, have said.
func said(b *browsertest.Browser) (all []string) {
	for _, e := range b.Events {
		switch e.Method {
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
			all = append(all, string(e.Params))
		}
	}
	return all
}

func feedHas(text string) string {
	return fmt.Sprintf("document.getElementById('feed').innerText.includes(%q)", text)
}

// Two browsers in different roles: what one does the other sees, a page that is loaded
// again lacks nothing, and who only looks may halt.
func TestGamedayInBrowsers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	t.Parallel()
	b := browsertest.Start(t)
	g := gather(t, gamedayFile)
	operator := g.comeIn(b, "operator", "Ana", 1400, "light")
	observer := g.comeIn(b, "observer", "Eve", 375, "dark")
	operator.picture("before-light")
	for _, hidden := range []string{".palette", ".note", "#status + form ~ .needs-operator"} {
		if seen := observer.eval(fmt.Sprintf("Boolean(document.querySelector(%q)?.checkVisibility())", hidden)); seen == "true" {
			t.Errorf("an observer sees %s", hidden)
		}
	}
	observer.click("#hypothesis button[value=refuted]")
	operator.until(`document.getElementById("hypothesis").innerText.includes("Eve (observer)")`)
	owner, _ := g.begin()
	operator.until(`!document.querySelector("#outcome .waits")`)

	operator.eval(`document.querySelector(".palette input[name=for]").value = "10m"`)
	operator.click(".palette li:first-child button")
	operator.until(`document.querySelector("#armed .danger")`)
	clicked := time.Now()
	operator.click("#armed .danger")
	observer.until(feedHas("injected bank fails for 10m by Ana (operator)"))
	t.Logf("the other page has it %s after the click", time.Since(clicked).Round(time.Millisecond))
	observer.until(`document.querySelector("#force .left").innerText.match(/^0\d:[0-5]\d$/)`) // it counts down
	operator.eval(`document.querySelector(".note input").value = "callers do not notice <b>"`)
	operator.click(".note button")
	operator.click("#marks button[value=detected]")
	observer.until(feedHas("detected bank fails by Ana"))
	operator.until(`document.querySelectorAll("#charts .live canvas").length === 4`)
	operator.eval(`window.drawn = document.querySelector("#charts canvas")`)
	time.Sleep(2 * time.Second)
	if goesOn := operator.eval(`drawn.isConnected &&
		drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height).data.some(v => v)`); goesOn != "true" {
		t.Error("the charts are not drawn, or do not go on")
	}
	for _, look := range []struct {
		width  int
		scheme string
	}{{1400, "light"}, {1400, "dark"}, {375, "light"}, {375, "dark"}} {
		operator.looks(look.width, look.scheme)
		operator.picture(fmt.Sprintf("during-%d-%s", look.width, look.scheme))
		if wide := operator.eval("document.documentElement.scrollWidth <= innerWidth"); wide != "true" {
			t.Errorf("the page is wider than %d", look.width)
		}
	}
	operator.looks(1400, "light")

	count := `document.getElementById("feed").children.length + " " + document.getElementById("feed").innerText`
	before := observer.eval(count)
	observer.Call(observer.session, "Page.reload", nil, nil)
	observer.until(feedHas("detected bank fails by Ana"))
	if again := observer.eval(count); again != before {
		t.Errorf("before the page was loaded again it had\n%s\nand then\n%s", before, again)
	}
	operator.click("#force li .heal")
	observer.until(feedHas("healed bank fails by Ana (operator)"))
	observer.until(`!document.querySelector("#force li")`)
	if all := said(b); len(all) > 0 {
		t.Errorf("consoles say: %s", strings.Join(all, "\n"))
	}
	if owner.sees() == "" {
		t.Error("the owner sees nothing")
	}
	observer.click(".halt button")
	operator.until(`document.getElementById("toast").innerText.includes("over")`)
	operator.until(`document.querySelector("#outcome").innerText.includes("halted by Eve")`)
	operator.picture("after-light")
	<-g.ended
	entries, _, err := gameday.ReadJournal(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	f := rulingsOf(t, g.dir).Faults[0]
	for _, e := range entries {
		if e.Do == gameday.Inject { // which has both clocks
			later := time.Duration(f.Injected*float64(time.Second)) - e.At.Duration()
			t.Logf("%s was in force %s after the click", f.Name, e.Wall.Add(later).Sub(clicked).Round(time.Millisecond))
		}
	}
}
