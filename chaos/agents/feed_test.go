package agents

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

func drawSample(t *rapid.T, steps []int) load.Sample {
	at := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, name))
	}
	s := load.Sample{ID: rapid.Uint64().Draw(t, "id"), Route: rapid.IntRange(0, len(steps)-1).Draw(t, "route"), Intended: at("intended"),
		Late: at("late"), Received: rapid.Int64Range(0, 1<<40).Draw(t, "received"), Status: rapid.IntRange(0, 999).Draw(t, "status"),
		Outcome: load.Outcome(rapid.IntRange(0, load.Outcomes-1).Draw(t, "outcome")), Skipped: rapid.Bool().Draw(t, "skipped")}
	s.Step = rapid.IntRange(0, steps[s.Route]).Draw(t, "step")
	s.Done = s.Intended + at("done")
	if s.Outcome != load.Unsent {
		s.Sent = s.Intended + at("sent")
	}
	return s
}

// What is handed over comes as it was, and what a run makes of the samples of several
// agents is bit for bit what one process makes of them.
func TestHandedOverIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := []int{0, 2, 1}
		agents := rapid.IntRange(1, 5).Draw(t, "agents")
		one, many := load.NewTally(len(steps), 1), load.NewTally(len(steps), agents)
		for range rapid.IntRange(1, 4).Draw(t, "frames") {
			var frame []byte
			var sent []load.Sample
			for range rapid.IntRange(0, 20).Draw(t, "samples") {
				s := drawSample(t, steps)
				sent, frame = append(sent, s), appendSample(frame, &s)
				one.Observe(0, s)
			}
			got, err := readSamples(frame, steps)
			if err != nil || len(got) != len(sent) {
				t.Fatalf("%d samples of %d: %v", len(got), len(sent), err)
			}
			shard := rapid.IntRange(0, agents-1).Draw(t, "agent")
			for i := range got {
				if got[i] != sent[i] {
					t.Fatalf("sent %+v\ngot  %+v", sent[i], got[i])
				}
				many.Observe(shard, got[i])
			}
		}
		one.Interval()
		many.Interval()
		a, b := one.Total(), many.Total()
		for i := range steps {
			same(t, a.Times.Response[i], b.Times.Response[i])
			same(t, a.Times.Service[i], b.Times.Service[i])
			if a.Outcomes[i] != b.Outcomes[i] {
				t.Fatalf("outcomes of route %d: %v and %v", i, a.Outcomes[i], b.Outcomes[i])
			}
		}
		same(t, a.Times.Lag, b.Times.Lag)
		same(t, a.Times.Late, b.Times.Late)
		if a.Received != b.Received {
			t.Fatalf("%d bytes and %d", a.Received, b.Received)
		}
	})
}

// same compares histograms by what a log of them has: every count.
func same(t *rapid.T, a, b *hist.Histogram) {
	if x, y := logOf(t, a), logOf(t, b); x != y {
		t.Fatalf("histograms differ:\n%s\n%s", x, y)
	}
}

// What is no frame of the plan is refused, and nothing else happens, whatever it is.
func FuzzReadSamples(f *testing.F) {
	s := load.Sample{ID: 7, Route: 1, Intended: time.Second, Sent: time.Second + 1, Done: 2 * time.Second, Status: 200}
	f.Add(appendSample(nil, &s))
	f.Add([]byte{0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, frame []byte) {
		list, err := readSamples(frame, []int{0, 2})
		if err != nil {
			return
		}
		for _, s := range list {
			if s.Route > 1 || s.Step > 2 || s.Outcome > load.Unsent || s.Status > 999 {
				t.Errorf("%+v is of no such plan", s)
			}
		}
	})
}
