package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// booking is a run of n requests, 1,000 a second, that gateway sends to orders over the link orders, and that
// orders books in its ledger over the link ledger. From a quarter of the run to its half a fault delivers
// each of them twice to orders.
type booking struct {
	n       int
	again   bool                                                                       // orders books what is delivered twice twice
	keys    bool                                                                       // each carries an Idempotency-Key
	changes func(i int, s *load.Sample, calls []evidence.Exchange) []evidence.Exchange // of one request, from 0: what it came to, and its calls over ledger
}

func (b booking) run() *evidence.Run {
	length := time.Duration(b.n) * ms
	front := &evidence.Link{Name: "orders", From: "gateway", To: "orders"}
	books := &evidence.Link{Name: "ledger", From: "orders", To: "bank"}
	run := &evidence.Run{Routes: []string{"order", "look"}, End: length + 2*time.Second, Links: map[string]*evidence.Link{"orders": front, "ledger": books},
		Faults: []evidence.Injection{{Name: "duplicate on orders", Kind: "duplicate", On: "orders", Injected: length / 4, Healed: length / 2},
			{Index: 1, Name: "errors on ledger", Kind: "errors", On: "ledger", Statuses: []int{503}, Injected: 0, Healed: length}}}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	for i := range b.n {
		at := time.Duration(i) * ms
		s := load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + 9*ms, Status: 200}
		x := evidence.Exchange{ID: s.ID, Begin: at + ms, End: at + 8*ms, Method: "POST", Path: "/order", Status: 200}
		if b.keys {
			x.Key = uint64(1000000 + i)
		}
		call := x
		call.Begin, call.End, call.Path = at+2*ms, at+3*ms, "/book"
		calls := []evidence.Exchange{call}
		if at >= length/4 && at < length/2 {
			x.Faults = 1
			if b.again {
				calls = append(calls, call)
			}
		}
		if b.changes != nil {
			calls = b.changes(i, &s, calls)
		}
		front.Exchanges, books.Exchanges, run.Samples = append(front.Exchanges, x), append(books.Exchanges, calls...), append(run.Samples, s)
	}
	slices.SortStableFunc(books.Exchanges, func(a, b evidence.Exchange) int { return int(a.Begin - b.Begin) })
	return run
}

// at changes one request.
func at1(i int, change func(s *load.Sample, calls []evidence.Exchange) []evidence.Exchange) func(int, *load.Sample, []evidence.Exchange) []evidence.Exchange {
	return func(k int, s *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
		if k == i {
			return change(s, calls)
		}
		return calls
	}
}

var once1 = Effects{At: Links{"ledger"}, Route: "order"}

func TestEffects(t *testing.T) {
	timedOut := func(s *load.Sample) { s.Outcome, s.Status = load.TimedOut, 0 }
	for _, c := range []struct {
		name  string
		run   booking
		claim Effects
		want  Ruling
		says  string
	}{
		{"each once", booking{n: 1000}, once1, Held, "none of 1000 requests had more than 1 effect, 250 of which were delivered twice, or answered in vain: at most 1.2% of such have more"},
		{"each once, where it is named how they came", booking{n: 1000}, Effects{At: Links{"ledger"}, Route: "order", Delivered: Links{"orders"}},
			Held, "250 of which were delivered twice"},
		{"what is delivered twice is booked twice", booking{n: 1000, again: true}, once1, Refuted, "250 of 1000 requests had too many effects, the one with most 2"},
		{"one of all, which no fault hit", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			return append(calls, calls[0])
		})}, once1, Refuted, "1 of 1000 requests had too many"},
		{"one was acknowledged, and not booked", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			return nil
		})}, once1, Refuted, "1 of 1000 requests acknowledged had too few effects"},
		{"one that may have been done was not", booking{n: 1000, changes: at1(900, func(s *load.Sample, _ []evidence.Exchange) []evidence.Exchange {
			timedOut(s)
			return nil
		})}, once1, Held, "999 requests acknowledged, and each had 1 effect at least"},
		{"one that may have been done was done twice", booking{n: 1000, changes: at1(900, func(s *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			timedOut(s)
			return append(calls, calls[0])
		})}, once1, Refuted, "1 of 1000 requests had too many"},
		{"one was refused, and booked", booking{n: 1000, changes: at1(900, func(s *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			s.Outcome, s.Status = load.Refused, 0
			return calls
		})}, once1, Refuted, "1 of 1 request that surely failed took effect all the same"},
		{"one was promised not to be done, and was", booking{n: 1000, changes: at1(900, func(s *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			s.Outcome, s.Status = load.ClientError, 409
			return calls
		})}, Effects{At: Links{"ledger"}, Route: "order", NotDone: []int{409}}, Refuted, "took effect all the same"},
		{"the same without the promise", booking{n: 1000, changes: at1(900, func(s *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			s.Outcome, s.Status = load.ClientError, 409
			return calls
		})}, once1, Held, ""},
		{"a call whose answer a fault dropped took effect", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			again := calls[0]
			calls[0].Status, calls[0].Own, calls[0].Ending = 0, 200, evidence.Broken
			return append(calls, again)
		})}, once1, Refuted, "1 of 1000 requests had too many"},
		{"a call that a fault answered had no effect", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			again := calls[0]
			calls[0].Status, calls[0].Ending, calls[0].Faults = 503, evidence.Injected, 2
			return append(calls, again)
		})}, once1, Held, ""},
		{"a call that a fault answered once it had come may have had one", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			again := calls[0]
			calls[0].Status, calls[0].Ending = 503, evidence.Injected // by a fault that came while it was in progress
			return append(calls, again)
		})}, once1, Inconclusive, "1 call of which it is not known"},
		{"a call without an answer may have had one", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			again := calls[0]
			calls[0].Status, calls[0].Ending = 0, evidence.CallerGone
			return append(calls, again)
		})}, once1, Inconclusive, "hidden by 1 call of which it is not known whether it had an effect"},
		{"a read has none", booking{n: 1000, changes: func(_ int, _ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			read := calls[0]
			read.Method = "GET"
			return append(calls, read)
		}}, once1, Held, ""},
		{"another path does not count", booking{n: 1000, changes: func(_ int, _ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			other := calls[0]
			other.Path = "/reserve"
			return append(calls, other)
		}}, Effects{At: Links{"ledger"}, Route: "order", Path: "/book"}, Held, ""},
		{"one key, and the ledger may know it", booking{n: 1000, again: true, keys: true}, once1, Inconclusive, "with the key of one before"},
		{"one key, and the ledger does not know it", booking{n: 1000, again: true, keys: true}, Effects{At: Links{"ledger"}, Route: "order", Keys: "ignored"}, Refuted, "250 of 1000"},
		{"one key, and the ledger knows it", booking{n: 1000, again: true, keys: true}, Effects{At: Links{"ledger"}, Route: "order", Keys: "honoured"}, Held, ""},
		{"per key", booking{n: 1000, keys: true}, Effects{At: Links{"ledger"}, Route: "order", Per: "key", Keys: "ignored"}, Held, "none of 1000 keys"},
		{"per key, booked twice", booking{n: 1000, again: true, keys: true}, Effects{At: Links{"ledger"}, Route: "order", Per: "key", Keys: "ignored"}, Refuted, "250 of 1000 keys"},
		{"per key, and there are none", booking{n: 1000}, Effects{At: Links{"ledger"}, Route: "order", Per: "key"}, Inconclusive, "Idempotency-Key"},
		{"a call without an id", booking{n: 1000, changes: at1(900, func(_ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			nameless := calls[0]
			nameless.ID = 0
			return append(calls, nameless)
		})}, once1, Inconclusive, "that may be anybody's"},
		{"no call has an id", booking{n: 1000, changes: func(_ int, _ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			calls[0].ID = 0
			return calls
		}}, once1, Inconclusive, "X-Request-Id"},
		{"too few were delivered twice", booking{n: 76}, once1, Inconclusive, "only 19 requests were delivered twice"},
	} {
		v := c.claim.Judge(c.run.run())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// One effect twice in 100,000 is found and named, wherever it is.
func TestEffectsFindsOneInAHundredThousand(t *testing.T) {
	const n = 100_000
	run := booking{n: n}.run()
	books := run.Links["ledger"]
	if v := once1.Judge(run); v.Ruling != Held {
		t.Fatalf("each once: %v: %s", v.Ruling, v.Reason)
	}
	for _, i := range []int{0, 1, n / 2, n - 1} {
		whole := books.Exchanges
		books.Exchanges = slices.Insert(slices.Clone(whole), i, whole[i])
		v := once1.Judge(run)
		if v.Ruling != Refuted || !slices.Equal(v.IDs, []uint64{uint64(i + 1)}) {
			t.Errorf("request %d twice: %v, ids %v: %s", i+1, v.Ruling, v.IDs, v.Reason)
		}
		books.Exchanges = slices.Delete(slices.Clone(whole), i, i+1)
		if v := once1.Judge(run); v.Ruling == Held || v.Ruling == Refuted && !slices.Equal(v.IDs, []uint64{uint64(i + 1)}) {
			t.Errorf("request %d not at all: %v, ids %v: %s", i+1, v.Ruling, v.IDs, v.Reason)
		}
		books.Exchanges = whole
	}
}

// Each number but the true one is refuted: counts are exact.
func TestEffectsIsNotHeldByALie(t *testing.T) {
	run := booking{n: 1000, changes: func(_ int, _ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
		return append(calls, calls[0]) // two effects of each
	}}.run()
	for exactly := 1; exactly <= 5; exactly++ {
		c := once1
		c.Exactly = exactly
		if v := c.Judge(run); (v.Ruling == Held) != (exactly == 2) || v.Ruling == Inconclusive {
			t.Errorf("exactly %d of 2: %v: %s", exactly, v.Ruling, v.Reason)
		}
	}
}

// A dropped answer puts the system to the test on the very link that the effects are seen on.
func TestEffectsOfDroppedAnswers(t *testing.T) {
	dropped := func(repeats bool) *evidence.Run {
		run := booking{n: 1000, changes: func(i int, s *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
			if i >= 100 && i < 150 {
				again := calls[0]
				calls[0].Status, calls[0].Own, calls[0].Ending, calls[0].Faults = 0, 200, evidence.Broken, 1
				if repeats {
					return append(calls, again)
				}
				s.Outcome, s.Status = load.ServerError, 502
			}
			return calls
		}}.run()
		run.Faults[0] = evidence.Injection{Name: "drop_response on ledger", Kind: "drop_response", On: "ledger", Injected: 100 * ms, Healed: 150 * ms}
		for i := range run.Links["orders"].Exchanges {
			run.Links["orders"].Exchanges[i].Faults = 0
		}
		return run
	}
	if v := once1.Judge(dropped(false)); v.Ruling != Held || !strings.Contains(v.Reason, "50 of which were") {
		t.Errorf("not repeated: %v: %s", v.Ruling, v.Reason)
	}
	if v := once1.Judge(dropped(true)); v.Ruling != Refuted || v.IDs[0] != 101 {
		t.Errorf("repeated: %v, ids %v: %s", v.Ruling, v.IDs, v.Reason)
	}
}
