package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// bigDir makes the directory of a run of n requests at a rate, each with a call, in
// which every call failed for the third third.
func bigDir(t testing.TB, n, rate int, claims string) string {
	t.Helper()
	return runDir(t, n, rate, claims, true)
}

// runDir is bigDir, with the sums of its files in its seconds or, as earlier versions
// had it, without.
func runDir(t testing.TB, n, rate int, claims string, sums bool) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(subdirs(dir))
	length := time.Duration(n) * time.Second / time.Duration(rate)
	seconds := func(d time.Duration) evidence.Seconds { return evidence.Seconds(d) }
	must(os.WriteFile(filepath.Join(dir, ExperimentFile), fmt.Appendf(nil, `
name: big
targets: {a: {url: "http://127.0.0.1:1"}, b: {url: "http://127.0.0.1:2"}}
links: {bank: {from: a, to: b}}
load: {rate: %d/s, duration: %s, routes: [{name: pay, to: a, get: /}, {name: browse, to: a, get: /b}]}
chaos: [{at: %s, for: %s, on: bank, errors: {status: 503, share: 100%%}}]
claims:
%s`, rate, length, length/3, length/3, claims), 0o644))
	tl := evidence.TimelineIn(inputtest.File(t, filepath.Join(dir, evidence.TimelineFile)))
	tl.Add(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Name: "big", Load: seconds(length), Routes: []string{"pay", "browse"},
		Links:  []evidence.Link{{Name: "bank", From: "a", To: "b"}},
		Faults: []evidence.Injection{{Name: "f", Kind: "errors", On: "bank", Statuses: []int{503}, Share: 1, At: seconds(length / 3), For: seconds(length / 3)}}}})
	tl.Add(evidence.Event{At: seconds(length / 3), Kind: evidence.KindInject, Fault: 1})
	tl.Add(evidence.Event{At: seconds(2 * length / 3), Kind: evidence.KindHeal, Fault: 1, Hit: uint64(n / 3)})
	sampleWriter, err := evidence.CreateSamples(filepath.Join(dir, evidence.SamplesFile), []string{"pay", "browse"}, 1, 0)
	must(err)
	link, err := evidence.ExchangesIn(inputtest.File(t, filepath.Join(dir, evidence.ExchangesFile("bank"))), 0)
	must(err)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		due := time.Duration(i) * time.Second / time.Duration(rate)
		s := load.Sample{ID: uint64(i + 1), Route: i % 2, Intended: due, Sent: due + 20000, Done: due + time.Duration(1e6+rng.ExpFloat64()*3e6), Status: 200}
		took := s.Done - s.Sent
		x := evidence.Exchange{Seq: uint64(i + 1), ID: s.ID, Conn: 1, Begin: s.Sent + took/4, End: s.Done - took/4, Method: "GET", Path: "/p", Status: 200}
		if 3*i >= n && 3*i < 2*n {
			s.Status, s.Outcome, x.Status, x.Ending, x.Faults = 503, load.ServerError, 503, evidence.Injected, 1
		}
		sampleWriter.Record(0, s)
		link.Write([]evidence.Exchange{x})
		if i%1000 == 999 {
			sampleWriter.Flush(nil)
		}
		if ended := i%rate + 1; ended == rate || i == n-1 {
			sampleWriter.Flush(nil)
			tick := evidence.Tick{Offered: uint64(ended), Ended: uint64(ended), HiccupMax: seconds(time.Duration(rng.IntN(9e6)))}
			linkTick := evidence.LinkTick{Ended: uint64(ended)}
			if sums {
				tick.Extent, linkTick.Extent = sampleWriter.Extent(), link.Extent()
			}
			tick.Links = map[string]evidence.LinkTick{"bank": linkTick}
			tl.Add(evidence.Event{At: seconds(min(length, time.Duration(i/rate+1)*time.Second)), Kind: evidence.KindTick, Tick: &tick})
		}
	}
	must(sampleWriter.Close())
	must(link.Close())
	tl.Add(evidence.Event{At: seconds(length), Kind: evidence.KindEnd})
	must(tl.Close())
	return dir
}

// allClaims are claims of each kind about a run of bigDir.
const allClaims = "  - steady: {route: pay, success: 99%, p99: 50ms}\n  - recovery: {route: pay, within: 1s}\n" +
	"  - retry: {link: bank, route: pay, attempts: 3}\n  - retry: {link: bank, attempts: 3, amplification: 2, budget: 10%, deadline: true}\n" +
	"  - backoff: {link: bank, route: pay, base: 100ms, jitter: 50%, herd: 3, retry_after: true}\n" +
	"  - breaker: {link: bank, route: pay, failures: 5, waits: 2s, probes: 1, closes_within: 1s, rejects_within: 10ms}\n" +
	"  - breaker: {link: bank, route: browse, failure_rate: 50%, window: 1s, ignores: [404]}\n" +
	"  - timeout: {link: bank, route: pay, within: 1s}\n" +
	"  - bulkhead: {link: bank, route: pay, limit: 20, unaffected: [browse], rejects_within: 10ms, freed_within: 1s}\n"

// allocated is how many bytes judging allocates: no more than that were ever in
// use at once, however late they were collected.
func allocated(t *testing.T, dir string) float64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Judge(dir); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc)
}

// What judging takes grows as the run does: with its requests and not with its
// seconds beside, and hardly with the number of claims, which share what they look
// at. The records themselves are 200 bytes a request.
func TestJudgingTakesWhatTheRunIs(t *testing.T) {
	const n = 100_000
	whole := allocated(t, bigDir(t, n, 4000, allClaims))
	if perRequest := whole / n; perRequest > 800 { // 475 were seen
		t.Errorf("judging %d requests allocates %.0f bytes for each", n, perRequest)
	}
	if quarter := allocated(t, bigDir(t, n/4, 4000, allClaims)); whole > 4.5*quarter {
		t.Errorf("4 times the requests take %.1f times the memory", whole/quarter)
	}
	if slow := allocated(t, bigDir(t, n, 200, allClaims)); slow > 1.3*whole {
		t.Errorf("the same requests in 20 times the seconds take %.1f times the memory", slow/whole)
	}
	if more := allocated(t, bigDir(t, n, 4000, strings.Repeat(allClaims, 5))); more > 2.5*whole {
		t.Errorf("5 times the claims take %.1f times the memory", more/whole)
	}
}

// The rulings, and all that is said, are the same on any number of processors,
// and whatever order the records are in.
func TestRulingsDoNotDependOnOrder(t *testing.T) {
	dir := runDir(t, 6000, 400, allClaims, false) // of sums the order is part
	judged := func() string {
		t.Helper()
		r, err := Judge(dir)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := judged()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const seed = 3
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, processors := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(processors)
		for _, name := range []string{evidence.SamplesFile, evidence.ExchangesFile("bank")} {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
			lines[len(lines)-1] += "\n"
			records := lines[1:] // the first is the header
			rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
			if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := judged(); got != want {
			t.Errorf("seed %d, %d processors: %s\nwant %s", seed, processors, got, want)
		}
	}
}

// BenchmarkJudge is a ruling from disk: on many requests in little time and in
// much, and with many claims. peak-MiB is the most that was ever resident, by any
// of those that ran: name one of them. On a host that others use too, cpu-s/op tells
// more than the time.
func BenchmarkJudge(b *testing.B) {
	const few = "  - steady: {route: pay, success: 99%, p99: 50ms}\n  - retry: {link: bank, route: pay, attempts: 3}\n" +
		"  - breaker: {link: bank, route: pay, failures: 5, waits: 2s}\n  - timeout: {link: bank, route: pay, within: 1s}\n  - recovery: {route: pay, within: 1s}\n"
	for _, c := range []struct {
		name    string
		n, rate int
		claims  string
	}{
		{"1M,4000per_s", 1_000_000, 4000, few},
		{"1M,400per_s", 1_000_000, 400, few},
		{"100k,400per_s", 100_000, 400, few},
		{"1M,4000per_s,50claims", 1_000_000, 4000, strings.Repeat(few, 10)},
		{"1M,4000per_s,all", 1_000_000, 4000, allClaims},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := bigDir(b, c.n, c.rate, c.claims)
			b.ReportAllocs()
			before := used(b)
			for b.Loop() {
				if _, err := Judge(dir); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((used(b)-before).Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(peak(b), "peak-MiB")
		})
	}
}

// peak is the most memory that the process ever had resident, in MiB.
func peak(t testing.TB) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}

// used is the CPU time of the process so far.
func used(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
