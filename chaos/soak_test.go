package chaos

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/proxy/http"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input/inputtest"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/load/watch"
)

// For a soak of a week: go test ./chaos -run TestSoakAtSpeed -v -soak-chapters 1008 -soak-chapter 10m
var (
	soakChapters = flag.Int("soak-chapters", 20, "chapters of a soak that is recorded at speed, one in ten of them bad")
	soakChapter  = flag.Duration("soak-chapter", time.Minute, "how long each of them is")
)

// soakRate is the rate of the load, per second.
const soakRate = 10

// atSpeed records a soak by the code that records them, as fast as it takes it in: the
// clock is the test's.
type atSpeed struct {
	t      *testing.T
	rec    *recorder
	s      *soak
	next   int
	rng    *rand.Rand
	times  *hist.Histogram
	judged atomic.Int32
	now    time.Duration
	peak   uint64 // bytes of the heap in use
}

// badAt reports whether the system is broken at a moment: for 5 s in each tenth chapter.
func badAt(due time.Duration) bool {
	k, in := due / *soakChapter, due%*soakChapter
	return k%10 == 6 && in > *soakChapter/2 && in < *soakChapter/2+5*time.Second
}

func (a *atSpeed) second() {
	from := a.now
	a.now += time.Second
	call := a.rec.exchange("bank")
	for range soakRate {
		due := time.Duration(a.next) * time.Second / soakRate
		a.next++
		took := time.Millisecond + time.Duration(a.rng.ExpFloat64()*float64(5*time.Millisecond))
		s := load.Sample{ID: uint64(a.next), Intended: due, Sent: due, Done: due + took, Status: 200}
		if badAt(due) {
			s.Status, s.Outcome = 503, load.ServerError
		}
		a.times.Record(took)
		a.rec.observe(0, s)
		call(evidence.Exchange{Seq: s.ID, ID: s.ID, Conn: 1, Begin: due, End: due + took/2, Method: "GET", Path: "/", Status: s.Status})
	}
	a.rec.start = time.Now().Add(-a.now)
	a.rec.flush()
	a.rec.second(watch.Second{From: from, At: a.now, Counts: a.rec.watch.Tally.Delta(), Host: meter.Hiccup{P99: time.Microsecond, Max: time.Microsecond}})
}

// until waits for the chapters that are whole, so that they come no faster than they are
// judged.
func (a *atSpeed) until(end time.Duration) {
	for a.now < end {
		a.second()
		whole := int32((a.now - 3*time.Second) / *soakChapter)
		for a.now%*soakChapter == 3*time.Second && a.judged.Load() < whole {
			time.Sleep(time.Millisecond)
		}
		if a.now%time.Hour == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			a.peak = max(a.peak, m.HeapInuse)
		}
	}
}

func newAtSpeed(t *testing.T, dir string) (*atSpeed, *experiment.Experiment) {
	t.Helper()
	length := time.Duration(*soakChapters) * *soakChapter
	text := fmt.Sprintf(`name: week
targets: {a: {url: "http://127.0.0.1:1"}, b: {url: "http://127.0.0.1:2"}}
links: {bank: {from: a, to: b}}
load: {rate: %d/s, duration: %s, timeout: 1s, routes: [{name: pay, to: a, get: /}]}
claims:
  - steady: {success: 99%%, over: %s}
  - steady: {p99: 1s}
soak: {chapter: %s}
`, soakRate, length, *soakChapter/2, *soakChapter)
	if err := os.WriteFile(filepath.Join(dir, ExperimentFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := experiment.Parse(filepath.Join(dir, ExperimentFile), []byte(text), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	schedule, err := x.Load.Schedule(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, is := chapterPlan(x, nil, length)
	if !is {
		t.Fatal("it is no soak")
	}
	h := header(x, schedule, timeline.Timeline{}, time.Unix(1e9, 0))
	h.Soak = true
	a := &atSpeed{t: t, rng: rand.New(rand.NewPCG(1, 2)), times: hist.New()}
	if a.rec, err = newRecorder(dir, h, 0, schedule, 1, map[string]proxy.Relay{"bank": new(http.Relay)}); err != nil {
		t.Fatal(err)
	}
	if a.s, err = newSoak(x, plan, nil, schedule, a.rec, nil, soakOptions{tell: func(string, []judge.Verdict) { a.judged.Add(1) }}); err != nil {
		t.Fatal(err)
	}
	return a, x
}

// One chapter in ten is bad: it is refuted, its evidence is kept, and no other's ruling
// is touched by it. The directory is within the bound that was told, the percentiles are
// those of all requests, and what is judged again from the disk is ruled the same.
func TestSoakAtSpeed(t *testing.T) {
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	a, x := newAtSpeed(t, dir)
	length := time.Duration(*soakChapters) * *soakChapter
	began := time.Now()
	a.until(length)
	a.rec.start = time.Now().Add(-a.now)
	if err := a.rec.chapters.Close(length); err != nil {
		t.Fatal(err)
	}
	a.rec.add(evidence.Event{At: evidence.Seconds(length), Kind: evidence.KindEnd})
	if err := a.rec.closeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := a.s.judges.end(); err != nil {
		t.Fatal(err)
	}
	t.Logf("recorded and judged %d chapters of %s in %s; heap at most %d MiB", *soakChapters, *soakChapter, time.Since(began).Round(time.Millisecond), a.peak>>20)
	size := sizeOf(dir)
	t.Logf("the directory has %d KiB, %s", size>>10, a.s.text())
	if size > a.s.most {
		t.Errorf("the directory has %d bytes, and at most %d were told", size, a.s.most)
	}

	r, err := judgeSoak(dir, nil, false, false)
	if err != nil {
		t.Fatal(err)
	}
	bad := (*soakChapters + 3) / 10
	want := fmt.Sprintf("refuted in %d of %d chapters; the first is chapter 7 ", bad, *soakChapters)
	if v := r.Verdicts[0]; v.Ruling != judge.Refuted || !strings.HasPrefix(v.Reason, want) || len(v.IDs) == 0 {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
	if v := r.Verdicts[1]; v.Ruling != judge.Held || v.Reason != fmt.Sprintf("held in all of %d chapters", *soakChapters) {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
	for k := range bad {
		if number := 7 + 10*k; !slices.Contains(r.Chapters.Kept, number) {
			t.Errorf("the evidence of chapter %d is not kept: %v", number, r.Chapters.Kept)
		}
	}
	if n := len(r.Chapters.Kept); n != min(*soakChapters, bad+2+8) {
		t.Errorf("the evidence of %d is kept: %v", n, r.Chapters.Kept)
	}
	if got := r.Routes[0].Requests; got != uint64(*soakChapters)*uint64(*soakChapter/time.Second)*soakRate {
		t.Errorf("%d requests", got)
	}
	if got, want := r.Routes[0].Response.P99, float64(a.times.Quantile(0.99))/float64(time.Millisecond); got != want {
		t.Errorf("p99 is %v ms, want %v", got, want)
	}

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began = time.Now()
	again, err := Judge(dir)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	t.Logf("judged again in %s; heap %d MiB more", time.Since(began).Round(time.Millisecond), (int64(after.HeapInuse)-int64(before.HeapInuse))>>20)
	if diff := cmp.Diff(r.Verdicts, again.Verdicts); diff != "" {
		t.Errorf("judged again (-at the time +now):\n%s", diff)
	}
	one, err := Judge(chapters.Dir(dir, 7))
	if err != nil || one.Verdicts[0].Ruling != judge.Refuted || one.Verdicts[1].Ruling != judge.Held {
		t.Errorf("chapter 7 by itself: %v, %+v", err, one)
	}
	if set, err := Judge(dir, "claims[0].steady.success=1%"); err != nil || set.Verdicts[0].Ruling != judge.Inconclusive {
		t.Errorf("what was not kept is ruled on by other claims: %v, %+v", err, set.Verdicts[0])
	}
	if x.Name != again.Name || again.Partial {
		t.Errorf("%+v", again)
	}
	withoutChapters(t, dir)
	exchangedChapters(t, dir)
}

// exchangedChapters puts chapters of a soak into others' places, one of another soak
// among them: then nothing is held or refuted. A link is no chapter.
func exchangedChapters(t *testing.T, dir string) {
	t.Helper()
	kept, err := chapters.Kept(dir)
	if err != nil || len(kept) < 3 {
		t.Fatal(kept, err)
	}
	one, two, more := chapters.Dir(dir, kept[0]), chapters.Dir(dir, kept[1]), chapters.Dir(dir, *soakChapters+1)
	timeline := filepath.Join(one, evidence.TimelineFile)
	whole, err := os.ReadFile(timeline)
	if err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(t.TempDir(), "aside")
	swap := func() error { return errors.Join(os.Rename(one, aside), os.Rename(two, one), os.Rename(aside, two)) }
	for name, c := range map[string]struct {
		do, undo func() error
		says     string
	}{
		"two exchanged": {swap, swap, "another chapter"},
		"one more, which is a copy": {func() error { return os.CopyFS(more, os.DirFS(one)) },
			func() error { return os.RemoveAll(more) }, "another chapter"},
		"one more, which is a link": {func() error { return os.Symlink(filepath.Base(one), more) }, func() error { return os.Remove(more) }, ""},
		"one of another soak's": {func() error {
			other := strings.Replace(string(whole), `"started":"2001-`, `"started":"2002-`, 1)
			return os.WriteFile(timeline, []byte(other), 0o600)
		}, func() error { return os.WriteFile(timeline, whole, 0o600) }, "another chapter"},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := Judge(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range r.Verdicts {
			if open := v.Ruling == judge.Inconclusive && strings.Contains(v.Reason, c.says); open != (c.says != "") {
				t.Errorf("%s: %s: %s", name, v.Ruling, v.Reason)
			}
		}
		if err := c.undo(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// withoutChapters removes chapters of a soak, with what they came to: then nothing is
// held or refuted.
func withoutChapters(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, chapters.File)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.SplitAfter(strings.TrimSuffix(string(whole), "\n"), "\n")
	for _, k := range []int{0, 6, len(rows) - 1} {
		text := strings.Join(slices.Concat(rows[:k], rows[k+1:]), "")
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(text, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		chapter, aside := chapters.Dir(dir, k+1), filepath.Join(t.TempDir(), "aside")
		if err := os.Rename(chapter, aside); err != nil {
			t.Fatal(err)
		}
		r, err := judgeSoak(dir, nil, false, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.Verdicts {
			if v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, "missing") {
				t.Errorf("without chapter %d: %s: %s", k+1, v.Ruling, v.Reason)
			}
		}
		if err := errors.Join(os.Rename(aside, chapter), os.WriteFile(file, whole, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// A soak that was cut off is gone on with: what was judged stands, the chapter that was
// open is blank, and so is the one that begins in the middle.
func TestSoakIsResumed(t *testing.T) {
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	a, x := newAtSpeed(t, dir)
	at := 3**soakChapter + *soakChapter/3
	a.until(at)
	for _, path := range []string{evidence.TimelineFile, evidence.SegmentName(0, evidence.TicksSuffix), evidence.SegmentName(0, "-front.hlog")} {
		f, err := os.OpenFile(filepath.Join(dir, path), os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"half a l`) // and nothing is closed: that is a kill -9
		f.Close()
	}
	r, err := resumptionOf(inputtest.Root(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if r.from != at || r.chapter != 5 || len(r.waiting) != 1 || r.waiting[0].Number != 4 || r.steady {
		t.Errorf("%+v", r)
	}
	schedule, err := x.Load.Schedule(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.started = time.Now().Add(-at - 10*time.Second)
	left, begin := r.rest(schedule, 0)
	if gap := r.to - r.from; gap < 10*time.Second || gap > 20*time.Second || time.Since(begin) < at || time.Since(begin) > r.to {
		t.Errorf("the gap is from %v to %v, and the load began %v ago", r.from, r.to, time.Since(begin))
	}
	for due := range left.Arrivals() {
		if due < r.to || due > r.to+time.Second/soakRate {
			t.Errorf("the first arrival is due at %v, and it goes on at %v", due, r.to)
		}
		break
	}
	r.to = 4**soakChapter - *soakChapter/3 // in whole seconds
	h := header(x, schedule, timeline.Timeline{}, time.Unix(1e9, 0))
	h.Soak = true
	plan, _ := chapterPlan(x, nil, schedule.Duration())
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	rec, err := makeRecorder(root, h, 0, schedule, 1, map[string]proxy.Relay{"bank": new(http.Relay)}, r)
	if err != nil {
		t.Fatal(err)
	}
	b := &atSpeed{t: t, rec: rec, rng: a.rng, times: hist.New(), now: r.to, next: int(r.to.Seconds() * soakRate)}
	b.judged.Add(3)
	if b.s, err = newSoak(x, plan, nil, schedule, rec, r, soakOptions{tell: func(string, []judge.Verdict) { b.judged.Add(1) }}); err != nil {
		t.Fatal(err)
	}
	gap := r.gap()
	rec.add(evidence.Event{At: gap.To, Kind: evidence.KindGap, Gap: &gap})
	b.until(6 * *soakChapter)
	if err := rec.chapters.Close(b.now); err != nil {
		t.Fatal(err)
	}
	rec.add(evidence.Event{At: evidence.Seconds(b.now), Kind: evidence.KindEnd})
	if err := rec.closeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := b.s.judges.end(); err != nil {
		t.Fatal(err)
	}
	got, err := Judge(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := chapters.Entries(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rulings []string
	for _, e := range entries {
		rulings = append(rulings, fmt.Sprintf("%d %s", e.Number, e.Ruling))
	}
	want := []string{"1 held", "2 held", "3 held", "4 inconclusive", "5 inconclusive", "6 held"}
	if n := len(rulings); n < len(want) || !slices.Equal(rulings[:len(want)], want) {
		t.Errorf("%v", rulings)
	}
	if len(got.Notes) == 0 || !strings.Contains(strings.Join(got.Notes, "\n"), "the harness was not there from") {
		t.Errorf("%q", got.Notes)
	}
	if missed := uint64((r.to - at).Seconds() * soakRate); got.Routes[0].Requests != uint64(b.now.Seconds()*soakRate)-missed {
		t.Errorf("%d requests of %v without %d", got.Routes[0].Requests, b.now, missed)
	}
	if whole := got.Series.Whole; !slices.Contains(whole.Harness.Unwell, true) {
		t.Error("the gap is not hatched")
	}
}

// A machine that was suspended saw nothing meanwhile: that is a gap, and nothing is told
// of the chapter.
func TestSuspensionIsAGap(t *testing.T) {
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	a, _ := newAtSpeed(t, dir)
	a.until(20 * time.Second)
	suspended := a.rec.slept + 90*time.Second
	a.rec.suspended = func() time.Duration { return suspended }
	a.until(2**soakChapter + 10*time.Second)
	if err := a.rec.chapters.Close(a.now); err != nil {
		t.Fatal(err)
	}
	if err := a.rec.closeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := a.s.judges.end(); err != nil {
		t.Fatal(err)
	}
	entries, err := chapters.Entries(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %d chapters", err, len(entries))
	}
	if !strings.Contains(entries[0].Blank, "suspended for 1m30s") || entries[0].Ruling != judge.Inconclusive || entries[1].Ruling != judge.Held {
		t.Errorf("%+v", entries[:2])
	}
	if run, err := evidence.Read(dir); err != nil || len(run.Gaps) != 1 || run.Gaps[0].To.Duration() != 21*time.Second {
		t.Errorf("%v, %+v", err, run.Gaps)
	}
}
