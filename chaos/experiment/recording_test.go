package experiment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
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

// TestRecordings are read only if asked for, from the file's folder, and what
// is wrong with them is told where they are named.
func TestRecordings(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "front.hlog")
	record(t, file, map[string][]time.Duration{"buy": {time.Millisecond}, "sell": {time.Millisecond}})
	for _, tt := range []struct{ latency, want string }{
		{"{recorded: front.hlog, tag: buy}", ""},
		{"{recorded: " + file + ", tag: buy}", ""},
		{"{recorded: front.hlog, tag: by}", `5:73: tag: there is no "by": tags are buy, sell`},
		{"{recorded: front.hlog}", "5:45: latency: tag: is needed, because there are several: buy, sell"},
		{"{recorded: gone.hlog}", "5:56: recorded: open " + filepath.Join(dir, "gone.hlog") + ": no such file or directory"},
	} {
		text := []byte(strings.Replace(minimal, "errors: {status: 503}", "latency: "+tt.latency, 1))
		name := filepath.Join(dir, "x.yaml")
		if x, err := Parse(name, text, Options{}); err != nil {
			t.Errorf("%s: %v, want it not to be read", tt.latency, err)
		} else if l := x.Chaos[0].Latency; l.Draws != nil || !filepath.IsAbs(l.Recorded) {
			t.Errorf("%s: read without being asked, or %s is not absolute", tt.latency, l.Recorded)
		}
		x, err := Parse(name, text, Options{Here: true})
		switch {
		case tt.want != "":
			if err == nil || err.Error() != name+":"+tt.want {
				t.Errorf("%s: %v, want %s", tt.latency, err, tt.want)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.latency, err)
		case x.Chaos[0].Latency.Draws.Mean() < time.Millisecond:
			t.Errorf("%s: draws %v", tt.latency, x.Chaos[0].Latency.Draws.Mean())
		}
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
		l := toxic.Latency{Recorded: tt.file, Tag: tt.tag}
		err := loadRecording(&l, dir)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, tag %q: %v, want %q", tt.file, tt.tag, err, tt.want)
		}
	}
}
