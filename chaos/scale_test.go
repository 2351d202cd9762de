package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// bigDir makes the directory of a run of n requests at a rate, each with a call, in
// which every call failed for the third third.
func bigDir(t testing.TB, n, rate int, claims string) string {
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
	tl, err := evidence.CreateTimeline(filepath.Join(dir, evidence.TimelineFile))
	must(err)
	tl.Add(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Name: "big", Load: seconds(length), Routes: []string{"pay", "browse"},
		Links:  []evidence.Link{{Name: "bank", From: "a", To: "b"}},
		Faults: []evidence.Injection{{Name: "f", Kind: "errors", On: "bank", Statuses: []int{503}, Share: 1, At: seconds(length / 3), For: seconds(length / 3)}}}})
	tl.Add(evidence.Event{At: seconds(length / 3), Kind: evidence.KindInject, Fault: 1})
	tl.Add(evidence.Event{At: seconds(2 * length / 3), Kind: evidence.KindHeal, Fault: 1, Hit: uint64(n / 3)})
	front, err := evidence.CreateFront(filepath.Join(dir, evidence.FrontFile), []string{"pay", "browse"}, 1, 0)
	must(err)
	link, err := evidence.CreateBehind(filepath.Join(dir, evidence.BehindFile("bank")), 0)
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
		front.Record(0, s)
		link.Write([]evidence.Exchange{x})
		if i%1000 == 999 {
			front.Flush(nil)
		}
	}
	must(front.Close())
	must(link.Close())
	for at := time.Second; at <= length; at += time.Second {
		tl.Add(evidence.Event{At: seconds(at), Kind: evidence.KindTick, Tick: &evidence.Tick{Offered: uint64(rate), Ended: uint64(rate),
			HiccupMax: seconds(time.Duration(rng.IntN(9e6)))}})
	}
	tl.Add(evidence.Event{At: seconds(length), Kind: evidence.KindEnd})
	must(tl.Close())
	return dir
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
