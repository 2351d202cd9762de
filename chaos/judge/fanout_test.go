package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// chatty is a run of pages: route page10 asks for 10 items, page40 for 40, each 100
// times. Of calls each makes fixed ones and perItem for each item, in rows of so many
// at a time.
type chatty struct {
	fixed, perItem int
	abreast        int  // calls side by side; 0 is 1
	same           bool // all calls are for one path
	odd            int  // requests that make one call more, from the first
	nameless       int  // calls without an id
	fault          bool // in force from the middle on
}

func (c chatty) run() *evidence.Run {
	link := &evidence.Link{Name: "payments", From: "checkout", To: "payments"}
	run := &evidence.Run{Routes: []string{"page10", "page40"}, Links: map[string]*evidence.Link{"payments": link}, End: 20 * time.Second}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	if c.fault {
		run.Faults = []evidence.Injection{{On: "payments", Injected: 10 * time.Second, Healed: 11 * time.Second}}
	}
	abreast := max(1, c.abreast)
	for n := range 200 {
		at := time.Duration(n) * 100 * time.Millisecond
		sample := load.Sample{ID: uint64(n + 1), Route: n % 2, Intended: at, Sent: at, Done: at + time.Millisecond, Status: 200}
		calls := c.fixed + c.perItem*[]int{10, 40}[n%2]
		if n < c.odd {
			calls++
		}
		for k := range calls {
			begin := at + time.Duration(k/abreast)*2*time.Millisecond + time.Duration(k%abreast)*time.Microsecond
			x := evidence.Exchange{ID: sample.ID, Begin: begin, End: begin + time.Millisecond, Status: 200, Method: "GET", Path: "/" + strings.Repeat("x", k)}
			if c.same {
				x.Path = "/item"
			}
			link.Exchanges = append(link.Exchanges, x)
			sample.Done = x.End + time.Millisecond
		}
		run.Samples = append(run.Samples, sample)
	}
	for k := range c.nameless {
		link.Exchanges[k].ID = 0
	}
	return run
}

var items = map[string]int{"page10": 10, "page40": 40}

func TestFanout(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   chatty
		claim Fanout
		want  Ruling
		says  string
	}{
		{"12 calls", chatty{fixed: 12}, Fanout{Calls: 12}, Held, "a request made 12 calls"},
		{"one more than claimed", chatty{fixed: 12}, Fanout{Calls: 11}, Refuted, "100 of 100 requests made more"},
		{"one request of a hundred makes one more", chatty{fixed: 12, odd: 1}, Fanout{Calls: 12}, Refuted, "1 of 100 requests made more, the one with most 13 calls"},
		{"far from the bound", chatty{fixed: 3}, Fanout{Calls: 12}, Held, "(at most 12 claimed)"},
		{"one after another", chatty{fixed: 6}, Fanout{Depth: 6}, Held, "6 calls followed one another"},
		{"deeper than claimed", chatty{fixed: 6}, Fanout{Depth: 5}, Refuted, "at most 5 claimed"},
		{"side by side", chatty{fixed: 12, abreast: 4}, Fanout{Depth: 3}, Held, "3 calls followed one another"},
		{"side by side, and less claimed", chatty{fixed: 12, abreast: 4}, Fanout{Depth: 2}, Refuted, "3 calls"},
		{"repeated", chatty{fixed: 4, same: true}, Fanout{Repeats: 3}, Refuted, "the same call was made 4 times"},
		{"repeated as often as claimed", chatty{fixed: 4, same: true}, Fanout{Repeats: 4}, Held, ""},
		{"each for itself", chatty{fixed: 4}, Fanout{Repeats: 1}, Held, ""},
		{"N+1", chatty{fixed: 2, perItem: 1}, Fanout{Growth: 0.1, Of: items}, Refuted, "calls grow by 1 for each item more, from 10 items to 40"},
		{"N+1, as claimed", chatty{fixed: 2, perItem: 1}, Fanout{Growth: 1, Of: items}, Held, ""},
		{"N+1, a tenth less claimed", chatty{fixed: 2, perItem: 1}, Fanout{Growth: 0.9, Of: items}, Refuted, ""},
		{"no growth", chatty{fixed: 7}, Fanout{Growth: 0.1, Of: items}, Held, ""},
		{"too few before the fault", chatty{fixed: 7, fault: true}, Fanout{Calls: 7}, Inconclusive, "only 50 requests of \"page10\" ended well before the first fault"},
		{"a call without an id", chatty{fixed: 3, nameless: 1}, Fanout{Calls: 3}, Inconclusive, "hidden by 1 call without a request's id"},
		{"a call without an id, refuted all the same", chatty{fixed: 3, nameless: 1}, Fanout{Calls: 2}, Refuted, ""},
		{"no call has an id", chatty{fixed: 1, nameless: 200}, Fanout{Calls: 3}, Inconclusive, "X-Request-Id"},
		{"no call at all", chatty{}, Fanout{Calls: 3}, Held, "0 calls"},
	} {
		c.claim.Route = "page10"
		v := c.claim.Judge(c.run.run())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// Each number declared false, to the side that makes it false, is refuted: they are
// counts, which no noise blurs.
func TestFanoutIsNotHeldByALie(t *testing.T) {
	run := chatty{fixed: 5, perItem: 1}.run()
	for calls := 1; calls <= 20; calls++ {
		for name, c := range map[string]Fanout{
			"calls":  {Route: "page10", Calls: calls},
			"depth":  {Route: "page10", Depth: calls},
			"growth": {Route: "page10", Growth: float64(calls) / 15, Of: items},
		} {
			truth := map[string]bool{"calls": calls >= 15, "depth": calls >= 15, "growth": calls >= 15}[name]
			if v := c.Judge(run); (v.Ruling == Held) != truth || v.Ruling == Inconclusive {
				t.Errorf("%s of %d: %v, %s", name, calls, v.Ruling, v.Reason)
			}
		}
	}
}
