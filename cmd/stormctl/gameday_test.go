package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/result"
)

// gamedayFile is a system that goes on without its bank: it has a fallback.
const gamedayFile = `
name: shop
about: The shop sells whatever becomes of its bank.
targets:
  bank: {reference: dependency, with: {service_time: 1ms}}
  shop: {reference: frontend, with: {fallback: static, timeout: 300ms}}
links: {payments: {from: shop, to: bank}}
load: {rate: 60/s, duration: 1h, routes: [{name: buy, to: shop, get: /payments}]}
claims:
  - steady: {success: 50%}
  - stands: {without: payments, routes: [buy], success: 70%}
gameday:
  palette:
    - {name: bank fails, on: payments, for: 10m, errors: {status: 503}}
    - {name: bank hangs, on: payments, for: 10m, partition: {}}
  checklist: [everybody knows that this is an exercise]
  heal_after: 60s
`

// A gathering is a game day that goes on in a process of its own.
type gathering struct {
	t      *testing.T
	dir    string // of the run
	url    string
	tokens map[string]string // by role
	cmd    *exec.Cmd
	ended  chan struct{}

	mu  sync.Mutex
	err bytes.Buffer
	out bytes.Buffer
}

var tokenLine = regexp.MustCompile(`^  (owner|operator|reporter|observer) +(http\S+)/#(\S+)$|^  alerts .* Bearer (\S+)$`)

// gather starts a game day of a file, and returns when its page is served.
func gather(t *testing.T, text string, environ ...string) *gathering {
	t.Helper()
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "shop.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gathering{t: t, dir: filepath.Join(folder, "run"), tokens: map[string]string{}, ended: make(chan struct{})}
	g.cmd = exec.Command(program, "gameday", file, "--listen", "127.0.0.1:0", "--out", g.dir, "--report", "junit")
	g.cmd.Env = append(os.Environ(), environ...)
	g.cmd.Stdout = &g.out
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(g.ended)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if m := tokenLine.FindStringSubmatch(lines.Text()); m != nil {
				if m[4] != "" {
					g.tokens["alerts"] = m[4]
					close(ready)
				} else {
					g.tokens[m[1]], g.url = m[3], m[2]
				}
			}
			g.mu.Lock()
			g.err.WriteString(lines.Text() + "\n")
			g.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Signal(syscall.SIGTERM)
		<-g.ended
		_ = g.cmd.Wait()
	})
	select {
	case <-ready:
	case <-g.ended:
		t.Fatalf("it ended: %s", g.stderr())
	}
	return g
}

func (g *gathering) stderr() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err.String()
}

// someone is who came in with a token.
type someone struct {
	g      *gathering
	cookie *http.Cookie
}

func (g *gathering) enter(role, name string) someone {
	g.t.Helper()
	res := g.do("POST", "/enter", nil, url.Values{"name": {name}, "token": {g.tokens[role]}})
	if len(res.Cookies()) != 1 {
		g.t.Fatalf("enter as %s: %s", role, res.Status)
	}
	return someone{g, res.Cookies()[0]}
}

func (g *gathering) do(method, path string, cookie *http.Cookie, form url.Values) *http.Response {
	g.t.Helper()
	r, err := http.NewRequest(method, g.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Stormctl-Script", "1")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatalf("%s %s: %v\n%s", method, path, err, g.stderr())
	}
	text, _ := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(text))
	return res
}

// does posts a form, which is name, value, ..., and says what was wrong with it.
func (s someone) does(path string, form ...string) string {
	s.g.t.Helper()
	values := url.Values{"x": {"1"}}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	res := s.g.do("POST", path, s.cookie, values)
	if res.StatusCode == http.StatusNoContent {
		return ""
	}
	text, _ := io.ReadAll(res.Body)
	return res.Status + ": " + strings.TrimSpace(string(text))
}

// must does what has to be done.
func (s someone) must(path string, form ...string) {
	s.g.t.Helper()
	if why := s.does(path, form...); why != "" {
		s.g.t.Fatalf("%s %v: %s\n%s", path, form, why, s.g.stderr())
	}
}

func (s someone) sees() string {
	res := s.g.do("GET", "/", s.cookie, nil)
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

// until waits until the page of somebody has a text, or has it no more.
func (s someone) until(text string, there bool) {
	s.g.t.Helper()
	for range 1200 {
		if strings.Contains(s.sees(), text) == there {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.g.t.Fatalf("the page has %q: %v, after a minute\n%s", text, !there, s.g.stderr())
}

// begin has the owner begin the load, and faults come.
func (g *gathering) begin() (owner, operator someone) {
	owner, operator = g.enter("owner", "Olga"), g.enter("operator", "Ana")
	owner.until("Begin the load", true)
	owner.must("/begin")
	owner.until("phase: steady state", true)
	for range 600 {
		if why := owner.does("/go-on"); why == "" || strings.Contains(why, "faults may come already") {
			return owner, operator // as a busy machine may keep the steady state from being confirmed
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.t.Fatal(g.stderr())
	return
}

func (s someone) inject(choice, length string) {
	s.g.t.Helper()
	s.must("/arm", "choice", choice, "for", length)
	s.must("/inject", "choice", choice)
}

func rulingsOf(t *testing.T, dir string) (r result.Result) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// A whole game day: what people do is evidence, the journal has who did it, and the
// experiment that is exported of it does it again and is ruled on alike.
func TestGameday(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a load")
	}
	t.Parallel()
	g := gather(t, gamedayFile)
	reporter := g.enter("reporter", "Rui")
	reporter.must("/predict", "claim", "1", "ruling", "held")
	reporter.must("/check", "item", "0")
	owner, operator := g.begin()

	time.Sleep(2 * time.Second) // for a steady state to rule on
	operator.inject("0", "10m")
	reporter.until("injected bank fails for 10m by Ana (operator)", true)
	reporter.must("/mark", "fault", "0", "what", "detected")
	if why := operator.does("/inject", "choice", "0"); !strings.Contains(why, "it is not armed") {
		t.Errorf("injected what is not armed: %q", why)
	}
	time.Sleep(2 * time.Second) // a hundred requests, so that there is something to rule on
	operator.must("/heal", "fault", "0")
	reporter.until("healed bank fails by Ana (operator)", true)
	operator.inject("1", "2s")
	reporter.until("healed bank hangs: its time is over", true)
	operator.inject("0", "10m")
	operator.inject("0", "10m")
	reporter.until("injected bank fails (3)", true)
	time.Sleep(time.Second) // so that calls come meanwhile
	operator.must("/heal-all")
	reporter.until("healed bank fails (3) by Ana (operator)", true)
	reporter.must("/note", "text", "all is well")
	owner.must("/end")
	<-g.ended
	_ = g.cmd.Wait()

	played := rulingsOf(t, g.dir)
	if played.Partial || played.Stopped != "" || len(played.Faults) != 4 || g.cmd.ProcessState.ExitCode() == int(exitStopped) {
		t.Fatalf("partial %v, stopped %q, %d faults, exit code %d; want a whole run with 4\n%s",
			played.Partial, played.Stopped, len(played.Faults), g.cmd.ProcessState.ExitCode(), g.stderr())
	}
	for _, f := range played.Faults {
		if f.Injected < 0 || f.Healed < f.Injected || f.Hit == 0 {
			t.Errorf("%s: injected at %g s, healed at %g s, hit %d", f.Name, f.Injected, f.Healed, f.Hit)
		}
	}
	replays(t, g.dir, played)
	foundOut(t, g.dir)
}

// replays compares a run with one of what is exported of it.
func replays(t *testing.T, dir string, played result.Result) {
	t.Helper()
	var text, stderr bytes.Buffer
	if code := execute([]string{"gameday", "export", dir}, &text, &stderr); code != exitHeld {
		t.Fatalf("export: %d: %s", code, &stderr)
	}
	again := filepath.Join(t.TempDir(), "again.yaml")
	if err := os.WriteFile(again, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "run")
	cmd := exec.Command("stormctl", "run", "--quiet", "--out", out, again)
	if said, err := cmd.CombinedOutput(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == int(exitFailed) {
		t.Fatalf("replay: %v: %s\n%s", err, said, &text)
	}
	replayed := rulingsOf(t, out)
	if len(replayed.Faults) != len(played.Faults) {
		t.Fatalf("%d faults were replayed, want %d", len(replayed.Faults), len(played.Faults))
	}
	for i, f := range replayed.Faults {
		was := played.Faults[i]
		if f.Name != was.Name || f.Planned < was.Injected-0.001 || f.Planned > was.Injected+0.001 ||
			f.For < was.Healed-was.Injected-0.002 || f.For > was.Healed-was.Injected+0.002 {
			t.Errorf("%s was in force from %g s to %g s, and is planned for %g s at %g s", was.Name, was.Injected, was.Healed, f.For, f.Planned)
		}
	}
	for i, v := range replayed.Verdicts {
		was := played.Verdicts[i]
		t.Logf("%s: %s, replayed %s", v.Claim, was.Ruling, v.Ruling)
		if v.Claim != was.Claim || v.Ruling+was.Ruling == 2 && v.Ruling != was.Ruling { // held and refuted; a busy machine leaves either open
			t.Errorf("%s was %s (%s), and is %s (%s)", was.Claim, was.Ruling, was.Reason, v.Ruling, v.Reason)
		}
	}
}

// foundOut changes the journal of a run, which verify finds.
func foundOut(t *testing.T, dir string) {
	t.Helper()
	verify := func() (exitCode, string) {
		var out, stderr bytes.Buffer
		code := execute([]string{"gameday", "verify", dir}, &out, &stderr)
		return code, out.String() + stderr.String()
	}
	code, said := verify()
	for _, want := range []string{"the chain holds", "Rui (reporter)", "said held", "bank fails (3)", "detected after"} {
		if code != exitHeld || !strings.Contains(said, want) {
			t.Errorf("verify: %d, want %q in\n%s", code, want, said)
		}
	}
	entries, _, err := gameday.ReadJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, gameday.JournalFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for name, changed := range map[string][]byte{
		"a word":        bytes.Replace(text, []byte(`"who":"Ana"`), []byte(`"who":"Eve"`), 1),
		"the last line": bytes.Replace(text, []byte(`"do":"closed"`), []byte(`"do":"closes"`), 1),
		"cut":           bytes.Join(lines[:len(entries)-3], nil),
	} {
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, said := verify(); code != exitFailed {
			t.Errorf("%s was changed, and verify says %d\n%s", name, code, said)
		}
	}
}

// Whoever is there may halt: everything is healed, and what was seen is ruled on.
func TestGamedayHalt(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a load")
	}
	t.Parallel()
	g := gather(t, gamedayFile)
	observer := g.enter("observer", "Eve")
	_, operator := g.begin()
	operator.inject("1", "10m")
	observer.until("injected bank hangs", true)
	observer.must("/halt")
	<-g.ended
	_ = g.cmd.Wait()
	r := rulingsOf(t, g.dir)
	if code := exitCode(g.cmd.ProcessState.ExitCode()); code != exitStopped || r.Stopped != "halted by Eve (observer) at the console" ||
		len(r.Faults) != 1 || r.Faults[0].Healed < 0 {
		t.Errorf("exit code %d, stopped %q, %+v; want it stopped, and all healed", code, r.Stopped, r.Faults)
	}
}

// A console that is killed leaves nothing: what people injected is undone by its guardian.
func TestGamedayKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a load")
	}
	t.Parallel()
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	pid := filepath.Join(t.TempDir(), "pid")
	program, err := filepath.EvalSymlinks(other.Path)
	if err == nil {
		err = os.WriteFile(pid, []byte(strconv.Itoa(other.Process.Pid)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.NotFoundHandler()) // a target is asked whether it is there
	t.Cleanup(server.Close)
	g := gather(t, strings.NewReplacer("links:", "  other: {url: \""+server.URL+"\", pid_file: "+pid+"}\nlinks:",
		"palette:\n", "palette:\n    - {name: other stands still, on: other, for: 10m, pause: {}}\n").Replace(gamedayFile)+
		"limits: {processes: ["+program+"]}\n")
	_, operator := g.begin()
	operator.inject("0", "10m")
	state := func() string {
		s, _, _ := readStat(other.Process.Pid)
		return s
	}
	is := func(paused bool) bool {
		for range 600 {
			if (state() == "T") == paused {
				return true
			}
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}
	if !is(true) {
		t.Fatalf("the process is %q, want it paused\n%s", state(), g.stderr())
	}
	_ = g.cmd.Process.Kill()
	<-g.ended
	if !is(false) {
		t.Errorf("the process is %q after the console was killed", state())
	}
	killedVerifies(t, g.dir)
}

// killedVerifies wants the journal of a killed game day verified as far as it goes, how
// it ends told, and what was changed in it found.
func killedVerifies(t *testing.T, dir string) {
	t.Helper()
	verify := func(want exitCode, words ...string) {
		t.Helper()
		var said bytes.Buffer
		if code := execute([]string{"gameday", "verify", dir}, &said, &said); code != want {
			t.Errorf("verify of a killed game day: exit code %d, want %d\n%s", code, want, said.String())
		}
		for _, w := range words {
			if !strings.Contains(said.String(), w) {
				t.Errorf("verify of a killed game day does not say %q:\n%s", w, said.String())
			}
		}
	}
	verify(exitHeld, "the chain holds over", "cut short", "cannot be verified", "Ana")
	file := filepath.Join(dir, gameday.JournalFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, `{"n":9,"wa`...), 0o600); err != nil {
		t.Fatal(err)
	}
	verify(exitHeld, "the chain holds over", "torn", "cannot be verified", "Ana")
	if err := os.WriteFile(file, bytes.Replace(text, []byte("Ana"), []byte("Eve"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	verify(exitFailed, "it is not what was written")
	closed := gameday.NewJournal() // as if it had come to its end: then somebody removed the result
	root, err := os.OpenRoot(dir)
	err = errors.Join(err, os.Remove(file), closed.Add(gameday.Entry{Who: "Ana", Do: gameday.Begin, Outcome: gameday.Done}), closed.Open(root),
		closed.Close(), root.Close())
	if err != nil {
		t.Fatal(err)
	}
	verify(exitFailed, "result.json")
}

// A game day that ended before its load was begun has a journal, and nothing else to
// verify.
func TestGamedayNeverBegun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts targets")
	}
	g := gather(t, gamedayFile)
	g.enter("owner", "Olga").until("Begin the load", true)
	_ = g.cmd.Process.Signal(syscall.SIGINT)
	<-g.ended
	var said bytes.Buffer
	if code := execute([]string{"gameday", "verify", g.dir}, &said, &said); code != exitHeld || !strings.Contains(said.String(), "had not begun") {
		t.Errorf("exit code %d: %s", code, said.String())
	}
}
