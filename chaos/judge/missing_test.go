package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// faulty is a run with a fault on link payments from 1 s to 2 s, over which a
// call went every 50 ms; change makes it another one.
func faulty(change func(run *evidence.Run, f *evidence.Injection)) *evidence.Run {
	run := &evidence.Run{End: 3 * time.Second, Lost: map[string]uint64{}, Links: map[string]*evidence.Link{"payments": {Name: "payments", To: "bank"}},
		Faults: []evidence.Injection{{Name: "errors 503 on payments", Kind: "errors", On: "payments", Injected: time.Second, Healed: 2 * time.Second}}}
	for at := time.Duration(0); at < run.End; at += 50 * ms {
		run.Links["payments"].Exchanges = append(run.Links["payments"].Exchanges, evidence.Exchange{Begin: at, End: at + ms, Status: 200})
	}
	change(run, &run.Faults[0])
	return run
}

// leaveOut takes the exchanges out of a run that began in [from, to).
func leaveOut(run *evidence.Run, from, to time.Duration) {
	l := run.Links["payments"]
	l.Exchanges = slices.Concat(l.Window(0, from), l.Window(to, run.End))
}

// What a fault did is known, is known to be nothing, or cannot be known: only
// the second is held against the claims, the third is told.
func TestMissing(t *testing.T) {
	for _, tt := range []struct {
		name            string
		change          func(run *evidence.Run, f *evidence.Injection)
		missing, spared string // part of the one sentence; "" is none
	}{
		{"it hit", func(run *evidence.Run, f *evidence.Injection) { run.Links["payments"].Exchanges[25].Faults = 1 }, "", ""},
		{"it could not be injected", func(_ *evidence.Run, f *evidence.Injection) {
			f.Injected, f.Healed, f.Error, f.Why = -1, -1, "inject it: no such process", "no such process"
		}, "fault \"errors 503 on payments\" was not injected: no such process", ""},
		{"it could not, and then the run was cut", func(run *evidence.Run, f *evidence.Injection) {
			f.Injected, f.Healed, f.Error, f.Why, run.Partial = -1, -1, "inject it: gone", "gone", true
		}, "was not injected: gone", ""},
		{"its turn never came", func(_ *evidence.Run, f *evidence.Injection) { f.Injected, f.Healed = -1, -1 }, "was not injected: the load had ended", ""},
		{"the run was cut before its turn", func(run *evidence.Run, f *evidence.Injection) { f.Injected, f.Healed, run.Partial = -1, -1, true }, "", ""},
		{"nothing was to be injected", func(run *evidence.Run, f *evidence.Injection) { f.Injected, f.Healed, run.NotSteady = -1, -1, "p99" }, "", ""},
		// Of the 20 calls at 1 s to 1.95 s that at 1 s is within the noise of the edge.
		{"calls passed it by", func(*evidence.Run, *evidence.Injection) {}, "hit none of the 19 calls that came over \"payments\"", ""},
		{"calls passed it by on a host as noisy as it is long", func(run *evidence.Run, _ *evidence.Injection) {
			for at := time.Second; at <= run.End; at += time.Second {
				run.Ticks = append(run.Ticks, evidence.Tick{At: at, Pressure: 1})
			}
		}, "hit none of the 10 calls that came over \"payments\"", ""},
		{"a breaker was open meanwhile", func(run *evidence.Run, _ *evidence.Injection) { leaveOut(run, time.Second, 2*time.Second) }, "", "no call came over \"payments\""},
		{"only calls at its edges", func(run *evidence.Run, f *evidence.Injection) { leaveOut(run, 1050*ms, 2*time.Second) }, "", "no call came over \"payments\""},
		{"nobody ever called", func(run *evidence.Run, _ *evidence.Injection) { leaveOut(run, 0, run.End) }, "no call went over \"payments\" in the whole run: let the system call the address that the link listens on", ""},
		{"nobody listened, and nobody dialled or was refused", func(run *evidence.Run, f *evidence.Injection) { f.Kind = "down"; leaveOut(run, 0, run.End) }, "", "no call came"},
		{"connections of the warm-up have no record", func(run *evidence.Run, _ *evidence.Injection) {
			run.Warmup = &evidence.Warmup{}
			leaveOut(run, 0, run.End)
		}, "", "no call came"},
		{"it hit what has no record", func(_ *evidence.Run, f *evidence.Injection) { f.Hit = 2 }, "", ""},
		{"records were lost", func(run *evidence.Run, _ *evidence.Injection) { run.Lost["link-payments.csv"] = 1 }, "", ""},
		{"it is in force yet, and holds what it hit", func(run *evidence.Run, f *evidence.Injection) { f.Healed, run.Partial = -1, true }, "", ""},
		{"it happens to a target", func(_ *evidence.Run, f *evidence.Injection) { f.On, f.Target = "payments", true }, "", ""},
		{"a command does it", func(_ *evidence.Run, f *evidence.Injection) { f.Kind = "exec" }, "", ""},
		{"it is on a link that the run has not", func(_ *evidence.Run, f *evidence.Injection) { f.On = "?" }, "", ""},
	} {
		run := faulty(tt.change)
		for _, list := range []struct {
			what string
			got  []string
			want string
		}{{"missing", Missing(run), tt.missing}, {"spared", Spared(run), tt.spared}} {
			if list.want == "" && len(list.got) > 0 || list.want != "" && (len(list.got) != 1 || !strings.Contains(list.got[0], list.want)) {
				t.Errorf("%s: %s %q, want %q", tt.name, list.what, list.got, list.want)
			}
		}
	}
}

// Without a fault nothing has held, and what is refuted stays so.
func TestLacking(t *testing.T) {
	all := []string{"fault a was not injected: x", "fault b hit none", "fault c", "fault d", "fault e"}
	for _, tt := range []struct {
		ruling  Ruling
		missing []string
		want    Ruling
		reason  string
	}{
		{Held, nil, Held, "it stood"},
		{Held, all[:1], Inconclusive, "fault a was not injected: x. Seen besides: it stood"},
		{Inconclusive, all[:2], Inconclusive, "fault a was not injected: x; fault b hit none; it stood"},
		{Refuted, all, Refuted, "it stood"},
		{Held, all, Inconclusive, "fault a was not injected: x; fault b hit none; fault c; and 2 more. Seen besides: it stood"},
	} {
		got := Verdict{Ruling: tt.ruling, Reason: "it stood"}.Lacking(tt.missing)
		if got.Ruling != tt.want || got.Reason != tt.reason {
			t.Errorf("%s without %d faults: %s, %q; want %s, %q", tt.ruling, len(tt.missing), got.Ruling, got.Reason, tt.want, tt.reason)
		}
	}
}
