package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// dataDir is a run with two routes on data, as it is on disk: n requests, one a
// millisecond, writes and reads in turn.
func dataDir(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "evidence"), 0o700); err != nil {
		t.Fatal(err)
	}
	routes := []string{"reprice", "look"}
	timeline := TimelineIn(inputtest.File(t, filepath.Join(dir, TimelineFile)))
	timeline.Add(Event{Kind: KindStart, Start: &Header{Load: Seconds(time.Duration(n) * time.Millisecond), Routes: routes, Keys: 7, Sessions: 3,
		Access: []Access{{Route: "reprice", To: "shop", Data: "price", Writes: true}, {Route: "look", To: "shop", Data: "price"}}}})
	sampleWriter, err := CreateSamples(filepath.Join(dir, SamplesFile), routes, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	values, err := ValuesIn(inputtest.File(t, filepath.Join(dir, ValuesFile)), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var counts [2][load.Outcomes]uint64
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		s := load.Sample{ID: uint64(i + 1), Route: i % 2, Intended: at, Sent: at, Done: at + 100, Status: 200}
		sampleWriter.Record(0, s)
		value := s.ID - uint64(i%2)
		if i%10 == 9 {
			value = load.ForeignValue
		}
		values.Keep(0, uint64(i%7+1), value)
		values.Record(0, s.ID)
		counts[i%2][load.OK]++
	}
	sampleWriter.Flush(nil)
	values.Flush()
	extent := values.Extent()
	timeline.Add(Event{At: Seconds(time.Duration(n+1) * time.Millisecond), Kind: KindTick, Tick: &Tick{Ended: uint64(n), Extent: sampleWriter.Extent(), Values: &extent,
		Routes: map[string][load.Outcomes]uint64{"reprice": counts[0], "look": counts[1]}}})
	audit := &Audit{Name: "orders", Status: 200, Whole: true, IDs: []uint64{3, 1, load.ForeignValue, 3}}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := WriteAudit(root, audit); err != nil {
		t.Fatal(err)
	}
	timeline.Add(Event{At: Seconds(time.Duration(n+2) * time.Millisecond), Kind: KindAudit, Audit: audit})
	timeline.Add(Event{At: Seconds(time.Duration(n) * time.Millisecond), Kind: KindEnd})
	for _, err := range []error{sampleWriter.Close(), values.Close(), timeline.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What was written and read, and what an audit found, is read back as it was.
func TestValuesAreReadBack(t *testing.T) {
	run, err := Read(dataDir(t, 100))
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Flaws) > 0 || len(run.Lost) > 0 {
		t.Errorf("flaws %v, lost %v", run.Flaws, run.Lost)
	}
	ops := slices.Collect(run.Operations("price"))
	if len(ops) != 100 || len(slices.Collect(run.Operations("stock"))) != 0 {
		t.Fatalf("%d operations", len(ops))
	}
	if w := ops[0]; !w.Access.Writes || w.Certainty != Yes || w.ID != 1 || w.Value.Value != 1 || w.Key != 1 {
		t.Errorf("the first write: %+v", w)
	}
	if r := ops[3]; r.Access.Writes || r.ID != 4 || r.Value.Value != 3 || r.Key != 4 || r.Done-r.Sent != 100 {
		t.Errorf("the second read: %+v", r)
	}
	if r := ops[9]; r.Value.Value != load.ForeignValue {
		t.Errorf("a read of what is no id: %+v", r)
	}
	if run.Session(4) != 1 || run.Keys != 7 {
		t.Errorf("session %d of 4, %d keys", run.Session(4), run.Keys)
	}
	a := run.Audit("orders")
	if a == nil || !a.Whole || a.Found != 4 || !slices.Equal(a.IDs, []uint64{3, 1, load.ForeignValue, 3}) || a.At != 102*time.Millisecond {
		t.Errorf("the audit: %+v", a)
	}
	if run.Audit("total") != nil {
		t.Error("an audit that was not asked is there")
	}
}

// A file of values, or of an audit, that is not as it was written is noticed.
func TestChangedValuesAreNoticed(t *testing.T) {
	for name, change := range map[string]func(text string) string{
		"cut short": func(text string) string { return text[:len(text)/2] },
		"changed":   func(text string) string { return text[:20] + "9" + text[21:] },
		"gone":      func(string) string { return "" },
	} {
		dir := dataDir(t, 100)
		path := filepath.Join(dir, ValuesFile)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if changed := change(string(text)); changed == "" {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, []byte(changed), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		run, err := Read(dir)
		if err == nil && run.Lost[ValuesFile] == 0 {
			t.Errorf("%s: flaws %v, lost %v", name, run.Flaws, run.Lost)
		}
	}
	dir := dataDir(t, 10)
	if err := os.WriteFile(filepath.Join(dir, AuditFile("orders")), []byte("id\n3\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a := run.Audit("orders"); a.Whole || a.IDs != nil {
		t.Errorf("an audit that was changed: %+v", a)
	}
}

// Only what was acknowledged was surely done, and only what never left us, or what the
// service promises, was surely not.
func TestCertainty(t *testing.T) {
	a := Access{Writes: true, NotDone: []int{429}}
	for _, c := range []struct {
		outcome load.Outcome
		status  int
		want    Certainty
		told    bool
	}{
		{load.OK, 200, Yes, true}, {load.OK, 204, Yes, true}, {load.OK, 302, Maybe, false},
		{load.ClientError, 404, Maybe, true}, {load.ClientError, 409, Maybe, false}, {load.ClientError, 429, No, false},
		{load.ServerError, 503, Maybe, false}, {load.TimedOut, 0, Maybe, false}, {load.Reset, 0, Maybe, false},
		{load.Malformed, 0, Maybe, false}, {load.Wrong, 200, Maybe, false}, {load.TooLarge, 0, Maybe, false},
		{load.Refused, 0, No, false}, {load.Unsent, 0, No, false},
	} {
		s := load.Sample{Outcome: c.outcome, Status: c.status}
		if got := a.Certainty(&s); got != c.want {
			t.Errorf("%v, %d: %v, want %v", c.outcome, c.status, got, c.want)
		}
		if got := a.Told(&s); got != c.told {
			t.Errorf("a read with %v, %d says what was there: %v", c.outcome, c.status, got)
		}
	}
}
