package evidence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stormctl/stormctl/load"
)

// oddLines are lines that a writer wrote, with something done to some of them.
func oddLines(rng *rand.Rand, whole string, n int) []string {
	odd := []string{"", "-", "+", "-0", "0", "+7", "007", " 1", "1 ", "x", "-1", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "18446744073709551615", "18446744073709551616", "99999999999999999999", "100000000000000000000", "1,2", "ok", "ü", "1_0", "0x1"}
	all := []string{whole, whole + "\r", "," + whole, whole + ","}
	for range n {
		f := strings.Split(whole, ",")
		for range 1 + rng.IntN(2) {
			f[rng.IntN(len(f))] = odd[rng.IntN(len(odd))]
		}
		if rng.IntN(10) == 0 {
			f = f[:rng.IntN(len(f))]
		}
		all = append(all, strings.Join(f, ","))
	}
	return all
}

// What is read in place is what is read by way of fields, and so is what is wrong
// with it, on any line.
func TestReadsInPlaceWhatTheFieldsSay(t *testing.T) {
	const seed = 9
	rng := rand.New(rand.NewPCG(seed, 0))
	index := indexOf([]string{"pay", "browse"})
	sample, link := sampleReader{index: index}, exchangeReader{}
	check := func(line string, got, want any, err, wrong error) {
		t.Helper()
		if fmt.Sprint(err) != fmt.Sprint(wrong) {
			t.Fatalf("seed %d: %q: error %v, want %v", seed, line, err, wrong)
		}
		if wrong == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %q: %+v, want %+v", seed, line, got, want)
		}
	}
	for _, columns := range []int{sampleColumns, sampleColumns - 2} {
		for _, line := range oddLines(rng, "7,browse,1000,2000,3000,503,5xx", 20_000) {
			var s, want load.Sample
			err := sample.read(&s, []byte(line), columns)
			f, wrong := fieldsOf(nil, []byte(line), columns, sampleColumns)
			if wrong == nil {
				want, wrong = sampleOf(f, index)
			}
			check(line, s, want, err, wrong)
		}
	}
	for _, columns := range []int{exchangeColumns, exchangeColumns - 2} {
		for _, line := range oddLines(rng, "1,2,3,4,5,GET,/pay,200,answered,6,7+64+999,8,9,10,11,12", 40_000) {
			var x, want Exchange
			err := link.read(&x, []byte(line), columns)
			f, wrong := fieldsOf(nil, []byte(line), columns, exchangeColumns)
			if wrong == nil {
				want, wrong = exchangeOf(f, strings.Clone)
			}
			check(line, x, want, err, wrong)
		}
	}
}

// Any two numbers next to the largest are told apart.
func TestReadsLargeNumbers(t *testing.T) {
	for _, v := range []uint64{0, 9, 10, 1<<63 - 1, 1 << 63, 9999999999999999999, 10000000000000000000, math.MaxUint64 - 1, math.MaxUint64} {
		in := fields{line: fmt.Append(nil, v)}
		if got := in.uint(); got != v || !in.whole() {
			t.Errorf("%d is read as %d", v, got)
		}
	}
	for _, text := range []string{"18446744073709551616", "18446744073709551620", "99999999999999999999", "184467440737095516150"} {
		if in := (fields{line: []byte(text)}); in.uint() != 0 && in.whole() {
			t.Errorf("%s does not fit, and was taken", text)
		}
	}
}

// Records are in order as if they had been sorted stably, however they came.
func TestArrange(t *testing.T) {
	const seed = 2
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 300 {
		n := rng.IntN(200)
		got := make([]load.Sample, n)
		for i := range got {
			near := i
			if round%2 == 0 {
				near = rng.IntN(50) // far from in order, and many of a time
			}
			got[i] = load.Sample{Intended: time.Duration(near + rng.IntN(5)), ID: uint64(rng.IntN(3)), Status: i}
		}
		want := slices.Clone(got)
		slices.SortStableFunc(want, func(a, b load.Sample) int { return samplesInOrder(&a, &b) })
		arrange(got, samplesInOrder)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, round %d: %v, want %v", seed, round, got, want)
		}
	}
}

// The result is that of the files, however many of them are read at a time.
func TestReadDoesNotDependOnProcessors(t *testing.T) {
	dir := bigRun(t, 3000)
	header := *start.Start
	for _, name := range []string{"a", "b", "c"} {
		header.Links = append(header.Links, Link{Name: name})
	}
	read := func(n int) (*Run, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
		return Read(dir)
	}
	one, err := read(1)
	if err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 8; n *= 2 {
		more, err := read(n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(one, more, cmpopts.IgnoreUnexported(Run{}, Link{})); diff != "" {
			t.Errorf("with %d processors (-1 +%d):\n%s", n, n, diff)
		}
	}
	// Of several files that are wrong it is always the first that is told of.
	tl := header
	event := Event{Kind: KindStart, Start: &tl}
	dir = record(t, nil, nil, event)
	for _, name := range []string{"c", "a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, ExchangesFile(name)), []byte(exchangeHeader+"wrong "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 8; n *= 2 {
		if _, err := read(n); err == nil || !strings.Contains(err.Error(), "link-a.csv: line 2") {
			t.Errorf("with %d processors: %v, want that of link-a.csv", n, err)
		}
	}
}

// What is read takes its own memory and hardly more: nothing per record, and no
// second copy while it grows.
func TestReadingTakesWhatItKeeps(t *testing.T) {
	const n = 60_000
	dir := bigRun(t, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run, err := Read(dir)
	runtime.ReadMemStats(&after)
	if err != nil || len(run.Samples) != n {
		t.Fatal(err)
	}
	const kept = float64(unsafe.Sizeof(load.Sample{}) + unsafe.Sizeof(Exchange{}))
	if got := float64(after.TotalAlloc-before.TotalAlloc) / n; got > 1.3*kept {
		t.Errorf("%.0f bytes a request in all, want hardly more than %.0f", got, kept)
	}
	if got := after.Mallocs - before.Mallocs; got > n/10 {
		t.Errorf("%d allocations for %d requests", got, n)
	}
}

// Paths that do not repeat are not remembered for ever.
func TestNamesAreFew(t *testing.T) {
	var n names
	for i := range 3 * manyNames {
		text := fmt.Sprint("/user/", i)
		if got := n.keep([]byte(text)); got != text || len(n.kept) > manyNames {
			t.Fatalf("%q is kept as %q, one of %d", text, got, len(n.kept))
		}
	}
	if a, b := n.keep([]byte("/pay")), n.keep([]byte("/pay")); a != b {
		t.Errorf("%q and %q", a, b)
	}
}
