package judge

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// More seeds, and with them more steps, cost only time:
// go test -run NoFalse -lie-seeds 100 -timeout 1h ./chaos/judge
var lieSeeds = flag.Uint64("lie-seeds", 1, "how many simulated runs of each kind are judged by false claims; more than one by all steps")

// lieSteps are by what a number is declared false.
func lieSteps() []float64 {
	if *lieSeeds == 1 {
		return []float64{0.9, 1.1}
	}
	return []float64{0.5, 0.8, 0.9, 1.1, 1.25, 2}
}

// backoffs are systems that wait by each of the laws, and what is true of them.
// Each is told to come back later now and then, which takes the place of the law.
func backoffs() map[string]struct {
	system simulation
	claim  Backoff
} {
	type law = func(k int) (lower, upper time.Duration)
	type backoff = struct {
		system simulation
		claim  Backoff
	}
	all := map[string]backoff{}
	add := func(name string, waits law, c Backoff) {
		s := backingOff()
		later := simFault{kind: "errors", at: 6 * time.Second, span: time.Second, statuses: []int{429}, after: time.Second}
		s.faults = append(s.faults, later)
		if waits != nil {
			s.wait = between(waits)
		}
		c.Link, c.RetryAfter = "payments", true
		all[name] = backoff{s, c}
	}
	double := func(k int) time.Duration { return 100 * ms << (k - 1) }
	spread := func(d func(k int) time.Duration, from, to float64) law {
		return func(k int) (time.Duration, time.Duration) {
			return time.Duration(from * float64(d(k))), time.Duration(to * float64(d(k)))
		}
	}
	by := func(d func(k int) time.Duration, less, more time.Duration) law {
		return func(k int) (time.Duration, time.Duration) { return d(k) - less, d(k) + more }
	}
	short := func(k int) time.Duration { return double(k) / 5 }
	twice := func(k int) time.Duration { return 2 * double(k) }
	level := func(int) time.Duration { return 200 * ms }
	line := func(k int) time.Duration { return 100 * ms * time.Duration(k) }
	capped := func(k int) time.Duration { return min(double(k), 400*ms) }
	add("half on top", spread(double, 1, 1.5), Backoff{Base: 100 * ms, Jitter: 0.5})
	add("as much on top", spread(double, 1, 2), Backoff{Base: 100 * ms, Jitter: 1})
	add("exact", spread(double, 1, 1), Backoff{Base: 100 * ms})
	add("exact and short", spread(short, 1, 1), Backoff{Base: 20 * ms})
	add("to either side", spread(double, 0.5, 1.5), Backoff{Base: 100 * ms, Law: "spread", Jitter: 0.5})
	add("full", spread(double, 0, 1), Backoff{Base: 100 * ms, Law: "full"})
	add("constant", spread(level, 1, 1.5), Backoff{Base: 200 * ms, Law: "constant", Jitter: 0.5})
	add("linear", spread(line, 1, 1.5), Backoff{Base: 100 * ms, Law: "linear", Jitter: 0.5})
	add("capped", spread(capped, 1, 1.5), Backoff{Base: 100 * ms, Cap: 400 * ms, Jitter: 0.5})
	add("noise on top", by(double, 0, 100*ms), Backoff{Base: 100 * ms, Noise: 100 * ms})
	add("noise to either side", by(twice, 100*ms, 100*ms), Backoff{Base: 200 * ms, Law: "spread", Noise: 100 * ms})
	add("decorrelated", nil, Backoff{Base: 60 * ms, Law: "decorrelated", Cap: 400 * ms})
	some := all["decorrelated"]
	some.system.next, some.system.attempts = anywhere(60*ms, 400*ms, 3), 6
	some.system.faults[0].span = 4 * time.Second
	some.system.faults[1].at = 7 * time.Second
	all["decorrelated"] = some
	return all
}

// lies are what is false of a backoff by one number, or by a word.
func (c Backoff) lies(steps []float64) map[string]Backoff {
	all := map[string]Backoff{}
	for _, by := range steps {
		tell := func(key string, change func(*Backoff)) {
			lie := c
			change(&lie)
			all[fmt.Sprintf("%s ×%v", key, by)] = lie
		}
		scaled := func(d time.Duration) time.Duration { return time.Duration(by * float64(d)) }
		tell("base", func(c *Backoff) { c.Base = scaled(c.Base) })
		if c.declared().growth == geometric {
			tell("factor", func(c *Backoff) { c.Factor = by * c.factor() })
		}
		if c.Cap > 0 {
			tell("cap", func(c *Backoff) { c.Cap = scaled(c.Cap) })
		}
		if c.Noise > 0 {
			tell("noise", func(c *Backoff) { c.Noise = scaled(c.Noise) })
		}
		if c.Jitter > 0 && by*float64(c.Jitter) <= 1 {
			tell("jitter", func(c *Backoff) { c.Jitter = unit.Share(by) * c.Jitter })
		}
	}
	if c.Jitter > 0 || c.Noise > 0 {
		lie := c
		lie.Jitter, lie.Noise = 0, 0
		all["no jitter"] = lie
	}
	if c.Cap == 0 && c.Law != "constant" {
		lie := c
		lie.Cap = 2 * c.Base
		all["a cap that is not there"] = lie
	}
	if c.Cap > 0 {
		lie := c
		lie.Cap = 0
		all["no cap"] = lie
	}
	for _, law := range []string{"add", "spread", "full", "constant", "linear", "decorrelated"} {
		lie := c
		lie.Law = law
		if lie.declared() != c.declared() && (c.jitters() || lie.jitters()) {
			all["law "+law] = lie
		}
	}
	return all
}

// machines are what simulations run on: a quiet one, one with a core that something
// else keeps busy, and one with none to spare, where anything waits for as long
// as retries do, which a thread that sleeps may or may not notice.
var machines = map[string]func(*simulation){
	"quiet":   func(*simulation) {},
	"busy":    func(s *simulation) { s.busy = true },
	"crowded": func(s *simulation) { s.crowded = 50 * ms },
	"unseen":  func(s *simulation) { s.crowded, s.unseen = 30*ms, true },
}

// TestNoFalseBackoffHolds declares each number of each law false, and its words,
// on machines of all kinds. What is false is never held. What is true is held on a
// quiet host, in 98 of 100 runs, and never refuted on another.
func TestNoFalseBackoffHolds(t *testing.T) {
	for name, b := range backoffs() {
		for host, suffers := range machines {
			t.Run(name+"/"+host, func(t *testing.T) {
				t.Parallel()
				held := uint64(0)
				for seed := uint64(1); seed <= *lieSeeds; seed++ {
					s := b.system
					suffers(&s)
					s.seed = seed
					run := s.run()
					v := b.claim.Judge(run)
					if v.Ruling == Held {
						held++
					} else if v.Ruling == Refuted || testing.Verbose() {
						t.Logf("seed %d: true and %s: %s", seed, v.Ruling, v.Reason)
					}
					if v.Ruling == Refuted {
						t.Fail()
					}
					for what, lie := range b.claim.lies(lieSteps()) {
						if v := lie.Judge(run); v.Ruling == Held {
							t.Errorf("seed %d: %s is false and held: %s", seed, what, v.Reason)
						}
					}
				}
				if host == "quiet" && 100*(*lieSeeds-held) > max(2**lieSeeds, 100) { // one of a few is too few to count
					t.Errorf("held in %d of %d runs", held, *lieSeeds)
				}
				t.Logf("held in %d of %d runs", held, *lieSeeds)
			})
		}
	}
}

// A twice or half as long wait, or growth, is refuted on a quiet host, by every
// law.
func TestBackoffLiesAreRefuted(t *testing.T) {
	for name, b := range backoffs() {
		s := b.system
		s.seed = 1
		run := s.run()
		for what, lie := range b.claim.lies([]float64{0.5, 2}) {
			if !strings.Contains(what, "×") {
				continue
			}
			if v := lie.Judge(run); v.Ruling != Refuted {
				t.Errorf("%s, %s: %s: %s", name, what, v.Ruling, v.Reason)
			}
		}
	}
}
