package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/guard"
	"github.com/stormctl/stormctl/load"
)

const shopFile = `
name: shop
about: It goes on.
targets: {web: {url: "http://127.0.0.1:1"}, bank: {url: "http://127.0.0.1:2"}}
links: {payments: {from: web, to: bank}}
load: {rate: 10/s, duration: 1h, routes: [{name: buy, to: web, get: /}]}
claims: [{steady: {success: 99%}}, {recovery: {within: 5s}}]
gameday:
  palette:
    - {name: "bank <fails>", on: payments, for: 1m, errors: {status: 503}}
    - {name: bank hangs, on: payments, for: 30s, hang: {}}
  checklist: [abort conditions agreed]
  heal_after: 5s
limits: {stop_if: [{route: buy, success_below: 10%, for: 5s}]}
`

// A setting is a console that is served, without a run: its control can do nothing, and
// events are made up.
type setting struct {
	t      *testing.T
	con    *Console
	url    string
	tokens Tokens
	dir    string

	mu     sync.Mutex
	halted []string
	told   []string
}

func serve(t *testing.T) *setting {
	t.Helper()
	x, err := experiment.Parse("gameday.yaml", []byte(shopFile), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &setting{t: t, tokens: NewTokens(), dir: t.TempDir()}
	control := &chaos.Control{}
	s.con = New(Config{Experiment: x, Control: control, Length: x.Load.Length(), Tokens: s.tokens,
		Halt: func(why string) { s.mu.Lock(); defer s.mu.Unlock(); s.halted = append(s.halted, why) },
		Tell: func(line string) { s.mu.Lock(); defer s.mu.Unlock(); s.told = append(s.told, line) }})
	root, err := os.OpenRoot(s.dir)
	if err == nil {
		err = errors.Join(control.Made(root), root.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- guard.Serve(ctx, l, s.con) }()
	t.Cleanup(func() {
		if err := s.con.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	s.url = "http://" + l.Addr().String()
	return s
}

// enter lets somebody in, and returns their cookie.
func (s *setting) enter(role Role, name string) *http.Cookie {
	s.t.Helper()
	res := s.do("POST", "/enter", nil, url.Values{"name": {name}, "token": {s.tokens.Of(role)}}.Encode())
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
		s.t.Fatalf("enter as %s: %d, %v", role, res.StatusCode, res.Cookies())
	}
	return res.Cookies()[0]
}

// do sends a request without following where it leads to. header is name, value, ...
func (s *setting) do(method, path string, cookie *http.Cookie, body string, header ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res
}

const ofOurs = "X-Stormctl-Script"

func body(res *http.Response) string { text, _ := io.ReadAll(res.Body); return string(text) }

func TestCookie(t *testing.T) {
	s := serve(t)
	c := s.enter(Operator, "Ana")
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || !c.Expires.IsZero() || len(c.Value) < 26 {
		t.Errorf("the cookie is %+v", c)
	}
	s.con.config.Secure = true
	if c := s.enter(Operator, "Ana"); !c.Secure {
		t.Error("by TLS its cookie may go by other ways")
	}
	for _, token := range []string{"", "x", s.tokens.Of(Owner)[1:], s.tokens.Alerts(), strings.ToLower(s.tokens.Of(Owner))} {
		if res := s.do("POST", "/enter", nil, url.Values{"token": {token}}.Encode()); res.StatusCode != 401 || len(res.Cookies()) > 0 {
			t.Errorf("token %q: %d, %v, want 401 and no cookie", token, res.StatusCode, res.Cookies())
		}
	}
	seen := map[string]bool{s.tokens.Alerts(): true}
	for _, r := range Roles {
		seen[s.tokens.Of(r)] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d tokens differ, want 5", len(seen))
	}
}

// What may not be done is refused, and the journal has who tried. Nothing of it
// reaches the run.
func TestRoles(t *testing.T) {
	s := serve(t)
	cookies := map[Role]*http.Cookie{}
	for _, r := range Roles {
		cookies[r] = s.enter(r, "someone")
	}
	for path, a := range acts {
		for _, r := range Roles {
			if path == "/halt" || path == "/begin" && r >= a.role {
				continue // tried below
			}
			res := s.do("POST", path, cookies[r], "choice=0&for=10s&claim=0&ruling=held&item=0&text=x&fault=0&what=detected", ofOurs, "1")
			if refused := res.StatusCode == http.StatusForbidden; refused != (r < a.role) {
				t.Errorf("%s as %s: %d %s", path, r, res.StatusCode, body(res))
			}
		}
		if res := s.do("POST", path, nil, "choice=0"); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a cookie: %d, want 401", path, res.StatusCode)
		}
		if res := s.do("GET", path, cookies[Owner], ""); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d, want 405", path, res.StatusCode)
		}
	}
	select {
	case <-s.con.begun:
		t.Error("who is no owner has begun the load")
	default:
	}
	for _, r := range Roles {
		if res := s.do("POST", "/halt", cookies[r], "x=1", ofOurs, "1"); res.StatusCode != http.StatusNoContent {
			t.Errorf("halt as %s: %d", r, res.StatusCode)
		}
	}
	if len(s.halted) != 4 || s.halted[3] != "halted by someone (observer) at the console" {
		t.Errorf("halted: %q, want four times", s.halted)
	}
	if res := s.do("POST", "/begin", cookies[Owner], "x=1"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("begin: %d", res.StatusCode)
	}
	<-s.con.begun
	if res := s.do("POST", "/begin", cookies[Owner], "x=1", ofOurs, "1"); res.StatusCode != http.StatusConflict {
		t.Errorf("begin again: %d, want 409", res.StatusCode)
	}
	if err := s.con.Close(); err != nil {
		t.Fatal(err)
	}
	entries, ending, err := gameday.ReadJournal(s.dir)
	refusals := 0
	for _, e := range entries {
		if strings.Contains(e.Outcome, "may not") {
			refusals++
		}
	}
	if err != nil || ending != gameday.Whole || refusals != 22 { // 3 acts refused to 3 roles, 5 to 2, and 3 to 1
		t.Errorf("%d refusals are in the journal, %s, %v", refusals, ending, err)
	}
}

func TestGuarded(t *testing.T) {
	s := serve(t)
	owner := s.enter(Owner, "Ana")
	for _, tt := range []struct {
		name, method, path string
		header             []string
		want               int
	}{
		{"by its address", "GET", "/", nil, 200},
		{"a foreign host", "GET", "/", []string{"Host", "rebind.example"}, 403},
		{"a foreign host that acts", "POST", "/halt", []string{"Host", "rebind.example"}, 403},
		{"a foreign host that listens", "GET", "/events", []string{"Host", "rebind.example"}, 403},
		{"a foreign host that alerts", "POST", "/alerts", []string{"Host", "rebind.example", "Authorization", "Bearer " + s.tokens.Alerts()}, 403},
		{"a foreign origin", "POST", "/halt", []string{"Origin", "http://evil.example"}, 403},
		{"a foreign site", "POST", "/halt", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a page on another port", "POST", "/halt", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"alerts by a cookie", "POST", "/alerts", nil, 401},
		{"alerts by another token", "POST", "/alerts", []string{"Authorization", "Bearer " + s.tokens.Of(Owner)}, 401},
	} {
		send := "x=1"
		if tt.method == "GET" {
			send = ""
		}
		res := s.do(tt.method, tt.path, owner, send, tt.header...)
		if res.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, res.StatusCode, tt.want)
		}
		if tt.name == "by its address" && !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("its policy is %q", res.Header.Get("Content-Security-Policy"))
		}
	}
	if res := s.do("POST", "/note", owner, "text="+strings.Repeat("x", 10<<20)); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("10 MB: %d, want 413", res.StatusCode)
	}
	if len(s.halted) > 0 {
		t.Errorf("it was halted: %q", s.halted)
	}
	if res := s.do("GET", "/", nil, ""); strings.Contains(body(res), "bank") {
		t.Error("who has no token learns what is in the palette")
	}
	if res := s.do("GET", "/events", nil, ""); res.StatusCode != 401 {
		t.Errorf("events without a cookie: %d, want 401", res.StatusCode)
	}
}

// No request describes a fault: what is not in the palette cannot be injected, and the
// palette has no commands.
func TestPaletteAlone(t *testing.T) {
	s := serve(t)
	op := s.enter(Operator, "Ana")
	for _, form := range []string{
		"choice=2&for=10s", "choice=-1&for=10s", "choice=&for=10s", "choice=exec&for=10s", "choice=0&exec=sh&for=100m",
		"choice=0&for=", "choice=0&for=61s", "choice=0&for=10ms", "choice=0&for=-5s", "choice=0&for=10",
	} {
		if res := s.do("POST", "/arm", op, form, ofOurs, "1"); res.StatusCode < 400 {
			t.Errorf("%s: %d", form, res.StatusCode)
		}
	}
	if n := len(s.con.board.armed); n > 0 {
		t.Errorf("%d faults are armed", n)
	}
	for _, broken := range []string{
		"{name: a, on: web, for: 5s, exec: {inject: [sh], heal: [sh]}}", "{name: a, on: web, kill: {for_good: true}}",
		"{name: a, on: payments, errors: {status: 503}}", "{name: a, at: 5s, for: 5s, on: payments, errors: {status: 503}}",
		"{on: payments, for: 5s, errors: {status: 503}}", "{name: a, on: nowhere, for: 5s, errors: {status: 503}}",
	} {
		text := strings.Replace(shopFile, `    - {name: bank hangs`, "    - "+broken+"\n    - {name: bank hangs", 1)
		if _, err := experiment.Parse("gameday.yaml", []byte(text), experiment.Options{}); err == nil {
			t.Errorf("the palette takes %s", broken)
		}
	}
}

// frames reads a stream: the events by name, and the last id.
type frames struct {
	res *http.Response
	in  *bufio.Scanner
}

func (s *setting) listen(cookie *http.Cookie, after string) *frames {
	s.t.Helper()
	r, _ := http.NewRequest("GET", s.url+"/events"+after, nil)
	r.AddCookie(cookie)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { res.Body.Close() })
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 1<<20)
	return &frames{res, in}
}

// next is the next event of a name, with its id and data.
func (f *frames) next(name string) (id, data string) {
	event := ""
	for f.in.Scan() {
		line := f.in.Text()
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if event == name {
				return id, data
			}
			id, data, event = "", "", ""
		}
	}
	return "", ""
}

func note(text string) evidence.Event {
	return evidence.Event{At: evidence.Seconds(time.Second), Kind: evidence.KindNote, Text: text}
}

// A page has what there was when it was loaded, its stream goes on behind that, and a
// browser that comes back has each line once.
func TestReloadLosesNothing(t *testing.T) {
	s := serve(t)
	c := s.enter(Observer, "Ana")
	s.con.line(3, note("first"))
	s.con.line(4, evidence.Event{Kind: evidence.KindTick, Tick: &evidence.Tick{}})
	s.con.line(5, note("second <b>"))
	page := body(s.do("GET", "/", c, ""))
	if !strings.Contains(page, `data-last="5"`) || !strings.Contains(page, "second &lt;b&gt;") || strings.Index(page, "second") > strings.Index(page, "first") {
		t.Errorf("the page lacks what happened, newest first:\n%s", page)
	}
	stream := s.listen(c, "?after=5")
	s.con.line(6, note("third"))
	if id, data := stream.next("line"); id != "6" || !strings.Contains(data, "third") {
		t.Errorf("after 5 comes %q %q, want 6", id, data)
	}
	stream.res.Body.Close()
	s.con.line(7, note("fourth"))
	s.con.line(9, note("fifth"))
	stream = s.listen(c, "?after=6")
	for _, want := range []string{"7", "9"} {
		if id, _ := stream.next("line"); id != want {
			t.Errorf("after a reload comes %q, want %s", id, want)
		}
	}
	for i := range keptLines + 10 { // more than is kept
		s.con.line(100+i, note("many"))
	}
	stream = s.listen(c, "?after=9")
	if stream.next("reload"); stream.in.Scan() {
		t.Error("the stream of a browser that lacks lines goes on")
	}
}

// The end of the game day ends the streams, and says so.
func TestStreamEnds(t *testing.T) {
	s := serve(t)
	stream := s.listen(s.enter(Observer, "Ana"), "")
	stream.next("outcome")
	go s.con.Close()
	if _, data := stream.next("end"); data == "" {
		t.Error("the stream ended without a word")
	}
}

// However many streams are opened, so many are served, those of one person fewer; the
// page goes on to answer, and what the run tells waits for none of them, those that
// read nothing among them.
func TestThousandStreams(t *testing.T) {
	s := serve(t)
	var cookies []*http.Cookie
	for i := range 30 {
		cookies = append(cookies, s.enter(Observer, fmt.Sprint("p", i)))
	}
	served, refused := 0, 0
	for i := range 1000 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		cookie := cookies[i%len(cookies)]
		fmt.Fprintf(c, "GET /events HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n\r\n", c.RemoteAddr(), cookie.Name, cookie.Value)
		head := make([]byte, 12)
		if _, err := io.ReadFull(c, head); err == nil && string(head) == "HTTP/1.1 200" {
			served++ // and is read no further
			continue
		}
		refused++
		c.Close()
	}
	if want := mostStreams - keptStreams; served != want || refused != 1000-want {
		t.Errorf("%d streams are served and %d refused, want %d and the others", served, refused, want)
	}
	owner := s.enter(Owner, "Ana")
	if done, ok := s.con.room.stream(owner.Value); !ok {
		t.Error("observers have left the owner no stream")
	} else {
		done()
	}
	tick := &evidence.Tick{Offered: 10, Ended: 10, Routes: map[string][load.Outcomes]uint64{"buy": {load.OK: 10}}}
	for i := range 1500 { // far more than any buffer holds
		s.con.line(10+i, evidence.Event{At: evidence.Seconds(time.Duration(i) * time.Second), Kind: evidence.KindTick, Tick: tick})
		s.con.line(10000+i, note(strings.Repeat("x", 400)))
	}
	if res := s.do("GET", "/", s.enter(Owner, "Ana"), ""); res.StatusCode != 200 {
		t.Errorf("the page answers %d", res.StatusCode)
	}
	if n := len(s.con.board.columns.all); n > mostColumns {
		t.Errorf("%d columns are kept, want %d at most", n, mostColumns)
	}
	if n := len(s.con.board.lines); n != keptLines {
		t.Errorf("%d lines are kept, want %d", n, keptLines)
	}
}

// Forms work without scripts: an answer is the page, and what was wrong is told on it
// once.
func TestFormsWithoutScripts(t *testing.T) {
	s := serve(t)
	c := s.enter(Operator, "Ana <i>")
	res := s.do("POST", "/arm", c, "choice=0&for=2h")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("%d to %q, want 303 to /", res.StatusCode, res.Header.Get("Location"))
	}
	if page := body(s.do("GET", "/", c, "")); !strings.Contains(page, "may be in force for 1s to 1m") || !strings.Contains(page, "Ana &lt;i&gt;") {
		t.Error("the page does not say what was wrong")
	}
	if page := body(s.do("GET", "/", c, "")); strings.Contains(page, "may be in force for") {
		t.Error("it is told again")
	}
	s.do("POST", "/arm", c, "choice=0&for=20s")
	if page := body(s.do("GET", "/", c, "")); !strings.Contains(page, "is armed for <b>20s</b>") || strings.Contains(page, "<fails>") {
		t.Error("what is armed is not shown, or not escaped")
	}
	if res := s.do("POST", "/inject", c, "choice=0", ofOurs, "1"); res.StatusCode != http.StatusConflict || !strings.Contains(body(res), "the load has not begun") {
		t.Errorf("injected before there is load: %d", res.StatusCode)
	}
	if res := s.do("POST", "/leave", c, "x=1"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("leave: %d", res.StatusCode)
	}
	if res := s.do("POST", "/arm", c, "choice=0&for=20s"); res.StatusCode != http.StatusSeeOther && res.StatusCode != 401 {
		t.Errorf("who has left acts: %d", res.StatusCode)
	}
}

// Who could heal is there as long as their page asks for something.
func TestUnattended(t *testing.T) {
	r := room{people: map[[32]byte]*person{}, empty: time.Now().Add(-time.Hour)}
	now := time.Now()
	if got := r.unattended(now); got < time.Hour {
		t.Errorf("an empty room is unattended for %s", got)
	}
	r.enter("", Reporter, "")
	if got := r.unattended(now); got < time.Hour {
		t.Errorf("with a reporter alone it is unattended for %s", got)
	}
	cookie, _, _ := r.enter("", Operator, "")
	if got := r.unattended(time.Now()); got > time.Minute {
		t.Errorf("with an operator it is unattended for %s", got)
	}
	r.leave(cookie)
	if got := r.unattended(time.Now().Add(time.Minute)); got < time.Minute || got > time.Hour {
		t.Errorf("a minute after they left it is unattended for %s", got)
	}
}

func TestPredictions(t *testing.T) {
	s := serve(t)
	c := s.enter(Observer, "Ana")
	for form, want := range map[string]int{"claim=0&ruling=held": 204, "claim=1&ruling=refuted": 204, "claim=2&ruling=held": 400, "claim=0&ruling=sure": 400} {
		if res := s.do("POST", "/predict", c, form, ofOurs, "1"); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", form, res.StatusCode, want)
		}
	}
	in := evidence.Injection{Kind: "errors", On: "payments", For: evidence.Seconds(10 * time.Second)}
	s.con.line(3, evidence.Event{At: evidence.Seconds(time.Second), Kind: evidence.KindFault, Fault: 1, Text: "bank <fails>", Injection: &in, By: "Bo (operator)"})
	s.con.line(4, evidence.Event{At: evidence.Seconds(time.Second), Kind: evidence.KindInject, Fault: 1, Text: "errors"})
	if res := s.do("POST", "/predict", c, "claim=0&ruling=refuted", ofOurs, "1"); res.StatusCode != http.StatusConflict {
		t.Errorf("predicted after the first fault: %d, want 409", res.StatusCode)
	}
	page := body(s.do("GET", "/", c, ""))
	for _, want := range []string{"injected bank &lt;fails&gt; for 10s by Bo (operator)", "In force", `data-until="11.000"`, "Ana (observer)"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	s.con.line(5, evidence.Event{At: evidence.Seconds(11 * time.Second), Kind: evidence.KindHeal, Fault: 1, Text: "errors"})
	page = body(s.do("GET", "/", c, ""))
	if strings.Contains(page, "In force") || !strings.Contains(page, "healed bank &lt;fails&gt;: its time is over") {
		t.Error("a fault that is healed is in force on the page")
	}
}

// What goes on is told again and again by Alertmanager, and changes once.
func TestAlertChanges(t *testing.T) {
	var a alerts
	for _, tt := range []struct {
		e    evidence.Alert
		want bool
	}{
		{evidence.Alert{Name: "A", Instance: "1", Firing: true}, true},
		{evidence.Alert{Name: "A", Instance: "1", Firing: true}, false},
		{evidence.Alert{Name: "A", Instance: "2", Firing: true}, true},
		{evidence.Alert{Name: "A", Instance: "1"}, true},
		{evidence.Alert{Name: "A", Instance: "1"}, false},
		{evidence.Alert{Name: "A", Instance: "1", Firing: true}, true},
	} {
		if got := a.changed(tt.e); got != tt.want {
			t.Errorf("%+v changes: %v, want %v", tt.e, got, tt.want)
		}
	}
	for i := range 2 * mostAlerts {
		a.changed(evidence.Alert{Name: fmt.Sprint(i), Firing: true})
	}
	if len(a.firing) != mostAlerts {
		t.Errorf("%d alerts are kept, want %d", len(a.firing), mostAlerts)
	}
	r := httptest.NewRequest("POST", "/alerts", nil)
	r.Host = "localhost:9474"
	if cookieName(r) != "stormctl-9474" {
		t.Errorf("the cookie is %q", cookieName(r))
	}
}

// Joined columns have what the single ones had.
func TestColumnsAddUp(t *testing.T) {
	var c columns
	n := 5 * mostColumns
	for i := range n {
		c.add(time.Duration(i+1)*time.Second, &evidence.Tick{Offered: 3, Ended: 3, P99: evidence.Seconds(time.Duration(i) * time.Millisecond),
			Routes: map[string][load.Outcomes]uint64{"r": {load.OK: 2, load.ServerError: 1}},
			Links:  map[string]evidence.LinkTick{"l": {Ended: 4, Errors: 1, InFlight: i}}})
	}
	var sum column
	for _, col := range c.all {
		sum = sum.with(col)
	}
	if len(c.all) > mostColumns || sum.seconds != n || sum.offered != uint64(3*n) || sum.ok != uint64(2*n) || sum.failed != uint64(n) ||
		sum.links["l"] != (linkColumn{uint64(4 * n), uint64(n), n - 1}) || sum.p99 != time.Duration(n-1)*time.Millisecond {
		t.Errorf("%d columns of %d s: %+v", len(c.all), c.step, sum)
	}
}
