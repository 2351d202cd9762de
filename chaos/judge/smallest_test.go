package judge

import (
	"cmp"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Of a hundred: go test -run Smallest -violations 100 -v ./chaos/judge
var violations = flag.Int("violations", 2, "sound runs, and runs with the smallest violation of each kind, that TestSmallestViolations judges")

// violation is what a system does that is just not as it is claimed: runs returns
// a run of the sound one and a run of that one.
type violation struct {
	name  string
	claim Claim
	runs  func(seed uint64) (sound, violated *evidence.Run)
}

// smallest are the violations that the fewest events tell, on a quiet host.
func smallest() []violation {
	breaking := func(rate float64, change func(*breakerModel)) func(uint64) (a, b *evidence.Run) {
		return func(seed uint64) (sound, violated *evidence.Run) {
			w := episodesOf(seed, rate, 150*ms)
			sound = w.play()
			change(&w.breaker)
			return sound, w.play()
		}
	}
	simulated := func(s simulation, change func(*simulation)) func(uint64) (a, b *evidence.Run) {
		return func(seed uint64) (sound, violated *evidence.Run) {
			s := s
			s.seed = seed
			sound = s.run()
			change(&s)
			return sound, s.run()
		}
	}
	breaker := Breaker{Link: "payments", Route: "pay", Failures: 5, Waits: 2 * time.Second}
	probing := breaker
	probing.Probes = 1
	posts := Retry{Link: Links{"payments"}, Attempts: 4}
	return []violation{
		{"one probe more than one", probing, breaking(300, func(b *breakerModel) { b.probes = 2 })},
		{"one call while open, at 1,000/s", Breaker{Link: "payments", Route: "pay", Waits: 2 * time.Second}, breaking(1000, func(b *breakerModel) { b.one = time.Second })},
		{"one failure more than 5, at 100/s", breaker, breaking(100, func(b *breakerModel) { b.failures = 6 })},
		{"open for a tenth less than 2 s", breaker, breaking(300, func(b *breakerModel) { b.open = 1800 * ms })},
		{"one POST of 100,000 repeated", posts, onePost},
		{"jitter of 2% for 50%", Backoff{Link: "payments", Base: 100 * ms, Jitter: 0.5},
			simulated(backingOff(), func(s *simulation) { s.wait = doubling(100*ms, 0.02) })},
		{"one call more than 20 at a time", Bulkhead{Link: "payments", Limit: 20}, simulated(bulkheaded(), func(s *simulation) { s.limit = 21 })},
	}
}

// onePost is a system of which 100,000 POSTs fail, and the same with one of them
// sent again, as it would be after a wait.
func onePost(seed uint64) (sound, violated *evidence.Run) {
	s := retrying()
	s.seed, s.rate, s.total, s.pool = seed, 11_000, 13*time.Second, false
	s.routes = []simRoute{{name: "order", method: "POST", weight: 49}, {name: "pay"}}
	s.faults = []simFault{{kind: "errors", at: time.Second, span: 10 * time.Second, statuses: []int{503}}}
	sound = s.run()
	link := sound.Links["payments"]
	var failed []int
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.Method == "POST" && x.Status == 503 {
			failed = append(failed, i)
		}
	}
	again := link.Exchanges[failed[len(failed)/2]]
	again.Conn, again.Begin, again.End = 1<<40, again.End+80*ms, again.End+81*ms
	all := append(slices.Clone(link.Exchanges), again)
	slices.SortStableFunc(all, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := range all {
		all[i].Seq = uint64(i + 1)
	}
	violated = &evidence.Run{
		Name: sound.Name, Seed: sound.Seed, End: sound.End, Routes: sound.Routes, Samples: sound.Samples, Faults: sound.Faults, Ticks: sound.Ticks,
		Links: map[string]*evidence.Link{"payments": {Name: link.Name, From: link.From, To: link.To, Exchanges: all}},
	}
	if len(failed) < 100_000 {
		panic("too few POSTs failed")
	}
	return sound, violated
}

// The smallest violations are refuted, and sound runs of the same systems are
// held: of a hundred, two may be left open.
func TestSmallestViolations(t *testing.T) {
	for _, v := range smallest() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			var sound, violated [3]int
			count := func(of *[3]int, run *evidence.Run, never Ruling) {
				got := v.claim.Judge(run)
				i := slices.Index([]Ruling{Held, Inconclusive, Refuted}, got.Ruling)
				of[i]++
				if got.Ruling == never || i == 1 && *violations < 10 {
					t.Errorf("seed %d, never to be %s: %s: %s", run.Seed, never, got.Ruling, got.Reason)
				}
			}
			for seed := uint64(1); seed <= uint64(*violations); seed++ {
				a, b := v.runs(seed)
				count(&sound, a, Refuted)
				count(&violated, b, Held)
			}
			t.Logf("sound: %d held, %d inconclusive, %d refuted; violated: %d, %d, %d",
				sound[0], sound[1], sound[2], violated[0], violated[1], violated[2])
			for _, open := range []int{sound[1], violated[1]} {
				if 50*open > *violations {
					t.Errorf("%d of %d left open", open, *violations)
				}
			}
		})
	}
}
