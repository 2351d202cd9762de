package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// degrading is a run of 200 requests a second over the link payments, which answers
// errors from 2 s on and hangs from 8 s on, for 3 s each. What became of a request
// that was due then, at which time and how late, is said by lost.
type degrading struct {
	lost   func(kind string, left time.Duration) (load.Outcome, time.Duration)
	faults []evidence.Injection
	misses int // so many calls of a hundred pass the faults
}

func lossFaults() []evidence.Injection {
	return []evidence.Injection{
		{Index: 0, Name: "refusing", Kind: "errors", Statuses: []int{503}, On: "payments", Injected: 2 * time.Second, Healed: 5 * time.Second},
		{Index: 1, Name: "hanging", Kind: "partition", On: "payments", Injected: 8 * time.Second, Healed: 11 * time.Second},
	}
}

// falls is a system that gives up on a call after 300 ms and falls back.
func falls(kind string, left time.Duration) (load.Outcome, time.Duration) {
	if kind == "partition" {
		return load.OK, min(left, 300*ms) + ms
	}
	return load.OK, 2 * ms
}

func (d degrading) run() *evidence.Run {
	link := &evidence.Link{Name: "payments", From: "checkout", To: "payments"}
	run := &evidence.Run{Routes: []string{"pay"}, Links: map[string]*evidence.Link{"payments": link}, Faults: d.faults, End: 14 * time.Second}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	for n := range 14 * 200 {
		at := time.Duration(n) * 5 * ms
		s := load.Sample{ID: uint64(n + 1), Intended: at, Sent: at, Done: at + 3*ms, Status: 200}
		x := evidence.Exchange{ID: s.ID, Begin: at + ms, End: at + 2*ms, Status: 200}
		for i, f := range d.faults {
			if f.On != "payments" || at < f.Injected || at >= f.Healed {
				continue
			}
			var took time.Duration
			s.Outcome, took = d.lost(f.Kind, f.Healed-at)
			s.Done, x.End = at+took, at+took
			if n%100 >= d.misses {
				x.Faults |= 1 << i
			}
		}
		run.Samples = append(run.Samples, s)
		link.Exchanges = append(link.Exchanges, x)
	}
	return run
}

func TestStands(t *testing.T) {
	only := func(kinds ...string) (all []evidence.Injection) {
		for _, f := range lossFaults() {
			for _, kind := range kinds {
				if f.Kind == kind {
					all = append(all, f)
				}
			}
		}
		return all
	}
	on := func(kind string, outcome load.Outcome, took func(left time.Duration) time.Duration) func(string, time.Duration) (load.Outcome, time.Duration) {
		return func(k string, left time.Duration) (load.Outcome, time.Duration) {
			if k == kind {
				return outcome, took(left)
			}
			return falls(k, left)
		}
	}
	second := func(time.Duration) time.Duration { return time.Second }
	for _, c := range []struct {
		name string
		run  degrading
		want Ruling
		says string
	}{
		{"it falls back", degrading{lost: falls, faults: lossFaults()}, Held, "600 of 600 requests of \"pay\" succeeded while \"payments\" answered errors"},
		{"it says how it was lost", degrading{lost: falls, faults: lossFaults()}, Held, "that \"payments\" broke calls off was not shown: reset, or kill of what it leads to would"},
		{"it dies of a hang", degrading{lost: on("partition", load.TimedOut, second), faults: lossFaults()}, Refuted, "only 0 of 600 requests of \"pay\" succeeded while \"payments\" hung"},
		{"it dies of errors", degrading{lost: on("errors", load.ServerError, func(time.Duration) time.Duration { return 2 * ms }), faults: lossFaults()}, Refuted,
			"only 0 of 600 requests of \"pay\" succeeded while \"payments\" answered errors"},
		{"it waits until the link is back", degrading{lost: on("partition", load.OK, func(left time.Duration) time.Duration { return left + ms }), faults: lossFaults()}, Refuted,
			"succeeded while \"payments\" hung"},
		{"a hang that it does not survive was not shown", degrading{lost: on("partition", load.TimedOut, second), faults: only("errors")}, Held,
			"that \"payments\" hung was not shown: hang or partition would"},
		{"it was not lost", degrading{lost: falls}, Inconclusive, "no fault was in force on \"payments\""},
		{"a tenth of the calls passed", degrading{lost: falls, faults: only("errors"), misses: 10}, Inconclusive, "it took only 540 of 600 calls"},
		{"another fault elsewhere", degrading{lost: falls, faults: append(only("errors"),
			evidence.Injection{Index: 1, Name: "other", Kind: "errors", On: "stock", Injected: 4 * time.Second, Healed: 6 * time.Second})}, Inconclusive,
			"\"other\" was in force elsewhere meanwhile"},
		{"two ways at once", degrading{lost: falls, faults: append(only("errors"),
			evidence.Injection{Index: 1, Name: "too", Kind: "partition", On: "payments", Injected: 4 * time.Second, Healed: 6 * time.Second})}, Inconclusive,
			"another overlaps it"},
		{"for too short a time", degrading{lost: falls, faults: []evidence.Injection{
			{Name: "brief", Kind: "errors", Statuses: []int{503}, On: "payments", Injected: 2 * time.Second, Healed: 2*time.Second + 100*ms}}}, Inconclusive,
			"only 20 of 20 requests of \"pay\" can tell"},
		{"it is served late", degrading{lost: on("partition", load.OK, func(left time.Duration) time.Duration { return min(left+ms, 1700*ms) }), faults: lossFaults()},
			Inconclusive, "only 261 of 600 requests of \"pay\" can tell how it does while \"payments\" hung"},
		{"it dies of resets", degrading{
			lost:   on("reset", load.ServerError, func(time.Duration) time.Duration { return 2 * ms }),
			faults: []evidence.Injection{{Name: "resets", Kind: "reset", On: "payments", Injected: 2 * time.Second, Healed: 5 * time.Second}},
		}, Refuted, "only 0 of 600 requests of \"pay\" succeeded while \"payments\" broke calls off"},
		{"a 404 loses nothing", degrading{lost: falls, faults: []evidence.Injection{
			{Name: "missing", Kind: "errors", Statuses: []int{404}, On: "payments", Injected: 2 * time.Second, Healed: 5 * time.Second}}}, Inconclusive,
			"no fault was in force on \"payments\""},
	} {
		v := Stands{Without: "payments", Routes: []string{"pay"}}.Judge(c.run.run())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// A share that is claimed above what it is is never held, and refuted where it is
// clearly above.
func TestStandsIsNotHeldByALie(t *testing.T) {
	n := 0
	run := degrading{faults: lossFaults(), lost: func(kind string, left time.Duration) (load.Outcome, time.Duration) {
		if n++; n%5 == 0 {
			return load.ServerError, 2 * ms
		}
		return load.OK, 2 * ms
	}}.run()
	for success, want := range map[unit.Share]Ruling{0.7: Held, 0.85: Refuted, 0.9: Refuted, 0.99: Refuted, 1: Refuted, 0.79: Inconclusive, 0.81: Inconclusive} {
		if v := (Stands{Without: "payments", Routes: []string{"pay"}, Success: success}).Judge(run); v.Ruling != want {
			t.Errorf("%v where 80%% succeed: %v, %s; want %v", success, v.Ruling, v.Reason, want)
		}
	}
}
