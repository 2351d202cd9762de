package hist

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

// Each line is an interval with its own times and histogram, what was clamped in it
// included, and comes in the order of the log; one that nobody adds is not decoded.
func TestEachLogLine(t *testing.T) {
	text, want := sampleLog(t)
	log := NewLogReader(strings.NewReader(text))
	got := map[string]*Histogram{}
	second, lines := 0, 0
	for i, err := range log.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		second = lines / 3 // three tags
		lines++
		if from := time.Duration(second) * time.Second; i.From != from || i.To != from+time.Second {
			t.Errorf("line %d: from %v to %v, want second %d", lines, i.From, i.To, second)
		}
		if log.decoder.known {
			t.Errorf("line %d is decoded before it is asked for", lines)
		}
		if got[i.Tag] == nil {
			got[i.Tag] = New()
		}
		once, twice := New(), New()
		if err := errors.Join(i.AddTo(once, got[i.Tag]), i.AddTo(twice)); err != nil {
			t.Fatal(err)
		}
		if !equal(once, twice) || once.Clamped() != twice.Clamped() {
			t.Errorf("line %d: added again it is another one", lines)
		}
	}
	if lines != 9 || log.Torn || !log.Start.Equal(start) {
		t.Errorf("%d lines, torn %t, start %v", lines, log.Torn, log.Start)
	}
	if diff := cmp.Diff(summaries(want), summaries(got)); diff != "" {
		t.Error(diff)
	}
}

// Who has seen enough stops, and goes on behind it.
func TestLogLinesGoOn(t *testing.T) {
	text, _ := sampleLog(t)
	log := NewLogReader(strings.NewReader(text))
	count := 0
	for range log.Lines() {
		if count++; count == 4 {
			break
		}
	}
	for range log.Lines() {
		count++
	}
	if count != 9 {
		t.Errorf("%d intervals, want 9", count)
	}
}

// A line that is not the last and cannot be decoded is told of where it is added, and
// one that nobody adds by nobody.
func TestLogLineThatCannotBeDecoded(t *testing.T) {
	text, _ := sampleLog(t)
	lines := strings.SplitAfter(text, "\n")
	lines[6] = "Tag=x,0.000,1.000,0.000,HISTFAAAA\n"
	log := NewLogReader(strings.NewReader(strings.Join(lines, "")))
	for i, err := range log.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		if i.Tag != "x" {
			continue
		}
		if err := i.AddTo(New()); err == nil || !strings.Contains(err.Error(), "line 7: histogram: ") {
			t.Errorf("got %v, want an error of line 7", err)
		}
	}
}

// byLibrary is what hdrhistogram makes of a text; nil if it is none.
func byLibrary(text string) *Histogram {
	counts, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil
	}
	h := New()
	h.lost += h.counts.MergeFrom(counts)
	return h
}

// What is read without the library is what the library reads, whatever is done to
// the text; a decoder keeps nothing from one text to the next.
func TestDecoderAgreesWithTheLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 0))
	var e encoder
	var d decoder
	own := 0
	for round := range 400 {
		h := New()
		for range rng.IntN(300) {
			h.Record(time.Duration(rng.Int64N(int64(Highest))) >> rng.UintN(42))
		}
		h.add(time.Duration(rng.Int64N(int64(Highest))), 1<<rng.UintN(54))
		text, err := e.encode(h)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Clone(text)
		switch round % 4 {
		case 1, 3:
			text = edit(t, rng, text)
		case 2:
			text = cut(rng, text)
		}
		d.reset(string(text))
		want := byLibrary(string(text))
		if d.own() {
			own++
		}
		switch err := d.decode(); {
		case err != nil && want != nil:
			t.Fatalf("round %d: %v, and the library reads it", round, err)
		case err == nil:
			got := New()
			d.addTo(got)
			if want == nil || !equal(got, want) || got.Lost() != want.Lost() {
				t.Fatalf("round %d: other counts than the library's", round)
			}
		}
	}
	if own < 100 {
		t.Errorf("only %d of 400 were read without the library", own)
	}
}

// cut takes some of the end away, and the compressed length says so.
func cut(rng *rand.Rand, text []byte) []byte {
	packed, _ := base64.StdEncoding.DecodeString(string(text))
	packed = packed[:len(packed)-1-rng.IntN(8)]
	binary.BigEndian.PutUint32(packed[4:], uint32(len(packed)-8))
	return base64.StdEncoding.AppendEncode(nil, packed)
}

// edit changes one byte of the uncompressed form.
func edit(t *testing.T, rng *rand.Rand, text []byte) []byte {
	t.Helper()
	d := decoder{text: string(text)}
	plain := bytes.Clone(d.inflate())
	if len(plain) == 0 {
		t.Fatal("not inflated")
	}
	plain[rng.IntN(len(plain))] ^= 1 << rng.UintN(8)
	var e encoder
	e.plain.Write(plain)
	edited, err := e.pack()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(edited)
}

// benchmarkLog is a minute of four tags, each of 200 times a second around 3 ms.
func benchmarkLog(b *testing.B) []byte {
	rng := rand.New(rand.NewPCG(3, 0))
	var out bytes.Buffer
	l, err := NewLogWriter(&out, start, "x")
	if err != nil {
		b.Fatal(err)
	}
	for second := range 60 {
		var all []Tagged
		for _, tag := range []string{"a", "a/service", "b", "b/service"} {
			h := New()
			for range 200 {
				h.Record(time.Duration((1 + rng.ExpFloat64()) * 1.5e6))
			}
			all = append(all, Tagged{tag, h})
		}
		if err := l.Write(time.Duration(second)*time.Second, time.Duration(second+1)*time.Second, all...); err != nil {
			b.Fatal(err)
		}
	}
	return out.Bytes()
}

func BenchmarkLogLines(b *testing.B) {
	text := benchmarkLog(b)
	b.ReportAllocs()
	for b.Loop() {
		h := New()
		for i, err := range NewLogReader(bytes.NewReader(text)).Lines() {
			if err != nil {
				b.Fatal(err)
			}
			if err := i.AddTo(h); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/240, "ns/line")
}

func BenchmarkLogLinesByTheLibrary(b *testing.B) {
	text := benchmarkLog(b)
	b.ReportAllocs()
	for b.Loop() {
		h := New()
		for line := range bytes.Lines(text) {
			if i := bytes.LastIndexByte(line, ','); line[0] == 'T' {
				h.Merge(byLibrary(string(bytes.TrimSpace(line[i+1:]))))
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/240, "ns/line")
}
