package load

import (
	"math"
	"testing"
)

func TestPickByWeight(t *testing.T) {
	const n = 100_000
	tests := []struct {
		name   string
		routes []Route
		want   []float64
	}{
		{"one route takes all", []Route{{Weight: 5}}, []float64{1}},
		{"no weights: alike", []Route{{}, {}, {}, {}}, []float64{.25, .25, .25, .25}},
		{"3:1", []Route{{Weight: 3}, {Weight: 1}}, []float64{.75, .25}},
		{"0 means 1, so 1:2:1", []Route{{}, {Weight: 2}, {}}, []float64{.25, .5, .25}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPicker(7, tt.routes)
			got := make([]int, len(tt.routes))
			for id := uint64(1); id <= n; id++ {
				got[p.route(id)]++
			}
			for i, share := range tt.want {
				// Four standard deviations of a binomial count.
				if d := math.Abs(float64(got[i]) - n*share); d > 4*math.Sqrt(n*share*(1-share)) {
					t.Errorf("route %d: %d of %d, want a share of %v", i, got[i], n, share)
				}
			}
		})
	}
}

// The stripes of two loops are the odd and the even numbers: a draw that had a
// pattern there would give each loop a mix of its own.
func TestPickHasNoPatternInStripes(t *testing.T) {
	const n = 100_000
	p := newPicker(1, []Route{{}, {}})
	odd, same := 0, 0
	for id := uint64(1); id <= n; id++ {
		if r := p.route(id); id%2 == 1 {
			odd += r
		}
		if p.route(id) == p.route(id+1) {
			same++
		}
	}
	if d := math.Abs(float64(odd) - n/4); d > 4*math.Sqrt(n/2)/2 {
		t.Errorf("odd numbers: %d of %d take the second route", odd, n/2)
	}
	if d := math.Abs(float64(same) - n/2); d > 4*math.Sqrt(n)/2 {
		t.Errorf("neighbours take the same route %d times of %d", same, n)
	}
}

func TestPickDependsOnSeed(t *testing.T) {
	a, b := newPicker(1, []Route{{}, {}}), newPicker(2, []Route{{}, {}})
	same := 0
	for id := uint64(1); id <= 1000; id++ {
		if a.route(id) == b.route(id) {
			same++
		}
	}
	if same < 400 || same > 600 { // 500 ± 6 deviations of √1000/2
		t.Errorf("seeds 1 and 2 agree on %d of 1000 routes", same)
	}
}

// Arrivals count from 1, and the first takes the first route: as vegeta does it.
func TestPickInTurn(t *testing.T) {
	p := inTurn(3)
	for i, want := range []int{0, 1, 2, 0, 1, 2, 0} {
		if got := p.route(uint64(i + 1)); got != want {
			t.Errorf("arrival %d: got route %d, want %d", i+1, got, want)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	p := newPicker(1, []Route{{Weight: 3}, {}, {}, {Weight: 2}})
	id := uint64(0)
	for b.Loop() {
		id++
		p.route(id)
	}
}
