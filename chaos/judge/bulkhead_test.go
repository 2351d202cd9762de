package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// bulkheaded is a system that lets 20 calls at a time over a link that hangs
// twice, and turns the others away at once.
func bulkheaded() simulation {
	return simulation{
		rate: 300, total: 12 * time.Second, service: 10 * time.Millisecond,
		timeout: 400 * time.Millisecond, deadline: 3 * time.Second,
		routes: []simRoute{{name: "pay"}, {name: "browse", local: true}},
		faults: []simFault{
			{kind: "latency", at: 2 * time.Second, span: 2 * time.Second, delay: 300 * time.Millisecond},
			{kind: "partition", at: 7 * time.Second, span: 2 * time.Second},
		},
		limit: 20, pool: true,
	}
}

func TestBulkheadRules(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		name   string
		change func(*simulation, *Bulkhead)
		want   Ruling
		reason string
	}{
		{"sound", func(*simulation, *Bulkhead) {}, Held, "it was full at 20 calls and took no more"},
		{"sound, one episode", func(s *simulation, _ *Bulkhead) { s.faults = s.faults[:1] }, Held, "\"browse\" kept"},
		{"sound, errors between", func(s *simulation, _ *Bulkhead) {
			s.faults = append(s.faults, simFault{kind: "errors", at: 5 * time.Second, span: time.Second, statuses: []int{503}})
		}, Held, "full at 20 calls"},
		{"sound, retries hold their place", func(s *simulation, _ *Bulkhead) {
			s.attempts, s.wait = 2, doubling(50*ms, 0.5)
		}, Held, ""},
		{"sound, each attempt takes a place", func(s *simulation, _ *Bulkhead) {
			s.attempts, s.wait, s.inside = 2, doubling(50*ms, 0.5), true
		}, Held, ""},
		{"sound, calls wait a little", func(s *simulation, c *Bulkhead) {
			s.rejects, c.RejectsWithin = 30*ms, 100*ms
		}, Held, ""},
		{"smaller than claimed", func(s *simulation, _ *Bulkhead) { s.limit = 12 }, Held, "the real limit is smaller than 20"},
		{"over the limit", func(s *simulation, _ *Bulkhead) { s.limit = 26 }, Refuted, "26 calls were in progress"},
		{"one over the limit", func(s *simulation, _ *Bulkhead) { s.limit = 21 }, Refuted, "21 calls were in progress"},
		{"no bulkhead", func(s *simulation, _ *Bulkhead) { s.limit = 0 }, Refuted, "calls were in progress on \"payments\" at"},
		{"shared pool", func(s *simulation, _ *Bulkhead) { s.shared = true }, Refuted, `"browse" was affected`},
		{"shared pool with a queue", func(s *simulation, c *Bulkhead) {
			s.shared, s.rejects, c.RejectsWithin = true, 500*ms, 0
		}, Refuted, `"browse" was affected`},
		{"slow reject", func(s *simulation, _ *Bulkhead) { s.rejects = 200 * ms }, Refuted, "turned away by the full bulkhead"},
		{"leaks everything", func(s *simulation, _ *Bulkhead) { s.leaks = 1 }, Refuted, "places were not given back"},
		{"leaks a little", func(s *simulation, _ *Bulkhead) {
			s.leaks = 0.1
			s.faults[0].kind = "partition"
		}, Refuted, "the bulkhead leaks"},
		{"no fault", func(s *simulation, _ *Bulkhead) { s.faults = nil }, Inconclusive, "nothing drowned"},
		{"fault hits nothing", func(s *simulation, _ *Bulkhead) {
			for i := range s.faults {
				s.faults[i].share = 1e-9
			}
		}, Inconclusive, "hit only 0 calls"},
		{"never full", func(s *simulation, _ *Bulkhead) {
			s.rate = 150 // 75 calls a second of some 50 ms on a busy host: 4 at a time
			for i := range s.faults {
				s.faults[i] = simFault{kind: "latency", at: s.faults[i].at, span: s.faults[i].span, delay: 20 * ms}
			}
		}, Inconclusive, "the bulkhead was never full"},
		{"ids are not passed on", func(s *simulation, _ *Bulkhead) { s.anonymous = true }, Inconclusive, "X-Request-Id"},
		{"no baseline", func(s *simulation, _ *Bulkhead) { s.faults[0].at = 50 * ms }, Inconclusive, "before the faults"},
		{"heals after the end", func(s *simulation, _ *Bulkhead) {
			s.faults = s.faults[:1]
			s.faults[0].span = s.total
		}, Inconclusive, "the evidence ends before a fault was healed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := bulkheaded()
			c := Bulkhead{Link: "payments", Route: "pay", Limit: 20, Unaffected: []string{"browse"}, RejectsWithin: 50 * ms, FreedWithin: time.Second}
			row.change(&s, &c)
			rules(t, s, c, row.want, row.reason)
		})
	}
}

// What ends calls fills no bulkhead, however many it hits.
func TestSlows(t *testing.T) {
	for _, row := range []struct {
		fault evidence.Injection
		want  bool
	}{
		{evidence.Injection{Kind: "latency"}, true},
		{evidence.Injection{Kind: "drop_response"}, true},
		{evidence.Injection{Kind: "drop_response", Ends: true}, false},
		{evidence.Injection{Kind: "reset"}, false},
		{evidence.Injection{Kind: "errors"}, false},
	} {
		if got := (saturation{span: span{faults: []evidence.Injection{row.fault}}}).slows(); got != row.want {
			t.Errorf("%s, ends %v: slows %v", row.fault.Kind, row.fault.Ends, got)
		}
	}
	both := span{faults: []evidence.Injection{{Kind: "drop_response", Ends: true}, {Kind: "hang"}}}
	if !(saturation{span: both}).slows() {
		t.Error("a hang beside it is forgotten")
	}
}

// TestLeakInOneEpisode: with a single episode of faults there is no second
// saturation to compare with. What leaks then must not pass for sound, whether
// enough is left afterwards to serve the healthy load or not.
func TestLeakInOneEpisode(t *testing.T) {
	for seed := uint64(1); seed <= *seeds; seed++ {
		s := bulkheaded()
		s.seed, s.leaks, s.faults = seed, 0.2, s.faults[1:]
		if got := (Bulkhead{Link: "payments", Route: "pay", Limit: 20}).Judge(s.run()); got.Ruling == Held {
			t.Errorf("seed %d: %s", seed, got.Reason)
		}
	}
}

// TestUnaffectedByTime: every request of browse still succeeds; what the faults
// do to it is its time. The baseline's p99 is 6 ms, so up to 9 ms are held and,
// at a noise of 10 ms, clearly more than 19 ms refuted.
func TestUnaffectedByTime(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		name   string
		slow   func(s *load.Sample)
		want   Ruling
		reason string
	}{
		{"2 ms", func(s *load.Sample) { s.Done += 2 * ms }, Held, "\"browse\" kept"},
		{"8 ms", func(s *load.Sample) { s.Done += 8 * ms }, Inconclusive, "noise"},
		{"20 ms", func(s *load.Sample) { s.Done += 20 * ms }, Refuted, "the p99 of \"browse\" went from"},
		{"100 ms", func(s *load.Sample) { s.Done += 100 * ms }, Refuted, "the p99 of \"browse\" went from"},
		{"one stall", func(s *load.Sample) {
			if s.Intended >= 3*time.Second && s.Intended < 3200*ms {
				s.Done += 200 * ms
			}
		}, Inconclusive, "noise"},
		{"100 ms in the harness", func(s *load.Sample) { s.Sent += 100 * ms; s.Done += 100 * ms }, Inconclusive, "load.connections"},
	} {
		for seed := uint64(1); seed <= *seeds; seed++ {
			s := bulkheaded()
			s.seed = seed
			run := s.run()
			for i := range run.Samples {
				x := &run.Samples[i]
				for _, e := range s.faults {
					if run.Routes[x.Route] == "browse" && x.Intended >= e.at && x.Intended < e.at+e.span {
						row.slow(x)
					}
				}
			}
			got := Bulkhead{Link: "payments", Route: "pay", Unaffected: []string{"browse"}}.Judge(run)
			if got.Ruling != row.want || !strings.Contains(got.Reason, row.reason) {
				t.Errorf("%s, seed %d: %s, want %s: %s", row.name, seed, got.Ruling, row.want, got.Reason)
			}
		}
	}
}

// TestBulkheadForgivesTheRelay: a caller that leaves frees its place at once;
// the relay sees it gone a little later, when the next call has begun.
func TestBulkheadForgivesTheRelay(t *testing.T) {
	const ms = time.Millisecond
	build := func(ending evidence.Ending, overlap time.Duration, often int) *evidence.Run {
		link := &evidence.Link{Name: "payments"}
		for i := range 40 {
			at := 2*time.Second + time.Duration(i)*100*ms
			if i == often {
				overlap = 0
			}
			link.Exchanges = append(link.Exchanges, evidence.Exchange{
				Seq: uint64(i + 1), ID: uint64(i + 1), Begin: at, End: at + 100*ms + overlap, Ending: ending, Faults: 1,
			})
		}
		return &evidence.Run{
			End: 10 * time.Second, Links: map[string]*evidence.Link{"payments": link},
			Faults: []evidence.Injection{{Kind: "latency", On: "payments", Injected: 2 * time.Second, Healed: 6 * time.Second}},
		}
	}
	for _, row := range []struct {
		name    string
		ending  evidence.Ending
		overlap time.Duration
		often   int
		want    bool // refuted
	}{
		{"caller left, seen 8 ms late", evidence.CallerGone, 8 * ms, 40, false},
		{"caller left, 30 ms is no delay", evidence.CallerGone, 30 * ms, 40, true},
		{"caller left, 30 ms once may be", evidence.CallerGone, 30 * ms, 1, false}, // 2·10 ms off leaves 10, which is no more than the noise
		{"answered: stamped before the caller had it", evidence.Answered, 8 * ms, 40, true},
		{"answered: once is proof", evidence.Answered, 8 * ms, 1, true},
		{"one after the other", evidence.Answered, 0, 40, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := Bulkhead{Link: "payments", Limit: 1}.Judge(build(row.ending, row.overlap, row.often))
			if (got.Ruling == Refuted) != row.want {
				t.Errorf("%s: %s", got.Ruling, got.Reason)
			}
		})
	}
}

func TestProfile(t *testing.T) {
	none := func(*evidence.Exchange) time.Duration { return 0 }
	x := func(begin, end time.Duration) evidence.Exchange { return evidence.Exchange{Begin: begin, End: end} }
	exchanges := []evidence.Exchange{x(0, 10), x(5, 20), x(10, 30), x(12, 12), x(25, 40)}
	//   0........10
	//        5.........20
	//            10.........30        12: empty, never in progress
	//                     25......40
	for _, row := range []struct {
		from, to time.Duration
		n        int
		at       time.Duration
	}{
		{0, 40, 2, 5},   // at 10 one ends as the next begins
		{0, 4, 1, 0},    //
		{21, 24, 1, 21}, // began before
		{41, 99, 0, 41}, // after all
		{30, 30, 1, 30}, // the end of one counts as over
	} {
		if n, at := profileOf(exchanges, none).most(row.from, row.to); n != row.n || at != row.at {
			t.Errorf("most(%d, %d) = %d at %d, want %d at %d", row.from, row.to, n, at, row.n, row.at)
		}
	}
	if longest, total := profileOf(exchanges, none).over(1); longest != 15 || total != 20 { // 5 to 20 without a break at 10, and 25 to 30
		t.Errorf("more than 1 for %d at a time and %d together, want 15 and 20", longest, total)
	}
	if n, _ := profileOf(exchanges, func(*evidence.Exchange) time.Duration { return 11 }).most(0, 40); n != 1 {
		t.Errorf("with 11 off each end %d are in progress, want 1", n) // 5 to 9, 10 to 19, 25 to 29
	}
}

// Where the host hides how many places there were, and goodput was not seen to be
// back, nothing shows that none was lost.
func TestNoPlacesSeenAreNotKept(t *testing.T) {
	link := &evidence.Link{Name: "payments"}
	f := find(&evidence.Run{}, Bulkhead{Link: "payments", Limit: 20}, "bulkhead")
	Bulkhead{Link: "payments", Limit: 20}.judgeLeaks(f, link, make([]saturation, 2), returnedPlaces{open: true, says: "it was not back"})
	if len(f.parts) != 1 || f.parts[0].Ruling != Inconclusive {
		t.Errorf("got %+v", f.parts)
	}
}

// A bulkhead that gives places back late turns calls away below its capacity for a
// while, and takes as many as ever afterwards. One that lost them never does.
func TestShrunkIsWhatDoesNotComeBack(t *testing.T) {
	level := func(n int, levels ...int32) []int32 { return slices.Repeat(levels, n) }
	for _, c := range []struct {
		name   string
		levels []int32
		want   int
	}{
		{"full to the end", level(30, 20), 0},
		{"late, and full again", slices.Concat(level(30, 20), level(15, 12), level(1, 20)), 0},
		{"lost to the end", slices.Concat(level(30, 20), level(15, 12)), 2},
		{"lost, too seldom to tell", slices.Concat(level(30, 20), level(9, 12)), 0},
		{"nothing in progress, as with a breaker", slices.Concat(level(30, 20), level(15, 0)), 0},
	} {
		if got := shrank(saturation{rejected: rejections{levels: c.levels}}, 20); got != c.want {
			t.Errorf("%s: %d fewer, want %d", c.name, got, c.want)
		}
	}
}
