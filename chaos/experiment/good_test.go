package experiment

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// minimal is a whole experiment in few lines, for tests that change one thing.
const minimal = `name: minimal
targets: {shop: {url: "http://127.0.0.1:8080"}, bank: {reference: dependency}}
links: {pay: {from: shop, to: bank}}
load: {rate: 10/s, duration: 10s, routes: [{name: buy, to: shop, get: /buy}]}
chaos: [{at: 2s, for: 2s, on: pay, errors: {status: 503}}]
claims: [{steady: {success: 99%}}]
`

func mustParse(t testing.TB, text string, set ...string) *Experiment {
	t.Helper()
	x, err := Parse("/experiments/test.yaml", []byte(text), Options{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func goodFiles(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"testdata/good/*", "../../examples/*.yaml", "../../examples/broken/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

func TestGoodFiles(t *testing.T) {
	for _, file := range goodFiles(t) {
		x, err := ReadFile(file, Options{})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if _, err := x.marshalled(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// marshalled is x written and read back.
func (x *Experiment) marshalled() (*Experiment, error) {
	text, err := Marshal(x)
	if err != nil {
		return nil, err
	}
	return Parse("run/experiment.yaml", text, Options{})
}

// What is written to the run directory must be what was run, whatever the
// folder it is read from.
func TestMarshalReadsBack(t *testing.T) {
	for _, file := range goodFiles(t) {
		x, err := ReadFile(file, Options{})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		got, err := x.marshalled()
		if err != nil {
			text, _ := Marshal(x)
			t.Errorf("%s: %v\n%s", file, err, text)
			continue
		}
		if diff := cmp.Diff(x, got); diff != "" {
			t.Errorf("%s: -ran +read back:\n%s", file, diff)
		}
	}
}

// Any text survives: bodies and configuration files of other programs are full
// of what means something in YAML.
func TestMarshalKeepsAnyText(t *testing.T) {
	texts := rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.SampledFrom([]rune(" \n\t\r:#-{}[]&*!|>'\"%@`,?~=$\\abN01\u0085\u2028\ufeff\u00a0\x00\x7f😀"))),
		rapid.SampledFrom([]string{"", "~", "null", "true", "yes", "0x10", "1e3", "1:30", "2026-11-23", "=", "<<", "- a", " a", "a ", "a\n", "a\n\n", "\na", "a\n b\n  c\n", "\ta\n", "---\n", "...\n"}),
	)
	keys := rapid.StringMatching(`[A-Za-z ~:#.-]{1,9}`)
	rapid.Check(t, func(t *rapid.T) {
		x := mustParseMinimal()
		route := &x.Load.Routes[0]
		route.Body = wire.Literal(texts.Draw(t, "body"))
		x.About = texts.Draw(t, "about")
		x.Targets["bank"].With = map[string]string{keys.Draw(t, "key"): noVariable(texts.Draw(t, "value")), "on": noVariable(texts.Draw(t, "on"))}
		got, err := x.marshalled()
		if err != nil {
			text, _ := Marshal(x)
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(x, got); diff != "" {
			t.Fatalf("-ran +read back:\n%s", diff)
		}
	})
}

// noVariable writes a text as settings of targets have it, in which ${ begins a variable.
func noVariable(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "$", "+"), "+{", "$${")
}

func mustParseMinimal() *Experiment {
	x, err := Parse("/experiments/test.yaml", []byte(minimal), Options{})
	if err != nil {
		panic(err)
	}
	return x
}

// Every key is in everything.yaml with a value that is not its zero, so that
// reading, checking and writing of each is tried.
func TestEveryKeyIsTried(t *testing.T) {
	text, err := os.ReadFile("testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	x := mustParse(t, string(text))
	x.Load.Rate, x.Load.Duration, x.Load.Replay = 1, 1, "x" // in place of stages, tried elsewhere
	x.Load.InTurn = true                                    // in place of weights
	x.Chaos[0].Every = 1                                    // in place of what comes once
	x.Load.Spike, x.Load.Sine = &Spike{1, 1, 1, 1}, &Sine{1, 1, 1}
	tried := map[reflect.Type]map[string]bool{}
	shared := map[string]bool{} // by the type whose own key it is: the keys of a Select are read for every fault in the same way
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(v.MapIndex(k))
			}
		case reflect.Struct:
			if tried[v.Type()] == nil {
				tried[v.Type()] = map[string]bool{}
			}
			for _, f := range strict.Fields(v.Type()) {
				if x := v.FieldByIndex(f.Index); !x.IsZero() {
					tried[v.Type()][f.Key] = true
					shared[ownerOf(v.Type(), f)+"."+f.Key] = true
				}
				walk(v.FieldByIndex(f.Index))
			}
		}
	}
	walk(reflect.ValueOf(x))
	keys := 0
	for typ := range structsOf(reflect.TypeFor[Experiment](), map[reflect.Type]bool{}) {
		for _, f := range strict.Fields(typ) {
			if keys++; !tried[typ][f.Key] && !shared[ownerOf(typ, f)+"."+f.Key] {
				t.Errorf("%s of %s is not in everything.yaml", f.Key, typ)
			}
		}
	}
	if keys < 90 {
		t.Errorf("%d keys found; the walk is broken", keys)
	}
}

// ownerOf is the type that has the key as its own: a struct within typ, if the
// key is one of its keys.
func ownerOf(typ reflect.Type, f strict.Field) string {
	for _, i := range f.Index[:len(f.Index)-1] {
		typ = typ.Field(i).Type
	}
	return typ.String()
}

func TestDefaults(t *testing.T) {
	x := mustParse(t, `name: defaults
targets: {shop: {process: {command: [./shop]}}, bank: {reference: dependency}}
links: {pay: {from: shop, to: bank}}
load: {rate: 10/s, duration: 10s, timeout: 3s, routes: [{name: buy, to: shop, get: /buy}, {name: sell, to: shop, get: /sell, timeout: 1s}]}
chaos: [{at: 2s, for: 2s, on: pay, reset: {}}, {at: 5s, on: shop, restart: {}}]
claims:
  - breaker: {link: pay, route: buy}
  - retry: {link: pay}
  - backoff: {link: pay, base: 1s}
  - bulkhead: {link: pay, limit: 5}
  - recovery: {within: 2s}
limits: {stop_if: [{success_below: 50%}]}
`)
	for _, row := range []struct {
		what      string
		got, want any
	}{
		{"arrivals", x.Load.Arrivals, "constant"},
		{"connections", x.Load.Connections, 1024},
		{"id header", x.Load.IDHeader, "X-Request-Id"},
		{"weight", x.Load.Routes[0].Weight, 1.0},
		{"timeout of a route is the load's", x.Load.Routes[0].Timeout, 3 * time.Second},
		{"timeout of its own", x.Load.Routes[1].Timeout, time.Second},
		{"ready", x.Targets["shop"].Process.Ready.Probe, "tcp"},
		{"ready within", x.Targets["shop"].Process.ReadyWithin, 10 * time.Second},
		{"stop within", x.Targets["shop"].Process.StopWithin, 3 * time.Second},
		{"dir is the file's folder", x.Targets["shop"].Process.Dir, "/experiments"},
		{"share", float64(x.Chaos[0].Reset.Share), 1.0},
		{"downtime", x.Chaos[1].Restart.Downtime, time.Duration(0)},
		{"probes: what absence means depends on waits", x.Claims[0].Breaker.Probes, 0},
		{"retry on", x.Claims[1].Retry.On, []int{429, 502, 503, 504}},
		{"factor", x.Claims[2].Backoff.Factor, 2.0},
		{"law", x.Claims[2].Backoff.Law, "add"},
		{"goodput of the unaffected", float64(x.Claims[3].Bulkhead.Goodput), 0.95},
		{"slowdown", x.Claims[3].Bulkhead.Slowdown, 1.5},
		{"freed within is not claimed", x.Claims[3].Bulkhead.FreedWithin, time.Duration(0)},
		{"goodput of recovery", float64(x.Claims[4].Recovery.Goodput), 0.95},
		{"recovery for", x.Claims[4].Recovery.For, time.Second},
		{"allow beside stop_if", x.Limits.Allow, []string{"127.0.0.0/8", "::1/128"}},
		{"stop for", x.Limits.StopIf[0].For, time.Second},
		{"seed is drawn by the run", x.Seed, uint64(0)},
	} {
		if diff := cmp.Diff(row.want, row.got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", row.what, diff)
		}
	}
	if x := mustParse(t, minimal, "load={rate: 1/s, duration: 9s, routes: [{name: buy, to: shop, get: /}]}"); x.Load.Timeout != 10*time.Second {
		t.Errorf("timeout of the load: %v, want 10s", x.Load.Timeout)
	}
	if x := mustParse(t, minimal); len(x.Limits.Allow) != 2 {
		t.Errorf("allow without limits: %q", x.Limits.Allow)
	}
}

// Text is kept as it was written, whatever YAML would make of it.
func TestTextIsKeptAsWritten(t *testing.T) {
	x := mustParse(t, strings.Replace(minimal, "{reference: dependency}",
		`{reference: dependency, with: {a: 5, b: 2s, c: true, d: yes, e: 0010, f: 1e3, g: 1:30, h: 0x1F, i: 2026-11-23, j: "~", k: '', on: off}}`, 1))
	want := map[string]string{"a": "5", "b": "2s", "c": "true", "d": "yes", "e": "0010", "f": "1e3", "g": "1:30", "h": "0x1F",
		"i": "2026-11-23", "j": "~", "k": "", "on": "off"}
	if diff := cmp.Diff(want, x.Targets["bank"].With); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestByteOrderMarkIsIgnored(t *testing.T) {
	mustParse(t, "\ufeff"+minimal)
	_, err := Parse("x", []byte("\ufeffnam: x\n"), Options{})
	if want := `x:1:1: unknown key "nam": did you mean "name"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestStatusIsOneOrMany(t *testing.T) {
	for text, want := range map[string]toxic.Statuses{"503": {503}, "[502, 503]": {502, 503}} {
		x := mustParse(t, strings.Replace(minimal, "status: 503", "status: "+text, 1))
		if diff := cmp.Diff(want, x.Chaos[0].Errors.Status); diff != "" {
			t.Errorf("status %s: -want +got:\n%s", text, diff)
		}
	}
}

func TestSet(t *testing.T) {
	file := strings.Replace(minimal, "{reference: dependency}", `{process: {command: [./bank], files: {nginx.conf: old}}}`, 1)
	for _, row := range []struct {
		set  []string
		got  func(x *Experiment) any
		want any
	}{
		{[]string{"load.rate=1k/s"}, func(x *Experiment) any { return float64(x.Load.Rate) }, 1000.0},
		{[]string{"load.rate=1k/s", "load.rate=2k/s"}, func(x *Experiment) any { return float64(x.Load.Rate) }, 2000.0}, // the last one counts
		{[]string{"chaos[0].for=3s"}, func(x *Experiment) any { return x.Chaos[0].For }, 3 * time.Second},
		{[]string{"chaos[0].errors.status=[500, 502]"}, func(x *Experiment) any { return x.Chaos[0].Errors.Status }, toxic.Statuses{500, 502}},
		{[]string{"targets.bank={reference: frontend}", "targets.bank.with.flaw=never-opens"}, func(x *Experiment) any { return x.Targets["bank"].With["flaw"] }, "never-opens"},
		{[]string{`targets.bank.process.files["nginx.conf"]=new = "a.b"`}, func(x *Experiment) any { return x.Targets["bank"].Process.Files["nginx.conf"] }, `new = "a.b"`},
		{[]string{`targets.bank.process.env.X=`}, func(x *Experiment) any { return x.Targets["bank"].Process.Env["X"] }, ""},
		{[]string{"about=a: b # c"}, func(x *Experiment) any { return x.About }, "a: b # c"},
		{[]string{`about="quoted\n"`}, func(x *Experiment) any { return x.About }, "quoted\n"},
		{[]string{"load.routes[0].headers.Accept=text/plain"}, func(x *Experiment) any { return x.Load.Routes[0].Headers["Accept"] }, "text/plain"},
	} {
		if diff := cmp.Diff(row.want, row.got(mustParse(t, file, row.set...))); diff != "" {
			t.Errorf("%q: -want +got:\n%s", row.set, diff)
		}
	}
}

// Setting what one alias stands for leaves the other alone.
func TestSetThroughAnAlias(t *testing.T) {
	text, err := os.ReadFile("testdata/good/aliases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	x := mustParse(t, string(text), "load.routes[1].headers.Accept=text/html")
	got := []string{x.Load.Routes[0].Headers["Accept"], x.Load.Routes[1].Headers["Accept"]}
	if diff := cmp.Diff([]string{"text/plain", "text/html"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRequest(t *testing.T) {
	for _, row := range []struct {
		request      Request
		method, path string
	}{
		{Request{Get: "/a"}, "GET", "/a"},
		{Request{Post: "/a"}, "POST", "/a"},
		{Request{Put: "/a"}, "PUT", "/a"},
		{Request{Delete: "/a"}, "DELETE", "/a"},
		{Request{Method: "PATCH", Path: "/a"}, "PATCH", "/a"},
	} {
		if m, p := row.request.Line(); m != row.method || p != row.path {
			t.Errorf("%+v: %s %s, want %s %s", row.request, m, p, row.method, row.path)
		}
	}
}

// Every kind of event and of claim knows its key, and what it is.
func TestKinds(t *testing.T) {
	for _, kind := range eventKinds {
		e := Event{On: "x"}
		f := fieldNamed(t, reflect.ValueOf(&e).Elem(), kind)
		f.Set(reflect.New(f.Type().Elem()))
		if e.Kind() != kind {
			t.Errorf("event with %s has kind %q", kind, e.Kind())
		}
		if tx := e.Toxic(); tx != nil {
			_, err := toxic.OnExchanges(tx)
			if isConn := slices.Contains(connKinds, kind); (err != nil) != isConn {
				t.Errorf("%s on exchanges: %v", kind, err)
			}
		}
		if kind == "region_loss" { // which is where its own key says
			if e.String() != "loss of region " {
				t.Errorf("event with %s is told as %q", kind, e)
			}
			continue
		}
		if !strings.HasPrefix(e.String(), kind) || !strings.HasSuffix(e.String(), " on x") {
			t.Errorf("event with %s is told as %q", kind, e)
		}
	}
	for _, kind := range claimKinds {
		c := Claim{}
		f := fieldNamed(t, reflect.ValueOf(&c).Elem(), kind)
		f.Set(reflect.New(f.Type().Elem()))
		if c.Kind() != kind {
			t.Errorf("claim with %s has kind %q", kind, c.Kind())
		}
		if got := reflect.TypeOf(c.Judge()); got != f.Type().Elem() {
			t.Errorf("claim with %s is judged as %v", kind, got)
		}
	}
	if e, c := (Event{}), (Claim{}); e.Kind() != "" || e.Toxic() != nil || c.Kind() != "" || c.Judge() != nil {
		t.Error("an event or claim without a kind must have none")
	}
}

func fieldNamed(t *testing.T, v reflect.Value, key string) reflect.Value {
	t.Helper()
	for _, f := range strict.Fields(v.Type()) {
		if f.Key == key {
			return v.FieldByIndex(f.Index)
		}
	}
	t.Fatalf("%s has no key %s", v.Type(), key)
	return reflect.Value{}
}

func TestLengthAndSchedule(t *testing.T) {
	count := func(l Load) int {
		n := 0
		s, err := l.Schedule(1, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range s.Arrivals() {
			n++
		}
		return n
	}
	flat := Load{Rate: 50, Duration: 10 * time.Second}
	if got := flat.Length(); got != 10*time.Second {
		t.Errorf("length %v, want 10s", got)
	}
	if got := count(flat); got != 500 { // 50/s · 10s
		t.Errorf("%d arrivals, want 500", got)
	}
	x := mustParse(t, minimal, "load={stages: [{to: 100/s, over: 2s}, {hold: 4s}, {to: 20/s}, {hold: 10s}], routes: [{name: buy, to: shop, get: /}]}")
	if got := x.Load.Length(); got != 16*time.Second { // 2 + 4 + 0 + 10
		t.Errorf("length %v, want 16s", got)
	}
	if s, err := x.Load.Schedule(1, nil); err != nil || s.Duration() != x.Load.Length() {
		t.Errorf("the schedule lasts %v, the load %v: %v", s.Duration(), x.Load.Length(), err)
	} else if got := s.Rate(7 * time.Second); got != 20 { // the jump at 6s
		t.Errorf("rate at 7s is %v, want 20", got)
	}
	if got := count(x.Load); got != 700 { // 100·2/2 + 100·4 + 20·10
		t.Errorf("%d arrivals, want 700", got)
	}
	poisson := flat
	poisson.Arrivals = Poisson
	if got := count(poisson); got == 500 || got < 390 || got > 610 { // 500 ± 5·√500
		t.Errorf("%d poisson arrivals, want near 500 and not exactly that", got)
	}
}

// auto is settled at once where nobody has the choice, and links go by that.
func TestAutoWithoutTLSIsHTTP1(t *testing.T) {
	x := mustParse(t, `name: auto
targets:
  plain: {url: "http://127.0.0.1:8080", protocol: auto}
  secure: {url: "https://127.0.0.1:8443", protocol: auto, tls: {insecure: true}}
links:
  inner: {from: secure, to: plain}
  outer: {from: plain, to: secure, protocol: h2, tls: {originate: {insecure: true}}}
load: {rate: 10/s, duration: 10s, pipeline: 2, streams: 2, routes: [{name: buy, to: secure, get: /buy}]}
chaos: [{at: 2s, for: 2s, on: inner, errors: {status: 503}}]
claims: [{steady: {success: 99%}}]
`)
	got := []string{x.Targets["plain"].Protocol, x.Targets["secure"].Protocol, x.Links["inner"].Protocol, x.Links["outer"].Protocol}
	if want := []string{"http1", "auto", "http1", "h2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
