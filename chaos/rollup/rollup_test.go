package rollup

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

const routeSuffix = "-front.hlog"

// small is a retention in which a segment is a minute.
var small = Retention{Segment: time.Minute, Fine: 1, Middle: 3, Step: 10 * time.Second, Coarse: time.Minute}

// record writes seconds of a soak, and returns what all of them have in them.
func record(t *testing.T, dir string, from, to int, rng *rand.Rand) (times *hist.Histogram, ended uint64) {
	t.Helper()
	w, err := New(Config{Root: inputtest.Root(t, dir), Started: time.Unix(1000, 0), Logs: []string{routeSuffix}, Retention: small})
	if err != nil {
		t.Fatal(err)
	}
	times = hist.New()
	for i := from; i < to; i++ {
		h, n := hist.New(), uint64(50+rng.IntN(50))
		for range n {
			took := time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond))
			h.Record(took)
			times.Record(took)
		}
		ended += n
		late := time.Duration(rng.IntN(5)) * time.Millisecond
		at := time.Duration(i+1)*time.Second + late
		w.Second(time.Duration(i)*time.Second, at, &evidence.Tick{Ended: n, Offered: n, CPU: float64(i % 2), Pressure: float64(i%60) / 100,
			HiccupMax: evidence.Seconds(late), Routes: map[string][load.Outcomes]uint64{"pay": {load.OK: n}},
			Links: map[string]evidence.LinkTick{"bank": {Ended: n, InFlight: i % 7}}},
			map[string][]hist.Tagged{routeSuffix: {{Tag: "pay", Histogram: h}}})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return times, ended
}

// read is what the segments of a run directory have.
func read(t *testing.T, dir string) (ticks []evidence.Tick, times *hist.Histogram) {
	t.Helper()
	names, err := evidence.Segments(dir, evidence.TicksSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := evidence.ReadTicks(f, func(e evidence.Event) {
			tick := *e.Tick
			tick.At = e.At.Duration()
			ticks = append(ticks, tick)
		}); err != nil {
			t.Fatal(err)
		}
	}
	times = hist.New()
	if names, err = evidence.Segments(dir, routeSuffix); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range hist.NewLogReader(f).Lines() {
			if err == nil {
				err = i.AddTo(times)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		f.Close()
	}
	return ticks, times
}

// What is rolled up has the same counts and the same histogram, to the last value, and
// the worst second of what is no count.
func TestRollUpIsExact(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	want, ended := record(t, dir, 0, 700, rng)
	ticks, times := read(t, dir)
	for q := 0.0; q <= 1; q += 0.001 {
		if times.Quantile(q) != want.Quantile(q) {
			t.Fatalf("q %v: %v, want %v", q, times.Quantile(q), want.Quantile(q))
		}
	}
	if times.Count() != want.Count() {
		t.Errorf("%d times, want %d", times.Count(), want.Count())
	}
	var sum, routes, links uint64
	spans := map[int]int{}
	var seconds, worst int
	for i, tick := range ticks {
		sum += tick.Ended
		routes += tick.Routes["pay"][load.OK]
		links += tick.Links["bank"].Ended
		spans[tick.Spans()]++
		seconds += tick.Spans()
		if tick.Spans() == 60 {
			worst++
			if tick.Pressure != 0.59 || tick.Links["bank"].InFlight != 6 || tick.CPU != 0.5 || tick.Longest.Duration() > 1100*time.Millisecond {
				t.Errorf("a minute is %+v", tick)
			}
		}
		if i > 0 && tick.At <= ticks[i-1].At {
			t.Errorf("tick %d is not after the one before", i)
		}
	}
	if sum != ended || routes != ended || links != ended || seconds != 700 {
		t.Errorf("%d ended, %d by routes, %d by links, want %d; %d seconds", sum, routes, links, ended, seconds)
	}
	// Segments 0 to 10 are closed and 11 is open: 10 is fine, 9 and 8 are middle, 7 to 0 coarse.
	if spans[1] != 60+40 || spans[10] != 12 || spans[60] != 8 {
		t.Errorf("spans %v", spans)
	}
}

// A roll-up that is cut off leaves the old file, one that was killed leaves a file
// beside it that goes with the next, and a resumed soak loses no second but a torn one.
func TestRollUpIsAllOrNothing(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	record(t, dir, 0, 50, rng)
	name := evidence.SegmentName(0, evidence.TicksSuffix)
	path := filepath.Join(dir, name)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	folder := inputtest.Root(t, filepath.Dir(path))
	if err := replace(folder, filepath.Base(path), func(_ *os.File, w io.Writer) error {
		fmt.Fprintln(w, "half")
		return io.ErrUnexpectedEOF
	}); err == nil {
		t.Error("an error was lost")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the old file is another: %v", err)
	}
	for _, torn := range []string{path, filepath.Join(dir, evidence.SegmentName(0, routeSuffix)), path + beside} {
		f, err := os.OpenFile(torn, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"at_s":51,"ev`)
		f.Close()
	}
	record(t, dir, 52, 130, rng)
	if ticks, times := read(t, dir); len(ticks) == 0 || times.Count() == 0 || ticks[len(ticks)-1].At < 130*time.Second {
		t.Errorf("%d ticks", len(ticks))
	}
	if _, err := os.Stat(path + beside); !os.IsNotExist(err) {
		t.Errorf("what a killed roll-up left is there: %v", err)
	}
}

// Segments are in the directory that was opened, and no link in it is followed: one in
// the place of a segment, of what is written beside it, or of the folder.
func TestSegmentsFollowNoLink(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	record(t, dir, 0, 50, rng)
	path := filepath.Join(dir, evidence.SegmentName(0, evidence.TicksSuffix))
	folder, theirs := inputtest.Root(t, filepath.Dir(path)), filepath.Join(t.TempDir(), "theirs")
	text, err := os.ReadFile(path)
	if err := errors.Join(err, os.WriteFile(theirs, text, 0o600), os.Symlink(theirs, path+beside)); err != nil {
		t.Fatal(err)
	}
	if err := rollTicks(folder, filepath.Base(path), 10*time.Second); err == nil {
		t.Error("it was written through a link beside")
	}
	if err := errors.Join(os.RemoveAll(path+beside), os.Remove(path), os.Symlink(theirs, path)); err != nil {
		t.Fatal(err)
	}
	if err := rollTicks(folder, filepath.Base(path), 10*time.Second); err == nil {
		t.Error("a link was rolled up")
	}
	if after, err := os.ReadFile(theirs); err != nil || string(after) != string(text) {
		t.Errorf("their file has %d bytes instead of %d: %v", len(after), len(text), err)
	}
	other := t.TempDir()
	err = errors.Join(os.Mkdir(filepath.Join(other, "targets"), 0o700), os.Symlink("targets", filepath.Join(other, evidence.SegmentsFolder)))
	if err != nil {
		t.Fatal(err)
	}
	if w, err := New(Config{Root: inputtest.Root(t, other), Retention: small}); err == nil {
		_ = w.Close()
		t.Error("segments were put where a link leads")
	}
}
