package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// The requests of a chain have ids of their own, as they travel: none is taken
// for a repetition of another, though all call the dependency alike. What is
// repeated under one id is.
func TestStepsAreNoRetries(t *testing.T) {
	run := &evidence.Run{Routes: []string{"buy"}}
	link := &evidence.Link{Name: "pay"}
	for step, times := range []int{1, 2, 1} {
		seq, ok := wire.ParseID(wire.AppendID(nil, wire.ID{Run: 9, Seq: wire.SeqOf(7, step)}), 9)
		if !ok {
			t.Fatal("it cannot be read")
		}
		run.Samples = append(run.Samples, load.Sample{ID: seq, Step: step, Status: 200})
		for range times {
			at := time.Duration(len(link.Exchanges)) * time.Second
			link.Exchanges = append(link.Exchanges, evidence.Exchange{ID: seq, Method: "GET", Path: "/pay", Status: 503, Begin: at, End: at + time.Millisecond, Ending: evidence.Answered})
		}
	}
	calls, anonymous := callsOf(run, link, "buy", time.Millisecond)
	if calls.len() != 3 || anonymous != 0 {
		t.Fatalf("%d calls and %d without an id, want 3 and none", calls.len(), anonymous)
	}
	for step, want := range []int{1, 2, 1} {
		call := calls.get(step)
		if got := len(call.attempts); got != want || wire.ArrivalOf(call.id()) != 7 {
			t.Errorf("step %d: %d attempts under %x, want %d of arrival 7", step, got, call.id(), want)
		}
	}
}

// An answer that the link passed on whole is no success for a caller that gave
// up while it came, nor for one that found it spoilt, and need not be one where
// a fault made it up: 200 and a body that says what went wrong.
func TestAnswersThatWereOfNoUse(t *testing.T) {
	for _, row := range []struct {
		name   string
		took   time.Duration // callers wait for 300 ms
		faults uint64        // bit 0 is the errors, bit 1 the partition, bit 3 the corruption
		ending evidence.Ending
		want   Ruling
		reason string
	}{
		{"as its caller gave up", 299 * time.Millisecond, 1 << 1, evidence.Answered, Held, "1 attempt was repeated after or before an answer that came as its caller gave up"},
		{"long before that", 150 * time.Millisecond, 1 << 1, evidence.Answered, Refuted, "repeated after a success"},
		{"late by no fault", 299 * time.Millisecond, 0, evidence.Answered, Refuted, "repeated after a success"},
		{"spoilt", 5 * time.Millisecond, 1 << 3, evidence.Answered, Held, "or that a fault had spoilt"},
		{"spoilt by nothing", 5 * time.Millisecond, 0, evidence.Answered, Refuted, "repeated after a success"},
		{"made up", 5 * time.Millisecond, 1 << 0, evidence.Injected, Held, "spoilt or made up"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := retrying()
			s.seed = 1
			run := s.run()
			run.Faults = append(run.Faults, evidence.Injection{Index: 3, Kind: "corrupt", On: "payments", Share: 1, Injected: 4 * time.Second, Healed: 5 * time.Second})
			link := run.Links["payments"]
			id := uint64(0)
			for i, x := range link.Exchanges {
				if x.Begin > 4500*time.Millisecond && x.Ending == evidence.CallerGone && x.Method == "GET" {
					x.Ending, x.Status, x.End, x.Faults = row.ending, 200, x.Begin+row.took, row.faults
					link.Exchanges[i], id = x, x.ID
					break
				}
			}
			if id == 0 {
				t.Fatal("no caller gave up")
			}
			run.Links["spare"] = &evidence.Link{Name: "spare", To: "another"}
			for _, links := range []Links{{"payments"}, {"payments", "spare"}} {
				claim := retryClaim()
				claim.Link = links
				if got := claim.Judge(run); got.Ruling != row.want || !strings.Contains(got.Reason, row.reason) {
					t.Errorf("call %d over %s: %s: %s\nwant %s with %q", id, links, got.Ruling, got.Reason, row.want, row.reason)
				}
			}
		})
	}
}

// What a request's second delivery makes its receiver do is no retry of what the
// first made it do: neither where a fault delivered it twice, nor where its
// caller repeated it.
func TestDeliveredTwiceIsNotRetried(t *testing.T) {
	for _, row := range []struct {
		name      string
		before    bool // the link before is there
		duplicate bool // a fault on it delivered the request twice
		again     bool // its caller repeated the request
		want      Ruling
		reason    string
	}{
		{"by a fault", true, true, false, Held, "1 call is left out"},
		{"by its caller", true, false, true, Held, "1 call is left out"},
		{"once", true, false, false, Refuted, "after a success"},
		{"by nobody who is seen", false, false, false, Refuted, "after a success"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := retrying()
			s.seed = 1
			run := s.run()
			run.Faults = append(run.Faults, evidence.Injection{Index: 3, Kind: "duplicate", On: "front", Share: 1, Injected: time.Second, Healed: 2 * time.Second})
			link := run.Links["payments"]
			link.From = "shop"
			front := &evidence.Link{Name: "front", From: "edge", To: "shop"}
			again := uint64(0) // the request whose call is made once more
			known := map[uint64]bool{}
			for i, x := range link.Exchanges {
				if again == 0 && x.Begin > time.Second && x.Method == "GET" {
					again = x.ID
					second := x
					second.Begin, second.End = x.End, x.End+time.Millisecond
					link.Exchanges = slices.Insert(link.Exchanges, i+1, second)
					break
				}
			}
			for _, x := range link.Exchanges {
				if known[x.ID] {
					continue
				}
				known[x.ID] = true
				x = evidence.Exchange{ID: x.ID, Begin: x.Begin, End: x.End, Status: 200}
				if x.ID == again && row.duplicate {
					x.Faults = 1 << 3
				}
				front.Exchanges = append(front.Exchanges, x)
				if x.ID == again && row.again {
					front.Exchanges = append(front.Exchanges, x)
				}
			}
			if row.before {
				run.Links["front"] = front
			}
			if got := retryClaim().Judge(run); got.Ruling != row.want || !strings.Contains(got.Reason, row.reason) {
				t.Errorf("%s: %s\nwant %s with %q", got.Ruling, got.Reason, row.want, row.reason)
			}
		})
	}
}
