package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/proxy/http"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/watch"
)

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What recording takes goes with what happens, not with how many routes and links
// there are.
func TestManyRoutesAndLinksTakeLittle(t *testing.T) {
	const routes, links, each, most = 1000, 500, 8, 100 << 20
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	h := evidence.Header{Name: "x", Started: time.Now(), Load: evidence.Seconds(time.Second)}
	relays := map[string]proxy.Relay{}
	for i := range routes {
		h.Routes = append(h.Routes, fmt.Sprint("route", i))
	}
	for i := range links {
		name := fmt.Sprint("link", i)
		relays[name] = new(http.Relay)
		h.Links = append(h.Links, evidence.Link{Name: name, From: "a", To: "b"})
	}
	before := heap()
	rec, err := newRecorder(dir, h, time.Second, arrivals.Constant(1000, time.Second), 2, relays)
	if err != nil {
		t.Fatal(err)
	}
	rec.begin(time.Now(), load.NewStats(2, time.Now()), nil)
	for i := range routes * each {
		took := time.Duration(1+i%37) * time.Millisecond
		rec.observe(i%2, load.Sample{ID: uint64(i + 1), Route: i % routes, Sent: 1, Done: took})
		rec.exchange(fmt.Sprint("link", i%links))(evidence.Exchange{Seq: uint64(i + 1), End: took, Status: 200})
	}
	rec.watch.Sync()
	if took := heap() - before; took > most {
		t.Errorf("%d routes and %d links of %d records take %d MiB", routes, links, routes*each, took>>20)
	} else {
		t.Logf("%d KiB", took>>10)
	}
	rec.stop()
	if err := rec.close(time.Second); err != nil {
		t.Fatal(err)
	}
	if run, err := evidence.Read(dir); err != nil || len(run.Samples) != routes*each || len(run.Links) != links {
		t.Errorf("read back: %v, %d samples, %d links", err, len(run.Samples), len(run.Links))
	}
}

// Whatever the loops and relays hand over comes out of the files again, each
// once, and the ticks and histograms agree with it.
func TestRecorderKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	h := evidence.Header{Name: "x", Started: time.Now(), Load: evidence.Seconds(time.Second), Routes: []string{"pay", "send_lag"},
		Links: []evidence.Link{{Name: "front", From: "a", To: "b"}}}
	schedule := arrivals.Constant(1000, time.Second)
	relay := new(http.Relay)
	relay.CountUnread("response: malformed")
	rec, err := newRecorder(dir, h, 0, schedule, 2, map[string]proxy.Relay{"front": relay})
	if err != nil {
		t.Fatal(err)
	}
	rec.begin(time.Now(), load.NewStats(2, time.Now()), nil)
	const each = 5000
	done := make(chan struct{})
	for shard := range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range each {
				outcome := load.OK
				if i%10 == 0 {
					outcome = load.Unsent
				}
				rec.observe(shard, load.Sample{ID: uint64(shard*each + i + 1), Route: shard, Sent: 1, Done: time.Millisecond, Outcome: outcome})
			}
		}()
	}
	exchange := rec.exchange("front")
	for i := range each {
		status := []int{200, 404, 503, 0, 200}[i%5]
		exchange(evidence.Exchange{Seq: uint64(i + 1), End: 2 * time.Millisecond, Status: status})
	}
	<-done
	<-done
	rec.watch.Sync()
	if run, err := evidence.Read(dir); err != nil || len(run.Samples) != 2*each || !run.Partial {
		t.Errorf("after sync: %v, %d samples of %d", err, len(run.Samples), 2*each)
	}
	rec.stop()
	exchange(evidence.Exchange{Seq: each + 1, End: time.Second}) // the links go on after the load
	if err := rec.close(time.Second); err != nil {
		t.Fatal(err)
	}

	run, err := evidence.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if l := run.Links["front"]; l.Unread != 1 || l.FirstUnread != "response: malformed" {
		t.Errorf("%d connections unread, first %q", l.Unread, l.FirstUnread)
	}
	if len(run.Samples) != 2*each || len(run.Links["front"].Exchanges) != each+1 || run.Partial || run.End != time.Second || len(run.Lost) > 0 {
		t.Errorf("read back %d samples and %d exchanges, partial %v, end %v, lost %v", len(run.Samples), len(run.Links["front"].Exchanges), run.Partial, run.End, run.Lost)
	}
	routes, harness := routesAndHarness(t, dir, run)
	if harness.Sent != 2*each*9/10 || harness.Unsent != 2*each/10 || routes[0].Requests != each || routes[0].Outcomes["unsent"] != each/10 {
		t.Errorf("sent %d, unsent %d, route %+v", harness.Sent, harness.Unsent, routes[0])
	}
	// A route may be called like one of our own tags: 1 ms of response, 0 of lag.
	if got := routes[1].Response.P50; got < 1 || got > 1.01 {
		t.Errorf("response p50 of %s is %v ms, want 1", routes[1].Name, got)
	}
	var link evidence.LinkTick
	for _, tick := range run.Ticks {
		l := tick.Links["front"]
		link.Ended, link.Errors, link.P99 = link.Ended+l.Ended, link.Errors+l.Errors, max(link.P99, l.P99)
	}
	// Two of five have status 500 or none, and so has the last one.
	if link.Ended != each+1 || link.Errors != each*2/5+1 || link.P99.Duration() < 2*time.Millisecond {
		t.Errorf("the ticks tell of the link %+v", link)
	}
	behind := hist.New()
	for i, err := range logLines(filepath.Join(dir, linkLog("front"))) {
		if err != nil || i.Tag != "front" || i.AddTo(behind) != nil {
			t.Fatalf("link log: %v, %v", i, err)
		}
	}
	if behind.Count() != each+1 {
		t.Errorf("link log: %d of %d", behind.Count(), each+1)
	}
}

// What belongs to the warm-up is told of in a note of its own, and is nowhere
// else: not in the samples, the links, the ticks or the histograms. What watches
// over the system is told all the same.
func TestRecorderKeepsTheWarmupApart(t *testing.T) {
	const warmup = 300 * time.Millisecond
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	h := evidence.Header{Name: "x", Started: time.Now().Add(warmup), Load: evidence.Seconds(time.Second), Routes: []string{"pay"},
		Links: []evidence.Link{{Name: "front", From: "a", To: "b"}}}
	schedule := arrivals.Warmed(10, warmup, arrivals.Constant(10, time.Second)) // arrivals 1 to 3 are the warm-up's
	rec, err := newRecorder(dir, h, warmup, schedule, 1, map[string]proxy.Relay{"front": new(http.Relay)})
	if err != nil {
		t.Fatal(err)
	}
	observe, exchange := rec.observer(), rec.exchange("front")
	observe(0, load.Sample{ID: 1, Intended: 0, Sent: 1, Done: 10 * time.Millisecond, Outcome: load.ServerError})
	observe(0, load.Sample{ID: 2, Intended: 100 * time.Millisecond, Done: 110 * time.Millisecond, Outcome: load.Unsent})
	exchange(evidence.Exchange{Seq: 1, ID: 1, Begin: -warmup, End: -warmup + 1})
	exchange(evidence.Exchange{Seq: 2, ID: 3, Begin: 5 * time.Millisecond, End: 7 * time.Millisecond}) // a late retry
	exchange(evidence.Exchange{Seq: 3, Begin: -1, End: 1})                                             // of nobody we know
	var watched []evidence.Tick
	rec.begin(time.Now().Add(warmup), load.NewStats(1, time.Now()), func(_ time.Duration, tick evidence.Tick) { watched = append(watched, tick) })
	time.Sleep(warmup + 4*watch.FlushEvery)
	observe(0, load.Sample{ID: 3, Intended: 200 * time.Millisecond, Sent: 1, Done: time.Second}) // answered after its end
	observe(0, load.Sample{ID: 4, Intended: warmup, Sent: warmup + 1, Done: warmup + time.Millisecond})
	exchange(evidence.Exchange{Seq: 4, ID: 4, Begin: 1, End: 3})
	exchange(evidence.Exchange{Seq: 5, Begin: 2, End: 4})
	rec.stop()
	if err := rec.close(time.Second); err != nil {
		t.Fatal(err)
	}

	run, err := evidence.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Samples) != 1 || run.Samples[0].ID != 4 || run.Samples[0].Intended != 0 || run.Samples[0].Done != time.Millisecond {
		t.Errorf("samples: %+v", run.Samples)
	}
	if x := run.Links["front"].Exchanges; len(x) != 2 || x[0].Seq != 4 || x[1].Seq != 5 {
		t.Errorf("link: %+v", x)
	}
	if w := run.Warmup; w == nil || w.Length.Duration() != warmup || w.Outcomes[load.OK] != 1 || w.Outcomes[load.ServerError] != 1 || w.Outcomes[load.Unsent] != 1 || w.P99.Duration() < 700*time.Millisecond {
		t.Errorf("warm-up: %+v", w)
	}
	var ended uint64
	for _, tick := range run.Ticks {
		ended += tick.Ended + tick.Unsent
		if tick.At <= 0 {
			t.Errorf("a tick at %v", tick.At)
		}
	}
	if len(watched) < 2 || watched[0].Ended != 1 || watched[0].Unsent != 1 || ended != 1 {
		t.Errorf("the watcher was told %+v; the evidence has %d", watched, ended)
	}
	if routes, harness := routesAndHarness(t, dir, run); routes[0].Requests != 1 || harness.Unsent != 0 || routes[0].Response.Max > 2 {
		t.Errorf("%+v, %+v", routes, harness)
	}
}

// routesAndHarness is what the result of a run says of its routes and the harness.
func routesAndHarness(t *testing.T, dir string, run *evidence.Run) ([]result.Route, result.Harness) {
	t.Helper()
	seen, err := readLogs(dir, run, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := result.Of(new(experiment.Experiment), run, nil, seen.times)
	return r.Routes, r.Harness
}

// What cannot be written is said and counted, and does not stop anything.
func TestRecorderThatCannotBegin(t *testing.T) {
	dir := t.TempDir() // without its folders
	_, err := newRecorder(dir, evidence.Header{Routes: []string{"pay"}}, 0, arrivals.Constant(1, time.Second), 1, nil)
	if err == nil {
		t.Fatal("it began")
	}
	if fds := openFiles(t, dir); fds > 0 {
		t.Errorf("%d files are still open", fds)
	}
}

func openFiles(t *testing.T, below string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && len(target) > len(below) && target[:len(below)] == below {
			n++
		}
	}
	return n
}

func BenchmarkObserve(b *testing.B) {
	dir := b.TempDir()
	if err := subdirs(dir); err != nil {
		b.Fatal(err)
	}
	rec, err := newRecorder(dir, evidence.Header{Routes: []string{"pay"}}, 0, arrivals.Constant(1, time.Second), 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		rec.observe(0, load.Sample{ID: 1, Done: time.Millisecond})
	}
}

// The first file that cannot be written is told, once, while the run goes on.
// That evidence is bounded is no such case.
func TestRecorderTellsWhatItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	h := evidence.Header{Name: "x", Started: time.Now(), Load: evidence.Seconds(time.Second), Routes: []string{"pay"},
		Links: []evidence.Link{{Name: "front", From: "a", To: "b"}}}
	rec, err := newRecorder(dir, h, 0, arrivals.Constant(10, time.Second), 1, map[string]proxy.Relay{"front": new(http.Relay)})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 10)
	rec.onFail = func(err error) { told <- err }
	if err := rec.failure(); err != nil {
		t.Errorf("with nothing amiss: %v", err)
	}
	_ = rec.links["front"].log.Close() // whatever is written to it from now on fails
	rec.begin(time.Now(), load.NewStats(1, time.Now()), nil)
	if err := <-told; !strings.Contains(err.Error(), linkLog("front")) {
		t.Errorf("told %q, want %s in it", err, linkLog("front"))
	}
	time.Sleep(2 * watch.FlushEvery)
	rec.stop()
	if n := len(told); n != 0 {
		t.Errorf("told %d times more", n)
	}
	_ = rec.close(time.Second)
	if rec.failure() == nil {
		t.Error("it is forgotten when the files are closed")
	}
}

// What the schedule has after a run was stopped was not offered.
func TestNothingIsOfferedAfterTheEnd(t *testing.T) {
	rec := &recorder{schedule: arrivals.Constant(100, 10*time.Second)}
	if got := rec.offered(2*time.Second, 3*time.Second); got != 100 {
		t.Errorf("%d in a second, want 100", got)
	}
	rec.endAt(2250 * time.Millisecond)
	for from, want := range map[time.Duration]uint64{time.Second: 100, 2 * time.Second: 25, 3 * time.Second: 0} {
		if got := rec.offered(from, from+time.Second); got != want {
			t.Errorf("%d from %v on, want %d", got, from, want)
		}
	}
}

// newRecorder is makeRecorder in a folder.
func newRecorder(dir string, h evidence.Header, warmup time.Duration, schedule arrivals.Schedule, shards int,
	relays map[string]proxy.Relay) (*recorder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() // the recorder has its own
	return makeRecorder(root, h, warmup, schedule, shards, relays, nil)
}
