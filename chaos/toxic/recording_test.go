package toxic

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// record writes a histogram log with these times by tag.
func record(t *testing.T, name string, by map[string][]time.Duration) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, err := hist.NewLogWriter(f, time.Unix(1000, 0), "test")
	if err != nil {
		t.Fatal(err)
	}
	for tag, times := range by {
		h := hist.New()
		for _, d := range times {
			h.Record(d)
		}
		if err := log.Write(0, time.Second, hist.Tagged{Tag: tag, Histogram: h}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordedLatency(t *testing.T) {
	dir := t.TempDir()
	record(t, filepath.Join(dir, "front.hlog"), map[string][]time.Duration{
		"pay": {10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond, time.Second}, "browse": {time.Millisecond},
	})
	l := Latency{Recorded: "front.hlog", Tag: "pay", Select: All}
	if err := l.Load(dir); err != nil {
		t.Fatal(err)
	}
	if l.Recorded != filepath.Join(dir, "front.hlog") {
		t.Errorf("the path is %s, want it absolute", l.Recorded)
	}
	long := 0
	for r, n := rng(), 4000; n > 0; n-- {
		switch d := decide(l, headOf("GET", "/", nil), r).Delay.Round(time.Millisecond); d {
		case 10 * time.Millisecond:
		case time.Second:
			long++
		default:
			t.Fatalf("drew %v, which was not recorded", d)
		}
	}
	// A quarter of 4000, ± 5 standard deviations of √(4000·¼·¾) = 27.
	if long < 863 || long > 1137 {
		t.Errorf("%d of 4000 draws are long, want a quarter", long)
	}
	if want := "latency as recorded in front.hlog for pay to 100%"; l.String() != want {
		t.Errorf("got %q, want %q", l, want)
	}
	if l = (Latency{Recorded: "nowhere", Select: All}); decide(l, headOf("GET", "/", nil), rng()) != (Fate{}) {
		t.Error("what was not loaded delays")
	}
}

func TestRecordingsThatCannotBeDrawnFrom(t *testing.T) {
	dir := t.TempDir()
	record(t, filepath.Join(dir, "two.hlog"), map[string][]time.Duration{"pay": {1}, "browse": {1}})
	record(t, filepath.Join(dir, "one.hlog"), map[string][]time.Duration{"pay": {1}})
	record(t, filepath.Join(dir, "empty.hlog"), map[string][]time.Duration{"pay": nil})
	record(t, filepath.Join(dir, "none.hlog"), nil)
	if err := os.WriteFile(filepath.Join(dir, "text.hlog"), []byte("hello\nworld\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, tag, want string }{
		{"one.hlog", "", ""}, // the only one
		{"two.hlog", "browse", ""},
		{"two.hlog", "", "tag: is needed, because there are several: browse, pay"},
		{"two.hlog", "by", `tag: there is no "by": tags are browse, pay`},
		{"empty.hlog", "pay", "recorded: " + filepath.Join(dir, "empty.hlog") + " holds no times"},
		{"none.hlog", "", "recorded: " + filepath.Join(dir, "none.hlog") + " holds no histogram"},
		{"text.hlog", "", "line 1"},
		{"gone.hlog", "", "recorded: open " + filepath.Join(dir, "gone.hlog")},
	} {
		l := Latency{Recorded: tt.file, Tag: tt.tag, Select: All}
		err := l.Load(dir)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, tag %q: %v, want %q", tt.file, tt.tag, err, tt.want)
		}
	}
}
