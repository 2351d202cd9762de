package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// unknown stands for a figure that is not a number: nothing was measured.
const unknown = "-"

// Millis prints a time given in milliseconds with the digits that matter:
// 0.042 is "0.042ms", 9.04 "9.0ms", 31.4 "31ms", 1234 "1.23s". Zero is "0ms".
func Millis(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case abs < 0.0005:
		return "0ms"
	case abs < 0.0995:
		return fixed(v, 3) + "ms"
	case abs < 0.995:
		return fixed(v, 2) + "ms"
	case abs < 9.95:
		return fixed(v, 1) + "ms"
	case abs < 999.5:
		return fixed(v, 0) + "ms"
	case abs < 9.995e3:
		return fixed(v/1e3, 2) + "s"
	default:
		return Seconds(v / 1e3)
	}
}

// Seconds prints a point in time or a length given in seconds: 5.0482 is
// "5.05s", 62.4 "1m2.4s". To the hundredth below 10 s, where faults and
// breakers are told apart, to the tenth above.
func Seconds(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case abs < 9.995:
		return fixed(v, 2) + "s"
	case abs < 59.95:
		return fixed(v, 1) + "s"
	}
	// Round before splitting: 119.97 is 2m0.0s, not 1m60.0s.
	tenths := int64(math.Round(math.Abs(v) * 10))
	sign := ""
	if v < 0 {
		sign = "-"
	}
	hours, minutes, rest := tenths/36000, tenths/600%60, float64(tenths%600)/10
	if hours > 0 {
		return fmt.Sprintf("%s%dh%dm%ss", sign, hours, minutes, fixed(rest, 0))
	}
	return fmt.Sprintf("%s%dm%ss", sign, minutes, fixed(rest, 1))
}

// PerSecond prints a rate: 500 is "500/s", 0.25 "0.25/s", 99871.2 "99,871/s".
func PerSecond(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v == math.Trunc(v):
		return grouped(fixed(v, 0)) + "/s"
	case abs < 10:
		return fixed(v, 2) + "/s"
	case abs < 1000:
		return fixed(v, 1) + "/s"
	default:
		return grouped(fixed(v, 0)) + "/s"
	}
}

// Percent prints a share given in percent, to the hundredth. It never rounds
// to a border that was not reached: one failure in a million is ">99.99%", not
// "100%".
func Percent(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v > 0 && v < 0.005:
		return "<0.01%"
	case v < 100 && v >= 99.995:
		return ">99.99%"
	case v == math.Trunc(v):
		return fixed(v, 0) + "%"
	default:
		return fixed(v, 2) + "%"
	}
}

// Count prints a number of things: 1234567 is "1,234,567".
func Count(n uint64) string { return grouped(strconv.FormatUint(n, 10)) }

// fixed is v with so many digits after the point; it never says "-0".
func fixed(v float64, digits int) string {
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(text, "-0.") == "" {
		return strings.TrimPrefix(text, "-")
	}
	return text
}

// grouped puts a comma between each three digits of a whole number.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
