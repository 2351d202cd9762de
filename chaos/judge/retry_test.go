package judge

import (
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// seeds is how many runs of each case are judged, each with its own seed.
var seeds = flag.Uint64("seeds", 5, "simulated runs of each case that are judged, on a quiet and on a busy host")

// rules judges many simulated runs of one case, quiet and busy. On a quiet
// host the ruling must be want, every time. On a busy one it may also be
// inconclusive; the other two never stand in for one another.
func rules(t *testing.T, s simulation, c Claim, want Ruling, reason string) {
	t.Helper()
	for _, busy := range []bool{false, true} {
		host := map[bool]string{false: "quiet", true: "busy"}[busy]
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			unsure := 0
			for seed := uint64(1); seed <= *seeds; seed++ {
				s := s
				s.seed, s.busy = seed, busy
				got := c.Judge(s.run())
				if busy && got.Ruling == Inconclusive && want != Inconclusive {
					unsure++
					if testing.Verbose() && unsure == 1 {
						t.Logf("seed %d: inconclusive: %s", seed, got.Reason)
					}
					continue
				}
				if got.Ruling != want || !strings.Contains(got.Reason, reason) {
					t.Fatalf("seed %d: %s, want %s with %q in the reason\n%s\n%s", seed, got.Ruling, want, reason, got.Reason, numbers(got))
				}
				if got.Ruling == Refuted && len(got.IDs) == 0 {
					t.Fatalf("seed %d: refuted without an id that proves it: %s", seed, got.Reason)
				}
				if seed == 1 {
					t.Logf("%s: %s", got.Ruling, got.Reason)
				}
			}
			t.Logf("%d of %d inconclusive", unsure, *seeds)
		})
	}
}

func numbers(v Verdict) string {
	var b strings.Builder
	for _, n := range v.Numbers {
		fmt.Fprintf(&b, "%s %.4g\n", n.Name, n.Value)
	}
	return b.String()
}

// retrying is a system that retries as the claim of these tests says it does.
func retrying() simulation {
	return simulation{
		rate: 200, total: 8 * time.Second, service: 5 * time.Millisecond,
		timeout: 300 * time.Millisecond, deadline: 5 * time.Second,
		routes: []simRoute{
			{name: "pay", weight: 4},
			{name: "order", method: "POST"},
			{name: "charge", method: "POST", keyed: true},
			{name: "browse", local: true},
		},
		faults: []simFault{
			{kind: "errors", at: 2 * time.Second, span: time.Second, statuses: []int{503, 503, 503, 429, 400, 404}},
			{kind: "partition", at: 4 * time.Second, span: time.Second},
			{kind: "reset", at: 6 * time.Second, span: 500 * time.Millisecond},
		},
		attempts: 4, wait: doubling(50*time.Millisecond, 0.5), pool: true,
	}
}

func retryClaim() Retry {
	return Retry{Link: Links{"payments"}, Attempts: 4, Never: []int{400, 404}, Amplification: 8}
}

func TestRetryRules(t *testing.T) {
	after := func(statuses ...int) func(int) bool {
		return func(status int) bool {
			for _, s := range statuses {
				if s == status {
					return true
				}
			}
			return false
		}
	}
	for _, row := range []struct {
		name   string
		change func(*simulation, *Retry)
		want   Ruling
		reason string
	}{
		{"sound", func(*simulation, *Retry) {}, Held, "POST or PATCH calls without an Idempotency-Key were repeated"},
		{"sound, one route", func(_ *simulation, c *Retry) { c.Route = "pay" }, Held, "none was retried after 400"},
		{"sound, POST may be repeated and is", func(s *simulation, c *Retry) { s.posts, c.Unkeyed = true, true }, Held, "were"},
		{"unbounded", func(s *simulation, _ *Retry) { s.attempts = 50 }, Refuted, "more than 4 attempts"},
		{"one too many", func(s *simulation, _ *Retry) { s.attempts = 5 }, Refuted, "more than 4 attempts, up to 5"},
		{"retries 400", func(s *simulation, _ *Retry) { s.retries = after(0, 400, 429, 503) }, Refuted, "retried after 400"},
		{"retries 500, which nobody mentioned", func(s *simulation, _ *Retry) {
			s.faults[0].statuses = []int{500, 503, 503, 503, 400, 404}
			s.retries = after(0, 500, 503)
		}, Refuted, "retried after 500"},
		{"retries successes", func(s *simulation, _ *Retry) {
			s.faults[0].statuses = append(s.faults[0].statuses, 201)
			s.retries = after(0, 201, 429, 503)
		}, Refuted, "after a success"},
		{"retries POST", func(s *simulation, _ *Retry) { s.posts = true }, Refuted, "without an Idempotency-Key were repeated"},
		{"a new key for each attempt", func(s *simulation, _ *Retry) { s.rekey = true }, Refuted, "under another Idempotency-Key"},
		{"amplifies", func(_ *simulation, c *Retry) { c.Amplification = 1.5 }, Refuted, "calls per request while a fault was in force, at most 1.5"},
		{"one more at once after a break, which may be the library's", func(s *simulation, _ *Retry) { s.eager = true }, Inconclusive, "or the policy's"},
		{"retries nothing", func(s *simulation, _ *Retry) { s.attempts = 1 }, Inconclusive, "was retried"},
		{"unbounded, but never put to the test", func(s *simulation, c *Retry) {
			s.attempts, c.Never = 50, nil
			for i := range s.faults {
				s.faults[i].share = 0.1
			}
		}, Inconclusive, "hardly put to the test"},
		{"no fault", func(s *simulation, _ *Retry) { s.faults = nil }, Inconclusive, "nothing had to be retried"},
		{"404 never seen", func(s *simulation, _ *Retry) { s.faults[0].statuses = []int{503, 503, 400} }, Inconclusive, "404 (never seen)"},
		{"ids are not passed on", func(s *simulation, _ *Retry) { s.anonymous = true }, Inconclusive, "X-Request-Id"},
		{"ids are not passed on, amplifies", func(s *simulation, c *Retry) { s.anonymous, c.Amplification, s.constant = true, 1.2, true }, Refuted, "about"},
		{"two calls for each request", func(s *simulation, _ *Retry) { s.calls = 2 }, Inconclusive, "cannot be told apart"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, c := retrying(), retryClaim()
			row.change(&s, &c)
			if row.name == "ids are not passed on, amplifies" {
				// Rates prove it, and no single request does.
				v := c.Judge(s.run())
				if v.Ruling != row.want || !strings.Contains(v.Reason, row.reason) {
					t.Errorf("%s: %s", v.Ruling, v.Reason)
				}
				return
			}
			rules(t, s, c, row.want, row.reason)
		})
	}
}

// TestRetryToleratesTheLibrary: net/http repeats a request at once when the
// reused connection it went over breaks. The policy below is two attempts and
// the exchanges are three, or more where several reused connections broke in a
// row; on fresh connections the same is the policy's own doing.
func TestRetryToleratesTheLibrary(t *testing.T) {
	ms := time.Millisecond
	build := func(waits bool, broken ...uint64) *evidence.Run { // the connections over which an attempt breaks
		run := &evidence.Run{End: 10 * time.Second, Routes: []string{"pay"}, Faults: []evidence.Injection{{Kind: "reset", On: "payments", Injected: 3 * time.Second, Healed: 6 * time.Second}}}
		link := &evidence.Link{Name: "payments"}
		add := func(x evidence.Exchange) {
			x.Seq, x.Method, x.Path = uint64(len(link.Exchanges)+1), "GET", "/"
			link.Exchanges = append(link.Exchanges, x)
		}
		for id := uint64(1); id <= 40; id++ {
			at := time.Duration(id) * 10 * ms
			run.Samples = append(run.Samples, load.Sample{ID: id, Intended: at, Sent: at, Done: at + 5*ms, Status: 200})
			add(evidence.Exchange{ID: id, Conn: id % 8, Begin: at, End: at + 2*ms, Status: 200})
		}
		for id := uint64(41); id <= 60; id++ {
			at := 3*time.Second + time.Duration(id)*50*ms
			run.Samples = append(run.Samples, load.Sample{ID: id, Intended: at, Sent: at, Done: at + 50*ms, Status: 200})
			for i, conn := range broken {
				if conn >= 100 {
					conn += 10 * id // never used before
				}
				add(evidence.Exchange{ID: id, Conn: conn, Begin: at + time.Duration(i)*ms, End: at + time.Duration(i)*ms, Ending: evidence.Broken, Faults: 1})
			}
			at += time.Duration(len(broken)) * ms
			add(evidence.Exchange{ID: id, Conn: 1000 + 2*id, Begin: at, End: at, Status: 503, Ending: evidence.Injected, Faults: 1})
			add(evidence.Exchange{ID: id, Conn: 1001 + 2*id, Begin: at + 30*ms, End: at + 32*ms, Status: 503, Ending: evidence.Injected, Faults: 1})
		}
		for id := uint64(61); id <= 80 && waits; id++ { // first attempts that break on fresh connections
			at := 3*time.Second + time.Duration(id)*20*ms
			run.Samples = append(run.Samples, load.Sample{ID: id, Intended: at, Sent: at, Done: at + 50*ms, Status: 200})
			add(evidence.Exchange{ID: id, Conn: 2000 + 2*id, Begin: at, End: at, Ending: evidence.Broken, Faults: 1})
			add(evidence.Exchange{ID: id, Conn: 2001 + 2*id, Begin: at + 30*ms, End: at + 32*ms, Status: 503, Ending: evidence.Injected, Faults: 1})
		}
		run.Links = map[string]*evidence.Link{"payments": link}
		return run
	}
	for _, row := range []struct {
		name   string
		waits  bool // the policy was seen to wait after breaks of fresh ones, too
		broken []uint64
		want   Ruling
	}{
		{"one reused connection broke", true, []uint64{3}, Held},
		{"one reused connection broke, which the policy may repeat", false, []uint64{3}, Inconclusive},
		{"three reused connections broke in a row", true, []uint64{3, 4, 5}, Held},
		{"three, which the policy may repeat", false, []uint64{3, 4, 5}, Inconclusive},
		{"a fresh one that the dialler had put by", true, []uint64{100}, Inconclusive},
		{"two fresh ones", true, []uint64{100, 101}, Refuted},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := Retry{Link: Links{"payments"}, Attempts: 2}.Judge(build(row.waits, row.broken...))
			if got.Ruling != row.want {
				t.Errorf("%s: %s\n%s", got.Ruling, got.Reason, numbers(got))
			}
		})
	}
}

// A call that may have made one more attempt, which the host kept from the link, has
// no number of attempts at most, and the clause names none.
func TestAttemptsThatMayBeMoreHaveNoEnd(t *testing.T) {
	link := &evidence.Link{Name: "payments", Exchanges: []evidence.Exchange{{ID: 1, End: time.Second, Status: 503, Ending: evidence.Answered}}}
	run := &evidence.Run{End: 3 * time.Second, Links: map[string]*evidence.Link{"payments": link}}
	run.Samples = []load.Sample{{ID: 1, Sent: 0, Done: 2 * time.Second, Status: 503, Outcome: load.ServerError}}
	c := Retry{Link: Links{"payments"}, AtLeast: 1}
	got := tally{stops: map[int]int{}}
	c.gaveUp(run, &got, call{over: link, attempts: []int32{0}}, 1, 1)
	if got.stops[1] != 1 || got.fewest != (Interval{1, math.Inf(1)}) {
		t.Fatalf("got %+v of %v", got.fewest, got.stops)
	}
	got.retryable = leastFailures
	f := find(run, c, "retry")
	c.judgeLeast(f, got)
	if want := "no call was given up after fewer than 1 attempts"; !strings.Contains(f.parts[0].Reason, want) || f.parts[0].Ruling != Held {
		t.Errorf("got %+v, want held and %q", f.parts[0], want)
	}
}
