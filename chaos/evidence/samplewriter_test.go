package evidence

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
)

// What a pen copies from the line before must not be seen in the lines.
func TestLinesAreThoseOfTheirSamples(t *testing.T) {
	routes := []string{"pay", "a route with a longer name"}
	file := filepath.Join(t.TempDir(), "front.csv")
	w, err := CreateSamples(file, routes, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte(sampleHeader)
	record := func(s load.Sample) {
		w.Record(0, s)
		want = fmt.Appendf(want, "%d,%s,%d,%d,%d,%d,%s\n", s.ID, routes[s.Route], s.Intended, s.Sent, s.Done, s.Status, s.Outcome)
	}
	for _, v := range []int64{0, 1, 9, 999_999, 1_000_000, 1_000_001, 1_999_999, 12_345_678, 12_000_000, 999_999, 0, math.MaxInt64, -1, math.MinInt64, 7_000_007} {
		record(load.Sample{ID: uint64(v), Intended: time.Duration(v), Sent: time.Duration(v), Done: time.Duration(v), Status: int(v)})
	}
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 50_000 {
		s := load.Sample{ID: uint64(i), Route: rng.IntN(2), Status: []int{200, 503, 0}[rng.IntN(3)], Outcome: load.Outcome(rng.IntN(load.Outcomes))}
		s.Intended = time.Duration(i) * 10 * time.Microsecond
		s.Sent = s.Intended + time.Duration(rng.ExpFloat64()*1e5)
		s.Done = s.Sent + time.Duration(rng.Uint64()>>(2+rng.UintN(60)))
		record(s)
		if i%1000 == 0 {
			w.Flush(nil)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, lines := strings.Split(string(text), "\n"), strings.Split(string(want), "\n")
	if len(got) != len(lines) {
		t.Fatalf("seed %d: %d lines, want %d", seed, len(got), len(lines))
	}
	for i := range lines {
		if got[i] != lines[i] {
			t.Fatalf("seed %d: line %d is %q, want %q", seed, i+1, got[i], lines[i])
		}
	}
}

// What goes in comes out, in order and once; what does not fit is counted. The
// ring holds few lines, so that they begin everywhere in it.
func TestRingLosesNothingInSilence(t *testing.T) {
	const enough = 20_000
	p := newPen([]string{"pay"}, 1)
	done := make(chan uint64, 1)
	go func() {
		total := uint64(0)
		for kept := 0; kept < enough; {
			total++
			lost := p.ring.lost.Load()
			p.write(&load.Sample{ID: total, Status: int(total)})
			if p.ring.lost.Load() == lost {
				kept++
			} else {
				runtime.Gosched() // the ring is full
			}
		}
		done <- total
	}()
	var got, last, total uint64
	drain := func() {
		first, second := p.ring.filled()
		for line := range bytes.Lines(append(append([]byte{}, first...), second...)) {
			var id, status uint64
			if _, err := fmt.Sscanf(string(line), "%d,pay,0,0,0,%d,ok\n", &id, &status); err != nil || id <= last || status != id {
				t.Fatalf("%q after sample %d (%v)", line, last, err)
			}
			last = id
			got++
		}
		p.ring.free(len(first) + len(second))
	}
	for running := true; running; {
		select {
		case total = <-done:
			running = false
		default:
		}
		drain()
	}
	drain()
	if lost := p.ring.lost.Load(); got+lost != total {
		t.Errorf("%d came out and %d were counted as lost, of %d", got, lost, total)
	}
}

func TestRingCountsOverflow(t *testing.T) {
	p := newPen([]string{"pay"}, 1)
	for range 1000 {
		p.write(&load.Sample{})
	}
	first, second := p.ring.filled()
	kept, lost := (len(first)+len(second))/len("0,pay,0,0,0,0,ok\n"), p.ring.lost.Load()
	if kept == 0 || lost == 0 || kept+int(lost) != 1000 || second != nil {
		t.Errorf("%d kept and %d lost, want some of each, together 1000", kept, lost)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	w, err := CreateSamples(filepath.Join(t.TempDir(), "front.csv"), []string{"pay"}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	id := uint64(1e9)
	if n := testing.AllocsPerRun(10_000, func() {
		id++
		w.Record(0, load.Sample{ID: id, Intended: time.Duration(id), Sent: time.Duration(id), Done: time.Duration(3 * id), Status: 200 + int(id%2)})
		if id%64 == 0 {
			w.Flush(nil)
		}
	}); n != 0 {
		t.Errorf("%v allocations per sample", n)
	}
}

func BenchmarkFrontRecord(b *testing.B) {
	p := newPen([]string{"pay"}, sampleRoom)
	s := load.Sample{ID: 12_345_678, Intended: 12_345_678_901, Sent: 12_345_679_001, Done: 12_346_678_901, Status: 200}
	b.ReportAllocs()
	for b.Loop() {
		s.ID++
		s.Intended += 10_000
		s.Sent += 10_000
		s.Done += 10_000
		p.write(&s)
		if s.ID&16383 == 0 {
			first, second := p.ring.filled()
			p.ring.free(len(first) + len(second))
		}
	}
}
