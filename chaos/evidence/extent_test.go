package evidence

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

var damages = flag.Int("damages", 60, "how often records are removed, repeated, exchanged and changed at random")

// summed makes the directory of a run of so many seconds as the recorder does: what
// ended in a second is written, and then the second, with the extents of the files.
func summed(t *testing.T, seed uint64, seconds int, sums bool) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "evidence"), 0o755))
	tl := TimelineIn(inputtest.File(t, filepath.Join(dir, TimelineFile)))
	sampleWriter, err := CreateSamples(filepath.Join(dir, SamplesFile), []string{"pay", "browse"}, 1, 0)
	must(err)
	exchangeWriter, err := ExchangesIn(inputtest.File(t, filepath.Join(dir, ExchangesFile("payments"))), 0)
	must(err)
	tl.Add(start)
	id := uint64(0)
	for s := range seconds {
		tick, link := Tick{}, LinkTick{}
		for range 20 + rng.IntN(20) {
			id++
			at := time.Duration(s)*time.Second + time.Duration(rng.IntN(900))*time.Millisecond
			sampleWriter.Record(0, load.Sample{ID: id, Intended: at, Sent: at, Done: at + 9, Status: 200})
			tick.Ended++
			for k := range rng.IntN(3) {
				exchangeWriter.Write([]Exchange{{Seq: 3*id + uint64(k), ID: id, Begin: at + 1, End: at + 8, Method: "GET", Path: "/", Status: 200}})
				link.Ended++
			}
		}
		sampleWriter.Flush(nil)
		if sums {
			tick.Extent, link.Extent = sampleWriter.Extent(), exchangeWriter.Extent()
		}
		tick.Links = map[string]LinkTick{"payments": link}
		tl.Add(Event{At: Seconds(time.Duration(s+1) * time.Second), Kind: KindTick, Tick: &tick})
	}
	tl.Add(Event{At: Seconds(time.Duration(seconds) * time.Second), Kind: KindEnd})
	must(sampleWriter.Close())
	must(exchangeWriter.Close())
	must(tl.Close())
	return dir
}

// rowsOf are the lines of a file.
func rowsOf(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.SplitAfter(string(text), "\n")
	return rows[:len(rows)-1] // the last one ends with a newline, too
}

// damage changes rows by chance, and says how. The header stays.
func damage(rows []string, rng *rand.Rand) ([]string, string) {
	i, j := 1+rng.IntN(len(rows)-1), 1+rng.IntN(len(rows)-1)
	switch rng.IntN(5) {
	case 0:
		n := 1 + rng.IntN(min(5, len(rows)-i))
		return slices.Delete(rows, i, i+n), fmt.Sprintf("%d removed from row %d", n, i)
	case 1:
		return slices.Insert(rows, j, rows[i]), fmt.Sprintf("row %d again in front of %d", i, j)
	case 2:
		was := rows[i]
		rows[i], rows[j] = rows[j], rows[i]
		if was == rows[i] {
			return rows, ""
		}
		return rows, fmt.Sprintf("rows %d and %d exchanged", i, j)
	case 3: // a removal that a repetition makes up for
		if i == j || rows[i] == rows[j] {
			return rows, ""
		}
		rows[i] = rows[j]
		return rows, fmt.Sprintf("row %d in the place of %d", j, i)
	}
	was := rows[i]
	rows[i] = strings.Replace(was, ",200,", ",503,", 1)
	return rows, fmt.Sprintf("row %d with another status", i)
}

// TestDamageIsNoticed: whatever is removed, repeated, exchanged or changed in a file
// of records, the run says which file it is, and leaves its counts in doubt.
func TestDamageIsNoticed(t *testing.T) {
	for k := range *damages {
		seed := uint64(k)
		rng := rand.New(rand.NewPCG(seed, 2))
		dir := summed(t, seed%10, 5, true)
		file := []string{SamplesFile, ExchangesFile("payments")}[rng.IntN(2)]
		path := filepath.Join(dir, file)
		rows, how := damage(rowsOf(t, path), rng)
		if err := os.WriteFile(path, []byte(strings.Join(rows, "")), 0o644); err != nil {
			t.Fatal(err)
		}
		run, err := Read(dir)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, how, err)
		}
		if how == "" {
			continue // nothing was changed
		}
		if run.Lost[file] == 0 || len(run.Lost) != 1 {
			t.Errorf("seed %d: %s, %s: lost %v", seed, file, how, run.Lost)
		}
		for _, f := range run.Flaws {
			if f.File != file || f.To == 0 {
				t.Errorf("seed %d: %s, %s: no file and second: %s", seed, file, how, f)
			}
		}
	}
}

// What was not touched has no flaw, with sums and without; what was cut at its end by
// a kill has none either; and what was put behind its end has.
func TestWholeFilesHaveNoFlaw(t *testing.T) {
	none := func(what, dir string) {
		t.Helper()
		run, err := Read(dir)
		if err != nil || len(run.Lost) > 0 || len(run.Flaws) > 0 {
			t.Errorf("%s: %v, lost %v, %v", what, err, run.Lost, run.Flaws)
		}
	}
	for seed := range uint64(10) {
		none("whole", summed(t, seed, 5, true))
		none("of an earlier version", summed(t, seed, 5, false))
		dir := summed(t, seed, 5, true)
		events := rowsOf(t, filepath.Join(dir, TimelineFile))
		kept := strings.Join(events[:len(events)-1], "")
		if err := os.WriteFile(filepath.Join(dir, TimelineFile), []byte(kept), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{SamplesFile, ExchangesFile("payments")} {
			path := filepath.Join(dir, file)
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()-5)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		none("killed", dir)
	}
}

// A timeline that has no sums of itself any more is none of an earlier version, where
// its seconds have those of other files.
func TestSumsThatWereTakenOut(t *testing.T) {
	dir := summed(t, 1, 5, true)
	path := filepath.Join(dir, TimelineFile)
	own := regexp.MustCompile(`,"before":\{[^}]*\}`)
	text := own.ReplaceAllString(strings.Join(rowsOf(t, path), ""), "")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil || len(run.Flaws) != 1 || run.Flaws[0].File != TimelineFile {
		t.Errorf("%v, %v", run.Flaws, err)
	}
}

// The seconds themselves are evidence: repeated, removed or in another order they do
// not add up with the records.
func TestSecondsOutOfOrder(t *testing.T) {
	for how, change := range map[string]func(rows []string) []string{
		"exchanged": func(rows []string) []string { rows[2], rows[3] = rows[3], rows[2]; return rows },
		"repeated":  func(rows []string) []string { return slices.Insert(rows, 3, rows[2]) },
		"removed":   func(rows []string) []string { return slices.Delete(rows, 2, 3) },
	} {
		for _, sums := range []bool{true, false} {
			dir := summed(t, 1, 5, sums)
			path := filepath.Join(dir, TimelineFile)
			if err := os.WriteFile(path, []byte(strings.Join(change(rowsOf(t, path)), "")), 0o644); err != nil {
				t.Fatal(err)
			}
			if run, err := Read(dir); err != nil || len(run.Flaws) == 0 {
				t.Errorf("%s, sums %v: %v, lost %v", how, sums, err, slices.Collect(maps.Keys(run.Lost)))
			}
		}
	}
}
