package series

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// fullView has all rows that there may be, with long figures.
func fullView() *View {
	v := &View{Whole: fullSeries(MaxColumns, MaxRoutes, MaxLinks)}
	for i := range MaxWindows {
		v.Windows = append(v.Windows, Window{Index: i, Series: fullSeries(WindowColumns, WindowRows, WindowRows)})
	}
	return v
}

func fullSeries(columns, routes, links int) *Series {
	counts := func(n uint64) []uint64 { return grown([]uint64(nil), columns, n) }
	gauge := grown([]float64(nil), columns, 1234)
	v := 12.34
	times := grown([]*float64(nil), columns, &v)
	p := Percentiles{times, times, times, times}
	s := &Series{Offered: counts(1e7), Ended: counts(1e7), Unsent: counts(1e7), Response: p, Outcomes: map[string][]uint64{"ok": counts(1e7)},
		Harness: Harness{gauge, gauge, gauge, gauge, gauge, counts(1e7), grown([]bool(nil), columns, false)}}
	for i := range routes {
		s.Routes = append(s.Routes, Route{fmt.Sprint("r", i), counts(uint64(1e7 + i)), counts(1e7), p})
	}
	for i := range links {
		s.Links = append(s.Links, Link{fmt.Sprint("l", i), counts(uint64(1e7 - i)), counts(1e7), Gauge{gauge, gauge}, p})
	}
	return s
}

// What is too much is left out and counted: the rows with the least, and in the
// windows never the link that the fault is on as long as there are others.
func TestFit(t *testing.T) {
	v := fullView()
	fit(v, func(fault int) string { return "l9" }) // of the windows' the one with the fewest exchanges
	if size := bytesOf(v); size > MaxBytes || size < MaxBytes*8/10 {
		t.Errorf("%d bytes are left, want nearly %d", size, MaxBytes)
	}
	w := v.Whole
	if len(w.Routes)+w.OtherRoutes != MaxRoutes || len(w.Links)+w.OtherLinks != MaxLinks || len(w.Ended) != MaxColumns {
		t.Errorf("%d routes and %d others, %d links and %d others", len(w.Routes), w.OtherRoutes, len(w.Links), w.OtherLinks)
	}
	if n := len(w.Routes); n == 0 || w.Routes[n-1].Name != "r49" || w.Links[0].Name != "l0" {
		t.Errorf("the rows with the most are gone")
	}
	for _, window := range v.Windows {
		if l := window.Series.Links; len(l) == 0 || l[len(l)-1].Name != "l9" || window.Series.OtherLinks != WindowRows-len(l) {
			t.Fatalf("window %d: %d links, %d others", window.Index, len(l), window.Series.OtherLinks)
		}
	}
	small := &View{Whole: fullSeries(100, 5, 5)}
	fit(small, nil)
	if len(small.Whole.Routes) != 5 || small.Whole.OtherRoutes != 0 {
		t.Errorf("%d routes of a small view are left", len(small.Whole.Routes))
	}
}

// Shares of a spectrum are plain decimals that grow to 1, as far as there is a time
// beyond them.
func TestSpectrum(t *testing.T) {
	h := hist.New()
	if got := spectrum(h); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	got := spectrum(h)
	var shares []float64
	for i, q := range got {
		shares = append(shares, q.Q)
		if i > 0 && q.MS < 1000*q.Q || q.MS > 1000*q.Q*1.002+1 {
			t.Errorf("a share of %v took %v ms", q.Q, q.MS)
		}
	}
	want := []float64{0, .25, .5, .7, .8, .85, .9, .925, .95, .97, .98, .985, .99, .9925, .995, .997, .998, .9985, .999, 1}
	if !slices.Equal(shares, want) {
		t.Errorf("shares %v\nwant   %v", shares, want)
	}
}
