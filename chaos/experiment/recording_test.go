package experiment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// TestRecordings are read only if asked for, from the file's folder, and what
// is wrong with them is told where they are named.
func TestRecordings(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "front.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := hist.NewLogWriter(f, time.Unix(1000, 0), "test")
	if err != nil {
		t.Fatal(err)
	}
	h := hist.New()
	h.Record(time.Millisecond)
	if err := log.Write(0, time.Second, hist.Tagged{Tag: "buy", Histogram: h}, hist.Tagged{Tag: "sell", Histogram: h}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, tt := range []struct{ latency, want string }{
		{"{recorded: front.hlog, tag: buy}", ""},
		{"{recorded: " + f.Name() + ", tag: buy}", ""},
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
