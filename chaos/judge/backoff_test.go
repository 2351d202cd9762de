package judge

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// backingOff is a system that waits 100·2^(k−1) ms plus up to a half, for four
// retries, and a link that fails for three seconds.
func backingOff() simulation {
	return simulation{
		rate: 300, total: 9 * time.Second, service: 5 * time.Millisecond,
		timeout: 300 * time.Millisecond, deadline: 8 * time.Second,
		routes:   []simRoute{{name: "pay", weight: 4}, {name: "order", method: "POST"}},
		faults:   []simFault{{kind: "errors", at: 2 * time.Second, span: 3 * time.Second, statuses: []int{503}}},
		attempts: 5, wait: doubling(100*time.Millisecond, 0.5), obeys: true, pool: true,
	}
}

func TestBackoffRules(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		name   string
		change func(*simulation, *Backoff)
		want   Ruling
		reason string
	}{
		{"sound", func(*simulation, *Backoff) {}, Held, "jitter spreads"},
		{"sound, capped", func(s *simulation, c *Backoff) {
			c.Cap = 300 * ms
			s.wait = between(func(k int) (time.Duration, time.Duration) {
				d := min(100*ms<<(k-1), 300*ms)
				return d, d + d/2
			})
		}, Held, "waits stop to grow at"},
		{"the second wait is at the cap already", func(s *simulation, c *Backoff) {
			c.Cap = 200 * ms
			s.wait = between(func(k int) (time.Duration, time.Duration) {
				d := min(100*ms<<(k-1), 200*ms)
				return d, d + d/2
			})
		}, Inconclusive, "the figure may be at least"},
		{"sound, and all waits of a rank end in a rush", func(s *simulation, c *Backoff) {
			c.Cap = 400 * ms
			s.attempts, s.faults[0].span, s.rush = 20, 2500*ms, 4400*ms
			s.wait = between(func(k int) (time.Duration, time.Duration) {
				d := min(100*ms<<(k-1), 400*ms)
				return d, d + d/2
			})
		}, Held, "waits stop to grow at"},
		{"sound, spread", func(s *simulation, c *Backoff) {
			c.Law = "spread"
			s.wait = between(func(k int) (time.Duration, time.Duration) {
				d := 100 * ms << (k - 1)
				return d / 2, d + d/2
			})
		}, Held, ""},
		{"sound, full", func(s *simulation, c *Backoff) {
			c.Law, c.Jitter = "full", 0
			s.wait = between(func(k int) (time.Duration, time.Duration) { return 0, 100 * ms << (k - 1) })
		}, Held, ""},
		{"sound, no jitter claimed", func(s *simulation, c *Backoff) {
			c.Jitter = 0
			s.wait = doubling(100*ms, 0)
		}, Held, ""},
		{"sound, the dependency hangs", func(s *simulation, _ *Backoff) { s.faults[0].kind = "partition" }, Held, ""},
		{"sound, connections are reset", func(s *simulation, _ *Backoff) { s.faults[0].kind = "reset" }, Held, ""},
		{"sound, callers give up early", func(s *simulation, _ *Backoff) { s.deadline = 900 * ms }, Held, ""},
		{"sound, Retry-After", func(s *simulation, c *Backoff) {
			s.faults = append(s.faults, simFault{kind: "errors", at: 6 * time.Second, span: time.Second, statuses: []int{429}, after: time.Second})
			c.RetryAfter = true
		}, Held, "none of"},
		{"sound, deadlines cut the longer waits off", func(s *simulation, _ *Backoff) { s.deadline = 820 * ms }, Held, "number 2"},
		{"sound, Retry-After begins the law anew", func(s *simulation, c *Backoff) {
			s.faults = append(s.faults, simFault{kind: "errors", at: 2 * time.Second, span: 3 * time.Second, statuses: []int{429}, after: time.Second, share: 0.3})
			c.RetryAfter = true
		}, Held, "none of"},
		{"immediate", func(s *simulation, _ *Backoff) { s.wait = doubling(0, 0) }, Refuted, "do not wait"},
		{"immediate, full claimed", func(s *simulation, c *Backoff) {
			c.Law, s.wait = "full", doubling(0, 0)
		}, Refuted, "do not wait"},
		{"immediate, the dependency hangs", func(s *simulation, _ *Backoff) {
			s.faults[0].kind, s.wait = "partition", doubling(0, 0)
		}, Refuted, "do not wait"},
		{"immediate, connections are reset", func(s *simulation, _ *Backoff) {
			s.faults[0].kind, s.wait = "reset", doubling(0, 0)
		}, Refuted, "do not wait"},
		{"no growth", func(s *simulation, _ *Backoff) {
			s.wait = between(func(int) (time.Duration, time.Duration) { return 100 * ms, 150 * ms })
		}, Refuted, "do not grow"},
		{"no growth, full claimed", func(s *simulation, c *Backoff) {
			c.Law = "full"
			s.wait = between(func(int) (time.Duration, time.Duration) { return 0, 100 * ms })
		}, Refuted, "do not grow"},
		{"grows too slowly", func(s *simulation, _ *Backoff) {
			s.wait = between(func(k int) (time.Duration, time.Duration) {
				d := 100 * ms * time.Duration(k)
				return d, d + d/2
			})
		}, Refuted, "too early"},
		{"too slow", func(s *simulation, _ *Backoff) { s.wait = doubling(250*ms, 0.5) }, Refuted, "too late"},
		{"no jitter", func(s *simulation, _ *Backoff) { s.wait = doubling(100*ms, 0) }, Refuted, "no jitter"},
		{"no jitter, full claimed", func(s *simulation, c *Backoff) {
			c.Law, c.Factor = "full", 1
			s.wait = between(func(int) (time.Duration, time.Duration) { return 60 * ms, 60 * ms })
		}, Refuted, "at least 95% claimed"},
		{"no jitter, where a busy host makes as much", func(s *simulation, c *Backoff) {
			c.Base, c.Factor = 60*ms, 1
			s.wait = between(func(int) (time.Duration, time.Duration) { return 60 * ms, 60 * ms })
		}, Refuted, "no jitter"},
		{"no jitter, and only the caller's host is busy", func(s *simulation, c *Backoff) {
			c.Base, c.Factor, s.spared = 60*ms, 1, true
			s.wait = between(func(int) (time.Duration, time.Duration) { return 60 * ms, 60 * ms })
		}, Refuted, "no jitter"},
		{"jitter of two values", func(s *simulation, _ *Backoff) {
			s.wait = func(k int, rng *rand.Rand) time.Duration {
				d := 100 * ms << (k - 1)
				return d + time.Duration(rng.IntN(2))*d*49/100
			}
		}, Refuted, "not spread evenly"},
		{"ignores Retry-After", func(s *simulation, c *Backoff) {
			s.faults = append(s.faults, simFault{kind: "errors", at: 6 * time.Second, span: time.Second, statuses: []int{429}, after: time.Second})
			s.obeys, c.RetryAfter = false, true
		}, Refuted, "before the Retry-After"},
		{"Retry-After never sent", func(_ *simulation, c *Backoff) { c.RetryAfter = true }, Inconclusive, "no answer carried a Retry-After"},
		{"no fault", func(s *simulation, _ *Backoff) { s.faults = nil }, Inconclusive, "no call over \"payments\" was retried"},
		{"no retries", func(s *simulation, _ *Backoff) { s.attempts = 1 }, Inconclusive, "no call over \"payments\" was retried"},
		{"few retries", func(s *simulation, _ *Backoff) { s.faults[0].span = 400 * ms }, Inconclusive, "would tell"},
		{"one retry only", func(s *simulation, _ *Backoff) { s.attempts = 2 }, Inconclusive, "that they grow cannot be told"},
		{"ids are not passed on", func(s *simulation, _ *Backoff) { s.anonymous = true }, Inconclusive, "X-Request-Id"},
		{"two calls for each request", func(s *simulation, _ *Backoff) { s.calls = 2 }, Inconclusive, "cannot be told apart"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, c := backingOff(), Backoff{Link: "payments", Base: 100 * time.Millisecond, Jitter: 0.5}
			row.change(&s, &c)
			rules(t, s, c, row.want, row.reason)
		})
	}
}

// TestBackoffHerd: two hundred calls fail within 5 ms and are retried after
// 100 to 150 ms by different laws. An even spread over 50 ms has 40 of them in
// any 10 ms.
func TestBackoffHerd(t *testing.T) {
	const ms = time.Millisecond
	build := func(seed uint64, calls int, wait func(rng *rand.Rand) time.Duration) *evidence.Run {
		rng := rand.New(rand.NewPCG(seed, 0))
		run := &evidence.Run{End: 5 * time.Second, Faults: []evidence.Injection{{Kind: "reset", On: "payments", Injected: time.Second, Healed: 2 * time.Second}}}
		link := &evidence.Link{Name: "payments"}
		for id := uint64(1); id <= uint64(calls); id++ {
			begin := time.Second + time.Duration(rng.Int64N(int64(5*ms)))
			run.Samples = append(run.Samples, load.Sample{ID: id, Intended: begin, Sent: begin, Done: begin + 200*ms})
			link.Exchanges = append(link.Exchanges,
				evidence.Exchange{ID: id, Conn: 2 * id, Begin: begin, End: begin, Ending: evidence.Injected, Status: 503, Faults: 1},
				evidence.Exchange{ID: id, Conn: 2*id + 1, Begin: begin + wait(rng), End: begin + 200*ms, Status: 200})
		}
		slices.SortStableFunc(link.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
		run.Links = map[string]*evidence.Link{"payments": link}
		return run
	}
	even := func(rng *rand.Rand) time.Duration { return 100*ms + time.Duration(rng.Int64N(int64(50*ms))) }
	bunched := func(rng *rand.Rand) time.Duration { return 100*ms + time.Duration(rng.IntN(5)/4)*48*ms }
	for _, row := range []struct {
		name   string
		calls  int
		wait   func(*rand.Rand) time.Duration
		herd   float64
		want   Ruling
		reason string
	}{
		{"even", 200, even, 3, Held, "came back at no more than"},
		{"bunched", 200, bunched, 1, Refuted, "a herd"},      // 160 in 10 ms are 4 times 40; one stall of 10 ms explains 2 times
		{"bunched", 200, bunched, 2, Inconclusive, "stalls"}, // and 4 times, if 2 were allowed
		{"too few", 25, even, 2, Inconclusive, "failed at one instant"},
		{"few", 60, even, 4, Held, "came back"},
	} {
		for seed := uint64(1); seed <= *seeds; seed++ {
			v := Backoff{Link: "payments", Base: 100 * ms, Factor: 1, Jitter: 0.5, Herd: row.herd}.Judge(build(seed, row.calls, row.wait))
			got := v.Parts[slices.IndexFunc(v.Parts, func(p Part) bool { return p.Name == "herd" })]
			if got.Ruling != row.want || !strings.Contains(got.Reason, row.reason) {
				t.Errorf("%s, bound %v, seed %d: %s: %s\n%s", row.name, row.herd, seed, got.Ruling, got.Reason, numbers(v))
				break
			}
		}
	}
}
