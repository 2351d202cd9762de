package evidence

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// record makes a run directory with one fault, as a run that ended well does.
func record(t *testing.T, samples []load.Sample, exchanges []Exchange, events ...Event) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "evidence"), 0o755))
	tl := TimelineIn(inputtest.File(t, filepath.Join(dir, TimelineFile)))
	for _, e := range events {
		tl.Add(e)
	}
	must(tl.Close())
	sampleWriter, err := CreateSamples(filepath.Join(dir, SamplesFile), []string{"pay", "browse"}, 1, 0)
	must(err)
	for _, s := range samples {
		sampleWriter.Record(0, s)
	}
	must(sampleWriter.Close())
	exchangeWriter, err := ExchangesIn(inputtest.File(t, filepath.Join(dir, ExchangesFile("payments"))), 0)
	must(err)
	exchangeWriter.Write(exchanges)
	must(exchangeWriter.Close())
	return dir
}

var start = Event{Kind: KindStart, Start: &Header{
	Name: "x", Seed: 7, Started: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Load: Seconds(10 * time.Second),
	Routes: []string{"pay", "browse"},
	Links:  []Link{{Name: "payments", From: "checkout", To: "bank"}},
	Faults: []Injection{{Index: 0, Name: "errors", Kind: "errors", On: "payments", Statuses: []int{503}, Share: 1, At: Seconds(time.Second), For: Seconds(2 * time.Second)}},
}}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	samples := []load.Sample{ // by Intended, as Read returns them
		{ID: 1, Route: 1, Intended: 1, Sent: 2, Done: 3, Status: 200},
		{ID: 2, Route: 0, Intended: 1_000_000_007, Sent: 1_000_000_009, Done: 2_000_000_001, Outcome: load.TimedOut},
	}
	exchanges := []Exchange{
		{Seq: 1, ID: 2, Conn: 3, Begin: 4, End: 5, Method: "POST", Path: "/a%2Cb", Status: 503, Ending: Injected, InFlight: 40,
			Faults: 1 << 63, Key: 1<<64 - 1, Payload: 9, Own: 201,
			Extras: &Extras{RetryAfter: 2 * time.Second, BytesUp: 10, BytesDown: 1 << 40, Further: &FaultSet{1: 1, 15: 1 << 39}}},
	}
	written := append([]Exchange(nil), exchanges...)
	written[0].Path = "/a,b" // comes back percent-encoded: one field stays one field
	// A completion order other than the order of arrival must not matter.
	dir := record(t, []load.Sample{samples[1], samples[0]}, written, start,
		Event{At: Seconds(1_000_000_123), Kind: KindInject, Fault: 1},
		Event{At: Seconds(3_000_000_456), Kind: KindHeal, Fault: 1, Overflow: 17},
		Event{At: Seconds(time.Second), Kind: KindTick, Tick: &Tick{Offered: 500, Ended: 1, HiccupMax: Seconds(time.Millisecond)}},
		Event{At: Seconds(10 * time.Second), Kind: KindTick, Tick: &Tick{Ended: 1, Links: map[string]LinkTick{"payments": {Ended: 1}}}},
		Event{At: Seconds(10 * time.Second), Kind: KindEnd})
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	fault := start.Start.Faults[0]
	fault.Injected, fault.Healed, fault.Overflow = 1_000_000_123, 3_000_000_456, 17
	want := &Run{
		Name: "x", Seed: 7, Started: start.Start.Started, Load: 10 * time.Second, End: 10 * time.Second,
		Routes: []string{"pay", "browse"}, Samples: samples,
		Links:  map[string]*Link{"payments": {Name: "payments", From: "checkout", To: "bank", Exchanges: exchanges}},
		Faults: []Injection{fault},
		Ticks: []Tick{{At: time.Second, Offered: 500, Ended: 1, HiccupMax: Seconds(time.Millisecond)},
			{At: 10 * time.Second, Ended: 1, Links: map[string]LinkTick{"payments": {Ended: 1}}}},
		Lost: map[string]uint64{},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Run{}, Link{})); diff != "" {
		t.Errorf("read differs from written (-want +got):\n%s", diff)
	}
}

// A kill -9 can stop a write anywhere: whatever is left must be readable, and
// whole records before the cut must all be there.
func TestReadOfAKilledRun(t *testing.T) {
	samples := []load.Sample{{ID: 1, Intended: 1, Done: 3}, {ID: 2, Intended: 2_000_000_000, Done: 2_000_000_100}}
	events := []Event{start, {At: Seconds(time.Second), Kind: KindInject, Fault: 1}}
	whole := record(t, samples, nil, events...)
	for _, name := range []string{SamplesFile, TimelineFile} {
		data, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		firstLine := 1
		for data[firstLine-1] != '\n' {
			firstLine++
		}
		for cut := firstLine; cut <= len(data); cut++ {
			dir := record(t, samples, nil, events...)
			if err := os.Truncate(filepath.Join(dir, name), int64(cut)); err != nil {
				t.Fatal(err)
			}
			run, err := Read(dir)
			if err != nil {
				t.Fatalf("%s cut to %d bytes: %v", name, cut, err)
			}
			if !run.Partial || run.Stopped == "" {
				t.Errorf("%s cut to %d bytes: not marked as cut short", name, cut)
			}
			lines := 0
			for _, b := range data[firstLine:cut] {
				if b == '\n' {
					lines++
				}
			}
			got := len(run.Samples)
			if name == TimelineFile {
				got = 0
				if run.Faults[0].Injected >= 0 {
					got = 1
				}
			}
			if got != lines {
				t.Errorf("%s cut to %d bytes: %d whole records, %d read", name, cut, lines, got)
			}
		}
	}
}

// TestReadsRunsOfEarlierVersions: what they did not record is zero.
func TestReadsRunsOfEarlierVersions(t *testing.T) {
	dir := record(t, nil, nil, start)
	old := "seq,id,conn,begin_ns,end_ns,method,path,status,ending,in_flight,faults,key,payload,retry_after_ns\n" +
		"1,2,3,4,5,GET,/a,200,answered,1,0,7,8,9\n"
	if err := os.WriteFile(filepath.Join(dir, ExchangesFile("payments")), []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Exchange{Seq: 1, ID: 2, Conn: 3, Begin: 4, End: 5, Method: "GET", Path: "/a", Status: 200, InFlight: 1, Key: 7, Payload: 8,
		Extras: &Extras{RetryAfter: 9}}
	if got := run.Links["payments"].Exchanges; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"not a run directory", TimelineFile, "", "timeline.jsonl has no start event: the run was killed before it began"},
		{"broken line in the middle", SamplesFile, sampleHeader + "1,pay,x,0,0,0,ok\n1,pay,0,0,0,0,ok\n", `front.csv: line 2: strconv.ParseInt: parsing "x": invalid syntax`},
		{"unknown route", SamplesFile, sampleHeader + "1,nope,0,0,0,0,ok\n", `front.csv: line 2: unknown route "nope"`},
		{"another version", SamplesFile, "id,when\n", `front.csv: line 1: not the columns of this version: "id,when"`},
		{"too few fields", SamplesFile, sampleHeader + "1,pay\n", "front.csv: line 2: 2 fields instead of 7"},
	} {
		dir := record(t, nil, nil, start)
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(dir)
		if err == nil || !endsWith(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ...%s", c.name, err, c.want)
		}
	}
}

func endsWith(s, suffix string) bool {
	return len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix
}

// Past its bound a file takes nothing more, says so, and counts what it left out.
func TestWriterCountsWhatItCannotKeep(t *testing.T) {
	w, err := CreateSamples(filepath.Join(t.TempDir(), "front.csv"), []string{"pay"}, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{
		1, // header 53 bytes + "0,pay,0,0,0,0,ok\n" 17 bytes = 70
		2, // + 34 = 104 > 100
		3,
	} {
		for range n {
			w.Record(0, load.Sample{})
		}
		if got := w.Flush(nil); got != n {
			t.Errorf("flushed %d, want %d", got, n)
		}
	}
	if got, want := w.Lost(), uint64(5); got != want {
		t.Errorf("lost %d, want %d", got, want)
	}
	if err := w.Close(); err == nil {
		t.Error("Close did not say that records were lost")
	}
}

func TestWindowIsHalfOpen(t *testing.T) {
	run := &Run{}
	for i := range 10 {
		run.Samples = append(run.Samples, load.Sample{ID: uint64(i), Intended: time.Duration(i)})
	}
	got := run.Window(3, 6)
	if len(got) != 3 || got[0].ID != 3 || got[2].ID != 5 {
		t.Errorf("Window(3, 6) = %v, want ids 3, 4, 5", got)
	}
}

// TestUnknownKindIsRefused: what a fault does is never guessed.
func TestUnknownKindIsRefused(t *testing.T) {
	for effects, want := range map[*Effects]string{
		nil:           `fault f is of kind "reorder", and what that does is neither recorded nor known`,
		{Slows: true}: "",
	} {
		h := Header{Routes: []string{"pay"}, Faults: []Injection{{Name: "f", Kind: "reorder", On: "bank", Effects: effects}}}
		_, err := Read(record(t, nil, nil, Event{Kind: KindStart, Start: &h}))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("effects %v: %v, want %q", effects, err, want)
		}
	}
}
