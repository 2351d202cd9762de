package agents

import (
	"slices"
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

// What is handed over comes as it was, and what a run makes of the samples and the counts
// of several agents is bit for bit what one process makes of them.
func TestHandedOverIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		routes := []load.Route{{}, {Then: make([]load.Step, 2)}, {Then: make([]load.Step, 1)}}
		steps, first := []int{0, 2, 1}, []int{0, 1, 4}
		row, rows := rowsOf(routes)
		if !slices.Equal(row, first) || rows != 6 {
			t.Fatalf("rows %v of %d", row, rows)
		}
		agents := rapid.IntRange(1, 5).Draw(t, "agents")
		one, many := load.NewTally(rows, 1), load.NewTally(rows, agents)
		own := make([]*load.Tally, agents)
		for i := range own {
			own[i] = load.NewTally(rows, 1)
		}
		var pack packer
		var unpack unpacker
		for range rapid.IntRange(1, 4).Draw(t, "frames") {
			var sent []load.Sample
			shard := rapid.IntRange(0, agents-1).Draw(t, "agent")
			for range rapid.IntRange(1, 20).Draw(t, "samples") {
				s := drawSample(t, steps)
				sent = append(sent, s)
				pack.add(&s)
				s.Route = row[s.Route] + s.Step
				one.Observe(0, s)
				own[shard].Observe(0, s)
			}
			block := pack.block(nil)
			if n, _, _, err := blockHead(block); n != len(sent) || err != nil {
				t.Fatalf("it says %d samples of %d: %v", n, len(sent), err)
			}
			got, err := unpack.samples(block, steps)
			if err != nil || !slices.Equal(got, sent) {
				t.Fatalf("sent %+v\ngot  %+v, %v", sent, got, err)
			}
			c, err := readCounts(appendCounts(nil, counts{rest: own[shard].Delta()}), rows)
			if err != nil || c.warm != nil {
				t.Fatalf("counts: %v, %v", c.warm, err)
			}
			many.Add(shard, c.rest)
			if rapid.Bool().Draw(t, "a second ends") {
				many.Delta()
			}
		}
		one.Delta()
		many.Delta()
		a, b := one.Total(), many.Total()
		for i := range rows {
			same(t, a.Times.Response[i], b.Times.Response[i])
			same(t, a.Times.Service[i], b.Times.Service[i])
			if a.Outcomes[i] != b.Outcomes[i] {
				t.Fatalf("outcomes of route %d: %v and %v", i, a.Outcomes[i], b.Outcomes[i])
			}
		}
		same(t, a.Times.Lag, b.Times.Lag)
		same(t, a.Times.Late, b.Times.Late)
		if a.Received != b.Received || !slices.Equal(a.Statuses, b.Statuses) {
			t.Fatalf("%d bytes and %d, statuses %v and %v", a.Received, b.Received, a.Statuses, b.Statuses)
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
		list, err := readSamples(nil, frame, []int{0, 2})
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

// So is what is no block and what counts nothing, whatever it is.
func FuzzReadFrames(f *testing.F) {
	s := load.Sample{ID: 7, Route: 1, Intended: time.Second, Sent: time.Second + 1, Done: 2 * time.Second, Status: 200}
	var pack packer
	pack.add(&s)
	f.Add(pack.block(nil))
	tally := load.NewTally(6, 1)
	tally.Observe(0, s)
	f.Add(appendCounts(nil, counts{rest: tally.Delta()}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var unpack unpacker
		if list, err := unpack.samples(frame, []int{0, 2, 1}); err == nil && len(list) > mostSamples {
			t.Errorf("%d samples", len(list))
		}
		c, err := readCounts(frame, 6)
		if err != nil {
			return
		}
		for _, i := range []*load.Counts{c.warm, c.rest} {
			if i != nil && (len(i.Outcomes) != 6 || i.Received < 0) {
				t.Errorf("%+v", i)
			}
		}
	})
}
