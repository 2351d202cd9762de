package series

import (
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// spread makes Percentiles, column after column.
type spread struct {
	into *Percentiles
	open *hist.Histogram // of the column at
	at   int

	keeps bool // what closed columns came to, for halve
	kept  []*hist.Histogram
}

func newSpread(into *Percentiles) spread { return spread{into: into, open: hist.New()} }

// column is what times of column i are added to, which must not be before the last.
func (s *spread) column(i int) *hist.Histogram {
	if i != s.at {
		s.close()
		s.at = i
	}
	return s.open
}

// close writes down what came to the open column.
func (s *spread) close() {
	if s.open.Count() == 0 {
		return
	}
	all := s.open
	if s.keeps {
		s.kept = grown(s.kept, s.at+1, nil)
		if s.kept[s.at] == nil {
			s.kept[s.at] = hist.New()
		}
		all = s.kept[s.at]
		all.Merge(s.open)
	}
	s.set(s.at, all)
	s.open.Reset()
}

// set writes down what column i came to.
func (s *spread) set(i int, h *hist.Histogram) {
	sum := h.Summary()
	v := &[...]float64{millis(sum.P50), millis(sum.P99), millis(sum.P999), millis(sum.Max)}
	for k, list := range s.into.lists() {
		*list = grown(*list, i+1, nil)
		(*list)[i] = &v[k]
	}
}

// end closes the last of n columns.
func (s *spread) end(n int) {
	s.close()
	for _, list := range s.into.lists() {
		*list = grown(*list, n, nil)
	}
}

// lists are p50, p99, p99.9 and max.
func (p *Percentiles) lists() [4]*[]*float64 {
	return [...]*[]*float64{&p.P50, &p.P99, &p.P999, &p.Max}
}

// grown is list with at least n values; those that it lacked are v.
func grown[T any](list []T, n int, v T) []T {
	if missing := n - len(list); missing > 0 {
		list = slices.Grow(list, missing)
		for range missing {
			list = append(list, v)
		}
	}
	return list
}

// millis is d in milliseconds with 4 digits, down to a tenth of a microsecond.
func millis(d time.Duration) float64 {
	return rounded(float64(d)/float64(time.Millisecond), 4)
}

// rounded is v with so many digits, but never without those before its point, and
// never with more than 4 behind it.
func rounded(v float64, digits int) float64 {
	if v == 0 {
		return 0
	}
	decimals := digits - 1 - int(math.Floor(math.Log10(math.Abs(v))))
	scale := math.Pow10(min(max(decimals, 0), 4))
	return math.Round(v*scale) / scale
}

// steps of 1 − q in a decade of a spectrum.
var steps = [...]float64{10, 7.5, 5, 3, 2, 1.5}

// spectrum is h at shares that come closer to 1 by about a third each, as far as
// there are times beyond them, and at 1.
func spectrum(h *hist.Histogram) []Quantile {
	list := []Quantile{}
	if h.Count() == 0 {
		return list
	}
	for i := 0; ; i++ {
		decade := i / len(steps)
		scale := math.Pow10(decade + 3) // 7.5 in a decade has two digits
		beyond := math.Round(steps[i%len(steps)] * 100)
		if beyond/scale*float64(h.Count()) < 1 {
			break
		}
		q := (scale - beyond) / scale
		list = append(list, Quantile{Q: q, MS: millis(h.Quantile(q))})
	}
	return append(list, Quantile{Q: 1, MS: millis(h.Quantile(1))})
}
