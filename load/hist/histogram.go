package hist

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Highest is the largest time a Histogram tells apart; longer ones are recorded
// as this and counted as clamped.
const Highest = time.Hour

const (
	resolution = time.Microsecond // the least difference that must be told apart
	digits     = 3
)

// Histogram is a distribution of times. It keeps those cells only that something was
// counted in, some 6 bytes each: a run has thousands of histograms, most of which see
// little. It is not safe for concurrent use. The zero value is not usable: see New.
type Histogram struct {
	counts  *hdrhistogram.PackedHistogram
	clamped int64
	lost    int64
}

// New returns an empty histogram.
func New() *Histogram {
	return &Histogram{counts: hdrhistogram.NewPacked(int64(resolution), int64(Highest), digits)}
}

// Record counts one time; it allocates when it needs room for another cell. What is
// recorded on a hot path goes through a Recorder. A time above Highest counts as
// Highest, and one below 0 as 0; both are counted as clamped too.
func (h *Histogram) Record(d time.Duration) {
	if d < 0 || d > Highest {
		h.clamped++
		d = min(max(d, 0), Highest)
	}
	h.add(d, 1)
}

// add counts n times that are in range.
func (h *Histogram) add(d time.Duration, n int64) {
	if h.counts.RecordValues(int64(d), n) != nil {
		h.lost += n // more than 2^63 values: no other reason is left
	}
}

// Merge adds what is in from, its clamped and lost counts included.
func (h *Histogram) Merge(from *Histogram) {
	h.clamped += from.clamped
	h.lost += from.lost
	h.lost += h.counts.Merge(from.counts)
}

// Reset makes h empty again.
func (h *Histogram) Reset() {
	h.counts.Reset()
	h.clamped, h.lost = 0, 0
}

// Count is how many times are in h, clamped ones included.
func (h *Histogram) Count() int64 { return h.counts.TotalCount() }

// Clamped is how many of them were out of range: if it is not 0, Max and the
// quantiles at that end are lower bounds.
func (h *Histogram) Clamped() int64 { return h.clamped }

// Lost is how many times are missing from h because a histogram merged into it
// reached further than it does. It is 0 unless a log of another program was
// read, or a count passed 2^63.
func (h *Histogram) Lost() int64 { return h.lost }

// Quantile is the time that the share q of all times does not exceed, with q
// from 0 to 1: Quantile(0.99) is the p99. It is 0 if h is empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	return inRange(h.counts.ValueAtPercentile(q * 100))
}

// Summary is a distribution in a few figures. All are 0 if Count is.
type Summary struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
	Mean                     time.Duration
	Clamped, Lost            int64 // see Histogram
}

// Summary is h in a few figures.
func (h *Histogram) Summary() Summary {
	s := Summary{Count: h.Count(), Clamped: h.clamped, Lost: h.lost}
	if s.Count == 0 {
		return s
	}
	at := h.counts.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9, 100})
	s.P50, s.P90, s.P99, s.P999, s.Max = inRange(at[0]), inRange(at[1]), inRange(at[2]), inRange(at[3]), inRange(at[4])
	s.Mean = min(time.Duration(h.counts.Mean()), s.Max)
	return s
}

// inRange keeps the upper end of the last bucket from claiming more than was
// recorded.
func inRange(nanoseconds int64) time.Duration { return min(time.Duration(nanoseconds), Highest) }

// bar is what was counted in one cell: times from from to to, both included.
type bar struct {
	from, to time.Duration
	count    int64
}

// bars goes through the cells that something was counted in, from the shortest times
// to the longest.
func (h *Histogram) bars(yield func(bar) bool) {
	h.counts.ForEachBucket(func(from, count int64) bool {
		at := cell(time.Duration(from))
		return yield(bar{least(at), least(at+1) - 1, count})
	})
}
