package hist

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpectrum(t *testing.T) {
	h := New()
	if got := h.Spectrum(); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	for range 3 {
		h.Record(120 * time.Microsecond)
	}
	h.Record(140 * time.Microsecond)
	h.Record(400 * time.Microsecond)
	const us = time.Microsecond
	want := []Bin{{100 * us, 150 * us, 4}, {150 * us, 200 * us, 0}, {200 * us, 300 * us, 0}, {300 * us, 500 * us, 1}}
	if diff := cmp.Diff(want, h.Spectrum()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	h = New()
	h.Record(0)
	if diff := cmp.Diff([]Bin{{0, us, 1}}, h.Spectrum()); diff != "" {
		t.Errorf("of zero, -want +got:\n%s", diff)
	}
	h.Record(2 * Highest) // clamped
	bins := h.Spectrum()
	if last := bins[len(bins)-1]; last.Count != 1 || last.From >= Highest || last.To < Highest {
		t.Errorf("of the highest: %v", last)
	}
}
