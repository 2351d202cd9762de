package chapters

import (
	"testing"
	"time"
)

const (
	s = time.Second
	m = time.Minute
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name string
		plan Plan
		want []time.Duration // borders
	}{
		{"ten minutes each, and the rest", Plan{Length: 10 * m, End: 25 * m}, []time.Duration{10 * m, 20 * m}},
		{"a rest of less than half is no chapter", Plan{Length: 10 * m, End: 24 * m}, []time.Duration{10 * m}},
		{"a short run is one", Plan{Length: 10 * m, End: 14 * m}, nil},
		{"faults that repeat decide, and the rest with them", Plan{Length: m, End: 150 * s, Repeats: true}, []time.Duration{m, 2 * m}},
		{"exactly as long as two", Plan{Length: m, End: 2 * m, Repeats: true}, []time.Duration{m}},
		{"1 min after the healing at 10m30s", Plan{Length: 10 * m, End: 30 * m, Faults: []Span{{9*m + 50*s, 10*m + 30*s}}},
			[]time.Duration{11*m + 30*s, 21*m + 30*s}},
		{"not within 10 s before an injection either", Plan{Length: 10 * m, End: 30 * m, Faults: []Span{{10*m + 5*s, 10*m + 30*s}}},
			[]time.Duration{11*m + 30*s, 21*m + 30*s}},
		{"one fault after another moves it on", Plan{Length: 10 * m, End: 40 * m, Faults: []Span{{11 * m, 12 * m}, {9 * m, 10*m + 30*s}}},
			[]time.Duration{13 * m, 23 * m, 33 * m}},
		{"what never ends leaves no place", Plan{Length: 10 * m, End: 40 * m, Faults: []Span{{5 * m, 40 * m}}}, nil},
	} {
		var got []time.Duration
		for at, more := c.plan.Next(0); more; at, more = c.plan.Next(at) {
			got = append(got, at)
		}
		if len(got) != len(c.want) || c.plan.Count() != len(c.want)+1 {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}
