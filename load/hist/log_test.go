package hist

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, time.November, 23, 8, 49, 37, 250e6, time.UTC)

// sampleLog is a log of three intervals with two tags and lines without one, and
// what all its intervals come to.
func sampleLog(t testing.TB) (text string, want map[string]*Histogram) {
	t.Helper()
	var out bytes.Buffer
	l, err := NewLogWriter(&out, start, "stormctl run checkout")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 0))
	want = map[string]*Histogram{"": New(), "pay/response": New(), "a, b%2C\n": New()}
	for second := range 3 {
		var tagged []Tagged
		for _, tag := range slices.Sorted(maps.Keys(want)) {
			h := New()
			for range 100 * second { // the first interval is empty
				h.Record(time.Duration(rng.ExpFloat64() * float64(20*time.Minute)))
			}
			want[tag].Merge(h)
			tagged = append(tagged, Tagged{tag, h})
		}
		if err := l.Write(time.Duration(second)*time.Second, time.Duration(second+1)*time.Second, tagged...); err != nil {
			t.Fatal(err)
		}
	}
	return out.String(), want
}

func summaries(m map[string]*Histogram) map[string]Summary {
	s := map[string]Summary{}
	for tag, h := range m {
		s[tag] = h.Summary()
	}
	return s
}

func TestLogRoundTrip(t *testing.T) {
	text, want := sampleLog(t)
	log, err := ReadLog(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(summaries(want), summaries(log.Histograms)); diff != "" {
		t.Error(diff)
	}
	if want[""].Clamped() == 0 {
		t.Error("nothing was clamped: the test shows less than it should")
	}
	if !log.Start.Equal(start) || log.End != 3*time.Second || log.Torn {
		t.Errorf("start %v, end %v, torn %t; want %v, 3s, false", log.Start, log.End, log.Torn, start)
	}
}

// The standard tools are Java, and take the lines apart by this format (Java's
// HistogramLogWriter prints "%.3f,%.3f,%.3f,%s\n", in seconds, seconds and the
// value unit divided by 1,000,000).
func TestLogLines(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLogWriter(&out, start, "stormctl")
	if err != nil {
		t.Fatal(err)
	}
	h := New()
	h.Record(1500 * time.Microsecond)
	if err := l.Write(1250*time.Millisecond, 2250*time.Millisecond, Tagged{"pay", h}, Tagged{"", h}, Tagged{"none", New()}); err != nil {
		t.Fatal(err)
	}
	const payload = `HISTFAAAA[A-Za-z0-9+/]+=*`
	// 1.5 ms ends its bucket at 1.50015 ms or below.
	want := regexp.MustCompile(`^#\[stormctl\]
#\[Histogram log format version 1\.3\]
#\[StartTime: 1795423777\.250 \(seconds since epoch\), 2026-11-23T08:49:37\.25Z\]
#\[BaseTime: 1795423777\.250 \(seconds since epoch\)\]
"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
Tag=pay,1\.250,1\.000,1\.50[01],` + payload + `
1\.250,1\.000,1\.50[01],` + payload + `
Tag=none,1\.250,1\.000,0\.000,` + payload + `
$`)
	if !want.MatchString(out.String()) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// Text of our making is of what the library would have written, and the encoder
// keeps nothing from one histogram to the next.
func TestEncoderWritesEveryCount(t *testing.T) {
	var e encoder
	rng := rand.New(rand.NewPCG(7, 0))
	for round, n := range []int{0, 1, 100_000, 1, 0, 20} {
		h := New()
		for range n {
			h.Record(time.Duration(rng.Int64N(int64(Highest))) >> rng.UintN(42))
		}
		if round == 3 {
			h.add(0, 1<<53)
			h.add(Highest, 1<<40)
		}
		if round == 5 {
			h.add(time.Second, 1<<60)
		}
		text, err := e.encode(h)
		if err != nil {
			t.Fatal(err)
		}
		back, err := hdrhistogram.Decode(text)
		decoded := New()
		if err == nil {
			decoded.counts.MergeFrom(back)
		}
		if err != nil || !equal(decoded, h) || back.TotalCount() != h.Count() {
			t.Errorf("round %d: of %d counts %v came back (%v)", round, h.Count(), back.TotalCount(), err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	h := New()
	rng := rand.New(rand.NewPCG(7, 0))
	for range 100_000 {
		h.Record(time.Duration(rng.ExpFloat64() * float64(time.Millisecond)))
	}
	var e encoder
	b.ReportAllocs()
	for b.Loop() {
		text, err := e.encode(h)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(text)), "bytes")
	}
}

func BenchmarkEncodeByTheLibrary(b *testing.B) {
	h := New()
	rng := rand.New(rand.NewPCG(7, 0))
	for range 100_000 {
		h.Record(time.Duration(rng.ExpFloat64() * float64(time.Millisecond)))
	}
	for b.Loop() {
		text, _ := h.counts.EncodeV2()
		b.ReportMetric(float64(len(text)), "bytes")
	}
}

// hdrhistogram-go's own reader must see what we wrote.
func TestLogIsReadByTheLibrary(t *testing.T) {
	text, want := sampleLog(t)
	reader := hdrhistogram.NewHistogramLogReader(strings.NewReader(text))
	got := map[string]*Histogram{}
	for n := 0; ; n++ {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			if n != 9 {
				t.Errorf("%d intervals, want 3 of each tag", n)
			}
			break
		}
		wantStart := start.Add(time.Duration(n/3) * time.Second).UnixMilli()
		if off := h.StartTimeMs() - wantStart; off < -1 || off > 1 { // it truncates floats
			t.Errorf("interval %d starts at %d, want %d", n, h.StartTimeMs(), wantStart)
		}
		if off := h.EndTimeMs() - wantStart - 1000; off < -1 || off > 1 {
			t.Errorf("interval %d ends at %d, want a second later", n, h.EndTimeMs())
		}
		tag := tagUnescaper.Replace(h.Tag())
		if got[tag] == nil {
			got[tag] = New()
		}
		got[tag].lost += got[tag].counts.MergeFrom(h)
	}
	for tag, h := range want {
		if got[tag] == nil || !equal(got[tag], h) || got[tag].Lost() != 0 {
			t.Errorf("tag %q: other counts", tag)
		}
	}
}

func TestLogOfTheLibraryIsRead(t *testing.T) {
	var out bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&out)
	h := hdrhistogram.New(1, int64(3*time.Hour), 2) // another shape, and further than ours
	for _, v := range []time.Duration{time.Millisecond, time.Second, 2 * time.Hour} {
		if err := h.RecordValue(int64(v)); err != nil {
			t.Fatal(err)
		}
	}
	h.SetTag("x")
	if err := errors.Join(w.OutputComment("[by hand]"), w.OutputLogFormatVersion(), w.OutputStartTime(start.UnixMilli()), w.OutputLegend(), w.OutputIntervalHistogram(h)); err != nil {
		t.Fatal(err)
	}
	log, err := ReadLog(&out)
	if err != nil {
		t.Fatal(err)
	}
	got := log.Histograms["x"].Summary()
	// Two hours do not fit: that one is lost, and counted as lost.
	if got.Count != 2 || got.Lost != 1 || (got.Max-time.Second).Abs() > 10*time.Millisecond {
		t.Errorf("%+v; want 2, the larger a second to 1 %%, 1 lost", got)
	}
}

// A kill can cut the log anywhere: what was there before is read, at most the
// last line is missing.
func TestLogCutAnywhere(t *testing.T) {
	text, _ := sampleLog(t)
	counts := func(log *Log) (n int64) {
		for _, h := range log.Histograms {
			n += h.Count()
		}
		return n
	}
	whole := int64(0) // counts in the whole lines up to the cut
	for cut := range len(text) {
		if cut > 0 && text[cut-1] == '\n' {
			log, err := ReadLog(strings.NewReader(text[:cut]))
			if err != nil || log.Torn {
				t.Fatalf("cut at %d, behind a line: torn %t, %v", cut, log.Torn, err)
			}
			whole = counts(log)
		}
		if cut%61 != 0 && text[cut] != '\n' { // every 61st place will do, and each line without its end
			continue
		}
		log, err := ReadLog(strings.NewReader(text[:cut]))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		lineWhole := text[cut] == '\n' // only the line's end is missing
		begun := text[strings.LastIndex(text[:cut], "\n")+1 : cut]
		if inData := begun != "" && begun[0] != '#' && begun[0] != '"'; inData && log.Torn == lineWhole {
			t.Errorf("cut at %d, behind %q: torn %t", cut, begun, log.Torn)
		}
		if got := counts(log); got != whole && !lineWhole {
			t.Fatalf("cut at %d: %d counts, want those of the whole lines, %d", cut, got, whole)
		}
		if !log.Start.IsZero() && !log.Start.Equal(start) {
			t.Fatalf("cut at %d: start %v", cut, log.Start)
		}
	}
}

func TestReadLogRefuses(t *testing.T) {
	text, _ := sampleLog(t)
	lines := strings.SplitAfter(text, "\n")
	data := lines[6]
	for _, c := range []struct{ name, line, want string }{
		{"fields", "1,2,3\n", "line 3: 3 fields, not 4"},
		{"tag alone", "Tag=x\n", "line 3: 1 fields, not 4"},
		{"start", "x,1.000,0.000,HISTFAAAA\n", `line 3: "x" is not a time in seconds`},
		{"length", "1.000,NaN,0.000,HISTFAAAA\n", `line 3: "NaN" is not a time in seconds`},
		{"base64", "1.000,1.000,0.000,!\n", "line 3: histogram: "},
		{"histogram cut short", data[:len(data)-10] + "\n", "line 3: histogram: "},
		{"start time", "#[StartTime: x (seconds since epoch)]\n", `line 3: start time "x"`},
		{"start time cut short", "#[StartTime: 1795\n", `line 3: start time "1795"`},
		{"clamped", "#[Clamped: x,y]\n", `line 3: clamped count "x,y"`},
	} {
		_, err := ReadLog(strings.NewReader(lines[0] + lines[1] + c.line + data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want %q in it", c.name, err, c.want)
		}
	}
}

type brokenFile struct{ writes int }

func (f *brokenFile) Write(p []byte) (int, error) {
	if f.writes++; f.writes > 1 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestLogWriterErrors(t *testing.T) {
	f := &brokenFile{}
	l, err := NewLogWriter(f, start, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write(0, time.Second, Tagged{"a", New()}, Tagged{"b", New()}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v, want that of the file", err)
	}
	if f.writes != 2 {
		t.Errorf("%d writes, want one for the head and one for the interval", f.writes)
	}
	for _, interval := range [][2]time.Duration{{-1, 0}, {2, 1}} {
		if err := l.Write(interval[0], interval[1]); err == nil {
			t.Errorf("interval %v: no error", interval)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	text, _ := sampleLog(f)
	f.Add([]byte(text))
	for line := range strings.Lines(text) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := ReadLog(bytes.NewReader(data))
		if err == nil {
			for tag, h := range log.Histograms {
				if s := h.Summary(); s.Count < 0 || s.Max < s.P50 {
					t.Errorf("%q: %+v", tag, s)
				}
			}
		}
	})
}

func BenchmarkLogWrite(b *testing.B) {
	h := New()
	for i := range 50_000 {
		h.Record(time.Duration(i) * 200 * time.Nanosecond) // up to 10 ms, as a second of 50k/s
	}
	l, err := NewLogWriter(discard{}, start, "x")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := l.Write(0, time.Second, Tagged{"pay/response", h}); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func ExampleHistogram() {
	h := New()
	for ms := range 100 {
		h.Record(time.Duration(ms) * time.Millisecond)
	}
	fmt.Println(h.Count(), h.Quantile(0.5).Round(time.Millisecond), h.Quantile(0.99).Round(time.Millisecond))
	// Output: 100 49ms 98ms
}
