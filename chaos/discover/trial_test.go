package discover

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
)

const base = `name: any
targets: {shop: {url: "http://127.0.0.1:8080"}, bank: {url: "http://127.0.0.1:7000"}}
links: {bank: {from: shop, to: bank, listen: "127.0.0.1:7001"}}
load: {rate: 1/s, duration: 1s, timeout: 1m, routes: [{name: pay, to: shop, get: /}]}
claims: [{recovery: {route: pay, within: 1s}}]
`

// section is one of an experiment file.
func section(name string, entries []string) string {
	return name + ":\n  - " + strings.Join(entries, "\n  - ") + "\n"
}

func figure(low, high float64) *Figure {
	f := &Figure{Sample: 10}
	f.Low, f.High = low, high
	return f
}

// Whatever is found, the trials come to an end, each is an experiment, none is made
// twice for nothing, and what bears on a setting is looked for.
func TestNext(t *testing.T) {
	bounds := Bounds{Rate: 50, Patience: 40 * time.Second}
	for _, c := range []struct {
		name string
		then func(*Findings, Trial) // what a trial shows
		want string
	}{
		{"nothing protects it", func(f *Findings, tr Trial) {
			if tr.Name == Hang || tr.Name == LongHang {
				f.TimeoutUpTo = hangFor
			}
		}, "quick errors, hang, long hang, statuses"},
		{"a timeout", func(f *Findings, tr Trial) {
			if tr.Name == Hang {
				f.Timeout = figure(995, 1000)
			}
		}, "quick errors, hang, statuses"},
		{"a breaker that opens for 2 s", func(f *Findings, tr Trial) {
			f.Opened, f.Failures, f.Open, f.Timeout = true, figure(5, 5), figure(1990, 2010), figure(995, 1000)
		}, "quick errors, slow errors, every second call, hang, statuses"},
		{"a breaker by share", func(f *Findings, tr Trial) {
			yes := true
			f.Opened, f.Failures, f.Open, f.Timeout = true, figure(150, 150), figure(1990, 2010), figure(995, 1000)
			if tr.Name == Half {
				f.ByShare = new(bool)
			}
			if tr.Name == Long {
				f.Later = &yes
			}
		}, "quick errors, slow errors, every second call, long calm, hang, statuses"},
		{"one that opens for 30 s", func(f *Findings, tr Trial) {
			f.Opened, f.Timeout = true, figure(995, 1000)
			if tr.Name == Slow {
				f.OpenUpTo = tr.Duration / 2
				if f.OpenUpTo > 30*time.Second {
					f.Open = figure(29990, 30010)
				}
			}
		}, "quick errors, slow errors, slow errors, every second call, hang, statuses"},
		{"one that opens for longer than anybody waits", func(f *Findings, tr Trial) {
			f.Opened, f.Timeout = true, figure(995, 1000)
			if tr.Name == Slow {
				f.OpenUpTo = tr.Duration / 2
			}
		}, "quick errors, slow errors, slow errors, every second call, hang, statuses"},
	} {
		f := &Findings{Subject: Subject{Link: "bank", Route: "pay"}}
		for len(f.Done) < 10 {
			tr, more := Next(f, bounds)
			if !more {
				break
			}
			x, err := experiment.Parse("trial", []byte(base), experiment.Options{Set: tr.Set(f.Subject)})
			if err != nil {
				t.Fatalf("%s: %s: %v", c.name, tr.Name, err)
			}
			last := x.Chaos[len(x.Chaos)-1]
			if x.Load.Duration < last.At+last.For+settle/2 {
				t.Errorf("%s: %s ends at %v, its last fault at %v", c.name, tr.Name, x.Load.Duration, last.At+last.For)
			}
			f.Done = append(f.Done, tr.Name)
			c.then(f, tr)
		}
		if got := strings.Join(f.Done, ", "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// A breaker is to stay closed while statuses are tried.
func TestStatusTrialKeepsABreakerClosed(t *testing.T) {
	f := &Findings{Subject: Subject{Link: "bank", Route: "pay"}, Opened: true, Failures: figure(3, 5)}
	for _, fault := range statusTrial(f, Bounds{Rate: 50}, settle).Chaos {
		if !strings.Contains(fault, "first: 2}") {
			t.Errorf("%s: want two at most", fault)
		}
	}
}

// What is found can be pasted: the claims are read, and say the numbers.
func TestClaimsCanBePasted(t *testing.T) {
	f := &Findings{
		Subject: Subject{Link: "bank", Route: "pay"}, Success: 1,
		Attempts: figure(4, 4), Causes: map[Cause]Retried{503: {9, 9}, 404: {5, 0}, 500: {5, 0}, 0: {7, 7}},
		Waits:  []Wait{{figure(98, 100), figure(150, 152), 20, 125}, {figure(198, 200), figure(300, 303), 20, 250}},
		Opened: true, Failures: figure(3, 5), Open: figure(1990, 2010), Probes: figure(1, 1), Rejects: figure(0, 4), Closes: figure(10, 90),
		Timeout: figure(995, 1000), Longest: figure(1000, 1010), Limit: figure(40, 40),
	}
	text := section("claims", f.Claims())
	for _, want := range []string{
		"attempts: 4, at_least: 4, on: [503], never: [404]", "base: 100ms, factor: 2, jitter: 50%", "failures: 5, waits: 2s, probes: 1",
		"limit: 40", "within: 2s",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	head, _, _ := strings.Cut(base, "claims:")
	x, err := experiment.Parse("pasted", []byte(head+text), experiment.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(x.Claims) != 7 {
		t.Errorf("%d claims, want 7:\n%s", len(x.Claims), text)
	}
	nothing := &Findings{Subject: f.Subject}
	if _, err := experiment.Parse("bare", []byte(head+section("claims", nothing.Claims())), experiment.Options{}); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}

// The plan beside the claims can decide them, of whatever was found.
func TestPlanDecidesTheClaims(t *testing.T) {
	timeout := Findings{Subject: pay, Success: 1, Timeout: figure(995, 1000), Longest: figure(1000, 1010)}
	retries, breaker, bulkhead := timeout, timeout, timeout
	retries.Attempts, retries.RetryAfter = figure(4, 4), figure(1000, 1300)
	retries.Causes = map[Cause]Retried{503: {9, 9}, 404: {5, 0}, 500: {5, 0}, 0: {7, 7}}
	retries.Waits = []Wait{{figure(98, 100), figure(150, 152), 20, 125}, {figure(198, 200), figure(300, 303), 20, 250}}
	breaker.Opened, breaker.Failures, breaker.Open, breaker.Probes = true, figure(3, 5), figure(1990, 2010), figure(1, 1)
	breaker.Rejects, breaker.Closes = figure(0, 4), figure(10, 90)
	share := breaker
	yes := true
	share.ByShare, share.Share, share.Window = &yes, figure(0.49, 0.51), figure(9500, 10500)
	bulkhead.Limit = figure(40, 40)
	many := retries // four attempts of a second and their waits
	many.Longest = figure(4700, 4800)
	for name, f := range map[string]Findings{
		"a timeout": timeout, "retries": retries, "long retries": many, "a breaker": breaker, "a bulkhead": bulkhead, "a share": share,
	} {
		chaos, duration, timeout := f.Plan()
		head, _, _ := strings.Cut(base, "load:")
		load := fmt.Sprintf("load: {rate: 50/s, duration: %v, timeout: %v, connections: 4096, ", duration, timeout) +
			"routes: [{name: pay, to: shop, get: /}]}\n"
		text := head + load + section("chaos", chaos) + section("claims", f.Claims())
		x, err := experiment.Parse("pasted", []byte(text), experiment.Options{Weak: func(w experiment.Weakness) {
			t.Errorf("%s: %v\n%s", name, w, text)
		}})
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if hangs := x.Chaos[len(x.Chaos)-1].For; hangs < f.within()+time.Second {
			t.Errorf("%s: it hangs for %v, which does not decide a timeout of %v", name, hangs, f.within())
		}
	}
}

// Each flaw has its sentence, and a service of which nothing bad was seen has none.
func TestReview(t *testing.T) {
	sound := func() *Findings {
		return &Findings{
			Done: []string{Quick, Hang, Statuses}, Sequences: 100, Calls: 1, Depth: 1, Failing: 200, Attempts: figure(3, 3),
			Causes: map[Cause]Retried{503: {9, 9}, 404: {5, 0}, 0: {9, 9}}, RetryAfter: figure(1000, 1300),
			Waits:  []Wait{{figure(98, 100), figure(150, 152), 20, 125}, {figure(198, 200), figure(300, 303), 20, 250}},
			Opened: true, Open: figure(1990, 2010), Probes: figure(1, 1), Timeout: figure(995, 1000), LimitUpTo: 50,
		}
	}
	if got := sound().Review(); len(got) > 0 {
		t.Errorf("of a sound service it says %q", got)
	}
	if got := (&Findings{}).Review(); len(got) > 0 {
		t.Errorf("of nothing it says %q", got)
	}
	once := sound()
	once.Causes[400] = Retried{1, 1}
	if got := strings.Join(once.Review(), "\n"); strings.Contains(got, "400") {
		t.Errorf("one call that was tried again is no rule: %q", got)
	}
	for _, c := range []struct {
		flaw func(*Findings)
		want string
	}{
		{func(f *Findings) { f.Unkeyed = 3 }, "POST is retried without an Idempotency-Key"},
		{func(f *Findings) { f.KeysChanged = 3 }, "under another Idempotency-Key"},
		{func(f *Findings) { f.Causes[404] = Retried{5, 5} }, "404 is retried"},
		{func(f *Findings) { f.Timeout, f.TimeoutUpTo = nil, 35*time.Second }, "no timeout was seen, up to 35s"},
		{func(f *Findings) { f.Timeout, f.TimeoutUpTo = nil, 35*time.Second }, "none was turned away"},
		{func(f *Findings) { f.Timeout = figure(5000, 5000) }, "outlive a caller"},
		{func(f *Findings) { f.Waits[0].High, f.Waits[1].High = figure(100, 101), figure(200, 202) }, "no jitter"},
		{func(f *Findings) { f.Waits = []Wait{{figure(0, 1), figure(3, 8), 20, 2}} }, "retries come at once"},
		{func(f *Findings) { f.Waits = slices.Repeat(f.Waits[:1], 3) }, "waits do not grow"},
		{func(f *Findings) { f.RetryAfter = figure(100, 200) }, "Retry-After is not heard"},
		{func(f *Findings) { f.Opened = false }, "no breaker was seen"},
		{func(f *Findings) { f.Open, f.OpenUpTo = nil, 40*time.Second }, "nothing is let through for 40s"},
		{func(f *Findings) { f.StillOut = 7 * time.Second }, "still turned away 7s after"},
		{func(f *Findings) { f.Abandoned = 40 }, "leaves the call to go on (40 calls)"},
		{func(f *Findings) { f.Probes = figure(20, 20) }, "half-open lets 20 calls through"},
		{func(f *Findings) { f.Calls, f.Depth = 47, 40 }, "47 calls for one request, 40 of them"},
	} {
		f := sound()
		c.flaw(f)
		if got := strings.Join(f.Review(), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q in it", got, c.want)
		}
	}
}

// A bulkhead that loses its places turns callers away after some successes or others, which
// looks like a share: without a probe no share is told, and none is claimed.
func TestNoShareWithoutAProbe(t *testing.T) {
	yes := true
	f := &Findings{Subject: pay, Done: []string{Quick, Slow, Half, Long}, Calls: 1, Success: 1, Opened: true, ByShare: &yes,
		Share: figure(0.40, 0.41), Window: figure(980, 1000), OpenUpTo: 16 * time.Second, Closes: figure(15_400, math.Inf(1))}
	told := func() string {
		var b strings.Builder
		for _, r := range f.Rows() {
			fmt.Fprintf(&b, "%s: %s\n", r.Name, r.Text)
		}
		return b.String() + strings.Join(f.Claims(), "\n")
	}
	for _, not := range []string{"share that", "window", "failure_rate", "Inf"} {
		if got := told(); strings.Contains(got, not) {
			t.Errorf("%q is told of a breaker that was not seen to probe:\n%s", not, got)
		}
	}
	f.Open, f.OpenUpTo = figure(1990, 2010), 0
	for _, want := range []string{"share that opens it: 40% to 41%", "failure_rate: 40"} {
		if got := told(); !strings.Contains(got, want) {
			t.Errorf("%q is not told of one that was:\n%s", want, got)
		}
	}
}
