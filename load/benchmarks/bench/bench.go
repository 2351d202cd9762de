// Package bench is what the benchmark programs have in common: an nginx to load,
// alternating rounds, and medians.
package bench

import (
	"cmp"
	"fmt"
	"os"
	"slices"
)

// Measurement is one program once: a value for each metric of the benchmark, by
// indices of its own.
type Measurement []float64

// Rounds measures programs in alternating rounds, and returns the results by
// program. text is what is printed of each.
func Rounds(rounds int, label string, names []string, measure func(i int) (Measurement, error),
	text func(Measurement) string) ([][]Measurement, error) {
	results := make([][]Measurement, len(names))
	for round := range rounds {
		for i := range names {
			k := (i + round) % len(names) // none is always first
			m, err := measure(k)
			if err != nil {
				return nil, fmt.Errorf("%s%s: %w", label, names[k], err)
			}
			results[k] = append(results[k], m)
			fmt.Fprintf(os.Stderr, "%sround %d of %d: %-18s %s\n", label, round+1, rounds, names[k], text(m))
		}
	}
	return results, nil
}

// Median is the median of a metric.
func Median(ms []Measurement, metric int) float64 {
	return each(ms, ms, func(m, _ Measurement) float64 { return m[metric] })
}

// Ratio is the median of the ratios of a metric within each round: what slows the
// machine for a while slows both. So it is with Difference.
func Ratio(a, b []Measurement, metric int) float64 {
	return each(a, b, func(a, b Measurement) float64 { return a[metric] / b[metric] })
}

// Difference is the median of the differences of a metric within each round.
func Difference(a, b []Measurement, metric int) float64 {
	return each(a, b, func(a, b Measurement) float64 { return a[metric] - b[metric] })
}

func each(a, b []Measurement, f func(a, b Measurement) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i], b[i])
	}
	return Middle(values)
}

// Middle is the median of values, which it sorts.
func Middle[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
