package evidence

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/input/inputtest"
)

// Whatever is removed, repeated or exchanged in a timeline in front of its end is noticed,
// with the second: the harness of agents, audits and faults are in it, which no other
// file counts.
func TestDamagedTimelineIsNoticed(t *testing.T) {
	dir := summed(t, 1, 5, true)
	path := filepath.Join(dir, TimelineFile)
	whole := rowsOf(t, path)
	for seed := range uint64(*damages) {
		rng := rand.New(rand.NewPCG(seed, 4))
		rows, how := damage(slices.Clone(whole), rng)
		if how == "" || strings.HasSuffix(how, "with another status") || !slices.Contains(rows, whole[len(whole)-1]) {
			continue // as it was, or without its end, as by a kill
		}
		if err := os.WriteFile(path, []byte(strings.Join(rows, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		run, err := Read(dir)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, how, err)
		}
		if len(run.Flaws) == 0 || run.Flaws[0].File != TimelineFile || run.Flaws[0].To == 0 {
			t.Errorf("seed %d: %s: %v", seed, how, run.Flaws)
		}
	}
}

// A timeline that is gone on with, as that of a soak which was resumed, is as it was
// written.
func TestTimelineThatIsGoneOnWith(t *testing.T) {
	dir := summed(t, 1, 3, true)
	path := filepath.Join(dir, TimelineFile)
	rows := rowsOf(t, path)
	if err := os.WriteFile(path, []byte(strings.Join(rows[:len(rows)-1], "")+`{"half a l`), 0o600); err != nil {
		t.Fatal(err)
	}
	tl, err := AppendTimeline(inputtest.Root(t, dir), TimelineFile)
	if err != nil {
		t.Fatal(err)
	}
	tl.Add(Event{At: Seconds(3 * time.Second), Kind: KindNote, Text: "resumed"})
	tl.Add(Event{At: Seconds(3 * time.Second), Kind: KindEnd})
	if err := tl.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil || len(run.Flaws) > 0 || run.Partial {
		t.Errorf("flaws %v, partial %v, %v", run.Flaws, run.Partial, err)
	}
}

// A file of a megabyte, packed, that holds a gigabyte of ends of lines does not take the
// memory of as many records.
func TestLinesThatAreNoRecords(t *testing.T) {
	dir := summed(t, 1, 2, false)
	path := filepath.Join(dir, SamplesFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for _, text := range []string{sampleHeader, strings.Repeat("\n", 2*fewLines)} {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+packedSuffix, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "are no records") {
		t.Errorf("%d bytes of ends of lines: %v", packed.Len(), err)
	}
}

// An audit whose ids are not those that were found tells nothing.
func TestAuditWithOtherIDs(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"no extent":  func(text string) string { return strings.Replace(text, `,"bytes":`, `,"bites":`, 1) },
		"fewer told": func(text string) string { return strings.Replace(text, `"found":4`, `"found":3`, 1) },
	} {
		dir := dataDir(t, 20)
		path := filepath.Join(dir, TimelineFile)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(text), `"audit":{`)
		other := string(text[:at]) + change(string(text[at:]))
		if other == string(text) {
			t.Fatalf("%s: nothing is changed", name)
		}
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		run, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if a := run.Audit("orders"); a == nil || a.Whole || len(run.Flaws) == 0 {
			t.Errorf("%s: %+v, flaws %v", name, a, run.Flaws)
		}
	}
}
