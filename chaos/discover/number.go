package discover

import (
	"fmt"
	"math"
	"time"
)

// round is the roundest number of an interval: what somebody may have set it to. It is
// the one with the fewest digits, and of those the one nearest to the middle.
func round(low, high float64) float64 {
	if !(high > low) || math.IsInf(high, 1) {
		return low
	}
	middle := (low + high) / 2
	for digit := math.Pow(10, math.Floor(math.Log10(high))); digit > (high-low)/1e3; digit /= 10 {
		for _, step := range []float64{digit, digit / 2} {
			if at := math.Round(middle/step) * step; at >= low && at <= high {
				return math.Round(at*1e6) / 1e6
			}
		}
	}
	return middle
}

// narrow reports whether a figure is known to a part of itself.
func narrow(f *Figure, part float64) bool {
	return !math.IsInf(f.High, 1) && f.High-f.Low <= part*f.High
}

// millis is a number of milliseconds as a duration of the experiment file.
func millis(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond))).Round(10 * time.Microsecond)
}

// span prints a figure of time: one number where both ends are the same to a percent.
func (f *Figure) span() string {
	low, high := short(f.Low), short(f.High)
	if low == high {
		return low
	}
	return low + " to " + high
}

// short prints milliseconds with three digits.
func short(ms float64) string {
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// count prints a figure of counts.
func (f *Figure) count() string {
	switch {
	case math.IsInf(f.High, 1):
		return fmt.Sprintf("%.0f or more", f.Low)
	case f.Low == f.High:
		return fmt.Sprintf("%.0f", f.Low)
	}
	return fmt.Sprintf("%.0f to %.0f", f.Low, f.High)
}
