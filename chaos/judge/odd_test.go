package judge

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// callClaims are the claims that look at calls one by one, with all parts on.
func callClaims() []Claim {
	return []Claim{
		Retry{Link: Links{"payments"}, Attempts: 3, Never: []int{400}, Amplification: 2},
		Retry{Link: Links{"payments"}, Route: "pay"},
		Backoff{Link: "payments", Base: 20 * time.Millisecond, Jitter: 0.5, RetryAfter: true, Herd: 3},
		Backoff{Link: "payments", Route: "pay", Law: "full"},
		Bulkhead{Link: "payments", Route: "pay", Limit: 4, Unaffected: []string{"browse"}, RejectsWithin: time.Millisecond},
		Bulkhead{Link: "payments"},
		Fanout{Route: "pay", Calls: 3, Depth: 2, Repeats: 1, Growth: 0.5, Of: map[string]int{"pay": 1, "browse": 2}},
		Stands{Without: "payments", Routes: []string{"pay", "browse"}},
		Effects{At: Links{"payments"}, Route: "pay"},
		Effects{At: Links{"payments"}, Route: "pay", Per: "key", Keys: "honoured", NotDone: []int{503}},
		Shed{Route: "pay", Capacity: 2, P99: time.Millisecond, RejectsWithin: time.Millisecond, Spares: []string{"browse"}},
		Health{Links: Links{"payments", "payments"}, OutWithin: time.Second, BackWithin: time.Second, Keeps: 1},
		Skew{Links: Links{"payments", "payments"}, Route: "pay", AtMost: 1.5},
	}
}

// TestOddEvidence: whatever is in the records, no claim panics, and none holds
// on nothing.
func TestOddEvidence(t *testing.T) {
	empty := []*evidence.Run{
		{},
		{Partial: true, Lost: map[string]uint64{"front.csv": 3}},
		{End: time.Second, Routes: []string{"pay", "browse"}, Links: map[string]*evidence.Link{"payments": nil}},
		{End: time.Second, Routes: []string{"pay", "browse"}, Links: map[string]*evidence.Link{"payments": {Name: "payments"}}},
	}
	for i, run := range empty {
		for _, c := range callClaims() {
			if got := c.Judge(run); got.Ruling != Inconclusive || got.Reason == "" {
				t.Errorf("empty run %d, %s: %s, %q", i, c, got.Ruling, got.Reason)
			}
		}
	}
	for seed := uint64(0); seed < 300; seed++ {
		run := oddRun(rand.New(rand.NewPCG(seed, 0)))
		for _, c := range callClaims() {
			got := c.Judge(run)
			if got.Reason == "" || len(got.IDs) > MaxIDs {
				t.Fatalf("seed %d, %s: %s without a reason, or %d ids", seed, c, got.Ruling, len(got.IDs))
			}
			if _, err := json.Marshal(got); err != nil {
				t.Fatalf("seed %d, %s: %v", seed, c, err)
			}
		}
	}
}

// oddRun has records that contradict one another in every way.
func oddRun(rng *rand.Rand) *evidence.Run {
	at := func() time.Duration { return time.Duration(rng.IntN(5000)-200) * time.Millisecond }
	run := &evidence.Run{
		End: at(), Partial: rng.IntN(2) == 0, Routes: []string{"pay", "browse"}, Lost: map[string]uint64{},
		Links: map[string]*evidence.Link{"payments": {Name: "payments", To: "payments"}, "other": nil},
	}
	for i := range rng.IntN(300) {
		run.Samples = append(run.Samples, load.Sample{
			ID: uint64(rng.IntN(200)), Route: rng.IntN(4), Intended: time.Duration(i) * 10 * time.Millisecond,
			Sent: at(), Done: at(), Status: rng.IntN(600), Outcome: load.Outcome(rng.IntN(load.Outcomes)),
		})
	}
	methods := []string{"", "GET", "POST", "PATCH"}
	for i := range rng.IntN(600) {
		run.Links["payments"].Exchanges = append(run.Links["payments"].Exchanges, evidence.Exchange{
			Seq: uint64(rng.IntN(50)), ID: uint64(rng.IntN(200)), Conn: uint64(rng.IntN(9)),
			Begin: time.Duration(i) * 5 * time.Millisecond, End: at(), Method: methods[rng.IntN(4)],
			Status: rng.IntN(700) - 50, Ending: evidence.Ending(rng.IntN(7)), InFlight: rng.Int32N(9), Faults: rng.Uint64(),
			Key: uint64(rng.IntN(3)), Payload: uint64(rng.IntN(3)), Extras: &evidence.Extras{RetryAfter: at()},
		})
	}
	kinds := []string{"errors", "latency", "partition", "reset", "hang", "drop_response", "truncate", "corrupt", "slow_body", "duplicate", "restart", "pause", "?"}
	for i := range rng.IntN(5) {
		run.Faults = append(run.Faults, evidence.Injection{Index: i * 40, Kind: kinds[rng.IntN(7)], On: "payments", Injected: at(), Healed: at()})
	}
	for i := range rng.IntN(6) {
		run.Ticks = append(run.Ticks, evidence.Tick{At: time.Duration(i) * time.Second, LateP99: evidence.Seconds(at()), HiccupMax: evidence.Seconds(at())})
	}
	return run
}

// TestJudgingIsPure: the same evidence gives the same verdict, and judging
// leaves the evidence as it was.
func TestJudgingIsPure(t *testing.T) {
	for seed, s := range []simulation{retrying(), backingOff(), bulkheaded()} {
		s.seed = uint64(seed)
		run, copied := s.run(), s.run()
		for _, c := range callClaims() {
			first, second := c.Judge(run), c.Judge(run)
			if diff := cmp.Diff(first, second); diff != "" {
				t.Errorf("seed %d: %s is judged differently the second time:\n%s", seed, c, diff)
			}
			if diff := cmp.Diff(copied, run, cmpopts.IgnoreUnexported(evidence.Run{}, evidence.Link{})); diff != "" {
				t.Fatalf("seed %d: %s changed the evidence:\n%s", seed, c, diff)
			}
		}
	}
}

// TestCutRuns: a run that was cut before its faults were over proves what it
// saw, but nothing has held.
func TestCutRuns(t *testing.T) {
	cut := func(s simulation) *evidence.Run {
		s.seed = 1
		run := s.run()
		last := &run.Faults[len(run.Faults)-1]
		last.Injected, last.Healed = -1, -1
		end := last.At.Duration() - 500*time.Millisecond
		run.Partial, run.End = true, s.total
		link := run.Links["payments"]
		link.Exchanges = link.Window(0, end)
		run.Samples = run.Window(0, end)
		return run
	}
	bad := retrying()
	bad.posts = true
	hanging := bulkheaded()
	hanging.limit = 30
	for _, row := range []struct {
		name string
		run  *evidence.Run
		c    Claim
		want Ruling
	}{
		{"retry, sound", cut(retrying()), retryClaim(), Inconclusive},
		{"retry, flawed", cut(bad), retryClaim(), Refuted},
		{"bulkhead, sound", cut(bulkheaded()), Bulkhead{Link: "payments", Route: "pay", Limit: 20}, Inconclusive},
		{"bulkhead, flawed", cut(hanging), Bulkhead{Link: "payments", Route: "pay", Limit: 20}, Refuted},
	} {
		if got := row.c.Judge(row.run); got.Ruling != row.want {
			t.Errorf("%s: %s, want %s: %s", row.name, got.Ruling, row.want, got.Reason)
		}
	}
}

// TestLostEvidence: with records missing, counts are only lower bounds.
func TestLostEvidence(t *testing.T) {
	for _, s := range []simulation{retrying(), backingOff(), bulkheaded()} {
		run := s.run()
		run.Lost = map[string]uint64{"payments.csv": 2}
		for _, c := range callClaims() {
			if got := c.Judge(run); got.Ruling != Inconclusive {
				t.Errorf("%s: %s on lossy evidence: %s", c, got.Ruling, got.Reason)
			}
		}
	}
}
