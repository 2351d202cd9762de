package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/judge"
)

var midChaos = chaos.Progress{
	Name: "checkout-breaker", Phase: "chaos", At: 12*time.Second + 40*time.Millisecond, Total: 30 * time.Second,
	Offered: 500, Achieved: 500, Success: 0.612,
	P50: 1210 * time.Microsecond, P99: 9040 * time.Microsecond, LagP99: 100 * time.Microsecond,
	Faults: []string{"errors 503 on payments"},
}

func with(change func(p *chaos.Progress)) chaos.Progress {
	p := midChaos
	change(&p)
	return p
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		name string
		p    chaos.Progress
		want string
	}{
		{"a second of chaos", midChaos,
			"12s chaos  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms  faults: errors 503 on payments"},
		{"before the load", chaos.Progress{Phase: "starting", At: -1, Event: "starting payments"},
			"starting: starting payments"},
		{"an event", with(func(p *chaos.Progress) { p.Event = "healed errors 503 on payments" }),
			"12s chaos: healed errors 503 on payments"},
		{"an event as the timeline has it", with(func(p *chaos.Progress) { p.At, p.Event = 4000400*time.Microsecond, "x" }), "4s chaos: x"},
		{"an event that came a little early", with(func(p *chaos.Progress) { p.At, p.Event = 3999900*time.Microsecond, "x" }), "4s chaos: x"},
		{"an event within a second", with(func(p *chaos.Progress) { p.At, p.Event = 3510*time.Millisecond, "x" }), "3.5s chaos: x"},
		{"falling behind", with(func(p *chaos.Progress) { p.Offered, p.Achieved, p.Faults = 100000, 71234.4, nil }),
			"12s chaos  100,000/s (71,234)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms"},
		{"two faults", with(func(p *chaos.Progress) { p.Faults = []string{"a", "b"} }),
			"12s chaos  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms  faults: a, b"},
		{"many faults", with(func(p *chaos.Progress) { p.Faults = strings.Split("a b c d e f g", " ") }),
			"12s chaos  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms  faults: a, b, c, d, e and 2 more"},
		// With everything hanging no share of nothing is 0%.
		{"nothing ended", with(func(p *chaos.Progress) { p.Success, p.P50, p.P99, p.Faults = 0, 0, 0, nil }),
			"12s chaos  500/s (500)  nothing ended  lag 0.10ms"},
		{"everything failed", with(func(p *chaos.Progress) { p.Success, p.Faults = 0, nil }),
			"12s chaos  500/s (500)  ok 0%  p50 1.2ms p99 9.0ms  lag 0.10ms"},
		{"claims so far", with(func(p *chaos.Progress) {
			p.Faults = nil
			p.Verdicts = []judge.Verdict{{Kind: "steady"}, {Kind: "breaker", Ruling: judge.Inconclusive}, {Kind: "retry", Ruling: judge.Refuted}}
		}), "12s chaos  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms  claims: ✓ steady  ? breaker  ✗ retry"},
		{"an event that a target had a hand in", with(func(p *chaos.Progress) { p.Event = "a\nb\x1b[2J" }), `12s chaos: a b\x1b[2J`},
		{"a phase of somebody else's timeline", with(func(p *chaos.Progress) { p.Phase, p.Event = "\x1b[2J\nchaos", "x" }), `12s \x1b[2J chaos: x`},
		{"an hour in", with(func(p *chaos.Progress) { p.At, p.Event = 3661*time.Second, "x" }), "1h1m1s chaos: x"},
	} {
		if got := line(c.p); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	evil := with(func(p *chaos.Progress) { p.Name, p.Phase, p.Event = "n\x1b[1m", "\x1b]0;owned\a", "" })
	for what, got := range map[string]string{"a line": line(evil), "the bar": title(evil, 200), "a narrow bar": title(evil, 1)} {
		if strings.ContainsAny(got, "\x1b\a") {
			t.Errorf("%s has controls: %q", what, got)
		}
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		quiet bool
		want  string
	}{
		{false, "run checkout-breaker\n" + line(midChaos) + "\nsomething else\n"},
		{true, "something else\n"}, // what people should know is said all the same
	} {
		var out bytes.Buffer
		p := newProgress(&out, c.quiet, func(string) string { return "" })
		p.begin("checkout-breaker")
		p.watch(midChaos)
		p.end()
		p.say("something else")
		if out.String() != c.want {
			t.Errorf("quiet %v: got %q, want %q", c.quiet, out.String(), c.want)
		}
	}
}
