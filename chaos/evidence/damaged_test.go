package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
)

// Records that are gone, or are there twice, at the ends of lines, leave files that
// read well: the ticks know better. What the run itself said it lost counts once.
func TestRecordsAreComparedWithTheTicks(t *testing.T) {
	var samples []load.Sample
	var exchanges []Exchange
	for i := range 20 {
		at := time.Duration(i) * 100 * time.Millisecond
		samples = append(samples, load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + 9, Status: 200})
		exchanges = append(exchanges, Exchange{Seq: uint64(i + 1), ID: uint64(i + 1), Begin: at + 1, End: at + 8, Method: "GET", Path: "/", Status: 200})
	}
	second := func(at time.Duration, lost uint64) Event {
		return Event{At: Seconds(at), Kind: KindTick,
			Tick: &Tick{Ended: 9, Unsent: 1, Lost: lost, Links: map[string]LinkTick{"payments": {Ended: 10}}}}
	}
	events := func(lost uint64) []Event {
		return []Event{start, second(time.Second, 0), second(2*time.Second, lost), {At: Seconds(2 * time.Second), Kind: KindEnd}}
	}
	const link = "evidence/link-payments.csv"
	for _, c := range []struct {
		name   string
		file   string
		damage func(rows []string) []string
		lost   uint64 // as told by the run
		want   map[string]uint64
		says   string // the flaw, "" is none
	}{
		{"whole", SamplesFile, func(rows []string) []string { return rows }, 0, map[string]uint64{}, ""},
		{"half of the requests", SamplesFile, func(rows []string) []string { return rows[:10] }, 0, map[string]uint64{SamplesFile: 10},
			SamplesFile + ": 10 records missing, the first between 1s and 2s"},
		{"every fifth exchange", link, func(rows []string) []string {
			return slices.Concat(rows[1:5], rows[6:10], rows[11:15], rows[16:])
		}, 0, map[string]uint64{link: 4},
			link + ": 4 records missing, the first between 0s and 1s"},
		{"told, and two more", link, func(rows []string) []string { return rows[5:] }, 3, map[string]uint64{"records": 3, link: 2},
			link + ": 2 records missing, the first between 0s and 1s"},
		{"told", link, func(rows []string) []string { return rows[5:] }, 5, map[string]uint64{"records": 5}, ""},
		{"requests twice", SamplesFile, func(rows []string) []string { return slices.Concat(rows, rows) }, 0,
			map[string]uint64{SamplesFile: 20},
			SamplesFile + ": 20 records there twice, the first between 0s and 1s"},
		{"an exchange twice", link, func(rows []string) []string { return append(rows, rows[7]) }, 0,
			map[string]uint64{link: 1},
			link + ": 1 record there twice, the first between 0s and 1s"},
		{"none", link, func([]string) []string { return nil }, 0, map[string]uint64{link: 20},
			link + ": 20 records missing, the first between 0s and 1s"},
	} {
		dir := record(t, samples, exchanges, events(c.lost)...)
		path := filepath.Join(dir, c.file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
		rows[len(rows)-1] += "\n"
		damaged := rows[0] + strings.Join(c.damage(slices.Clone(rows[1:])), "")
		if err := os.WriteFile(path, []byte(damaged), 0o644); err != nil {
			t.Fatal(err)
		}
		run, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(run.Lost) != len(c.want) {
			t.Errorf("%s: lost %v, want %v", c.name, run.Lost, c.want)
		}
		if len(run.Flaws) > 1 || len(run.Flaws) == 1 && run.Flaws[0].String() != c.says || len(run.Flaws) == 0 && c.says != "" {
			t.Errorf("%s: flaws %v, want %q", c.name, run.Flaws, c.says)
		}
		for file, n := range c.want {
			if run.Lost[file] != n {
				t.Errorf("%s: lost %v, want %v", c.name, run.Lost, c.want)
			}
		}
	}

	// Without any second nobody knows how the harness was.
	run, err := Read(record(t, samples, exchanges, start, Event{At: Seconds(2 * time.Second), Kind: KindEnd}))
	if err != nil || run.Lost[TimelineFile] == 0 {
		t.Errorf("no ticks: %v, lost %v", err, run.Lost)
	}
	// Of a run that was killed the records of its last second may not have been written.
	if run, err := Read(record(t, samples[:12], exchanges, events(0)[:3]...)); err != nil || len(run.Lost) != 0 {
		t.Errorf("killed: %v, lost %v", err, run.Lost)
	}
	if run, err := Read(record(t, samples[:9], exchanges, events(0)[:3]...)); err != nil || run.Lost[SamplesFile] != 1 {
		t.Errorf("killed, and one is gone: %v, lost %v", err, run.Lost)
	}
	// One that was stopped came to its end all the same.
	stopped := slices.Insert(events(0), 3, Event{At: Seconds(2 * time.Second), Kind: KindStop, Text: "interrupted"})
	if run, err := Read(record(t, samples, exchanges[1:], stopped...)); err != nil || !run.Partial || run.Lost[link] != 1 {
		t.Errorf("stopped: %v, lost %v", err, run.Lost)
	}
	// A record that was put in, and seconds that were taken out with their records.
	added := append(slices.Clone(exchanges), Exchange{Seq: 21, ID: 21, Begin: 1_950_000_000, End: 1_960_000_000, Status: 200})
	if run, err := Read(record(t, samples, added, events(0)...)); err != nil || run.Lost[link] != 1 {
		t.Errorf("added: %v, lost %v", err, run.Lost)
	}
	late := []Event{start, second(time.Second, 0), {At: Seconds(3 * time.Second), Kind: KindEnd}}
	if run, err := Read(record(t, samples[:10], exchanges[:10], late...)); err != nil || run.Lost[TimelineFile] != 1 {
		t.Errorf("without its last seconds: %v, lost %v", err, run.Lost)
	}
}
