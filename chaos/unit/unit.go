package unit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Every unit is read to the float nearest to the decimal that was written, by
// shifting the decimal's point rather than by multiplying: 99.9/100 is not the
// float nearest to 0.999. Printing shifts it back, so that what was printed
// reads back to the same value.

// decimal reports whether text is a plain decimal: digits with at most one point
// between them. No sign, exponent, underscore, infinity or hexadecimal.
func decimal(text string) bool {
	whole, part, point := strings.Cut(text, ".")
	digits := func(s string) bool {
		return s != "" && strings.Trim(s, "0123456789") == ""
	}
	return digits(whole) && (!point || digits(part))
}

// scaled is the float nearest to decimal · 10^exponent.
func scaled(text string, exponent int) (float64, error) {
	return strconv.ParseFloat(text+"e"+strconv.Itoa(exponent), 64)
}

// unscaled prints the shortest decimal that scaled reads back to v.
func unscaled(v float64, exponent int) string {
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, 64), "e")
	power, err := strconv.Atoi(exp)
	if err != nil {
		return mantissa // infinity, or not a number
	}
	digits := strings.Replace(mantissa, ".", "", 1)
	point := 1 + power - exponent // digits before the point
	switch {
	case point <= 0:
		return "0." + strings.Repeat("0", -point) + digits
	case point >= len(digits):
		return digits + strings.Repeat("0", point-len(digits))
	default:
		return digits[:point] + "." + digits[point:]
	}
}

// Share is a part of a whole, 0 to 1. It is written with a percent sign:
// "5%", "99.9%".
type Share float64

func (s Share) String() string {
	if s == 0 {
		return "0%"
	}
	return unscaled(float64(s), -2) + "%"
}

// Set reads what ParseShare does.
func (s *Share) Set(text string) (err error) {
	*s, err = ParseShare(text)
	return err
}

// Notation is a regular expression for the notation, and an example.
func (Share) Notation() (pattern, example string) { return `^[0-9]+(\.[0-9]+)?%$`, "50%" }

// ParseShare reads "5%". A bare number is refused, because 0.5 could mean
// half or half a percent.
func ParseShare(text string) (Share, error) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	digits = strings.TrimSpace(digits)
	if !ok {
		return 0, fmt.Errorf("%q is not a share: write it with a percent sign, like 5%% or 99.9%%", text)
	}
	negative := strings.HasPrefix(digits, "-")
	if digits = strings.TrimPrefix(digits, "-"); !decimal(digits) {
		return 0, fmt.Errorf("%q is not a share: write it like 5%% or 99.9%%", text)
	}
	v, err := scaled(digits, -2)
	if err != nil || v > 1 || negative {
		return 0, fmt.Errorf("%q is outside 0%% to 100%%", text)
	}
	return Share(v), nil
}

// ParseDuration reads "250ms", "1m30s"; it must not be negative, and a unit
// must be given except for 0.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write it with a unit, like 250ms, 10s or 1m30s", text)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative", text)
	}
	return d, nil
}

// FormatDuration is the inverse of ParseDuration: "250ms", "2s", "1m30s",
// "10m", "1h". Parts that are zero are left out, where time.Duration prints
// 10m0s.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var perUnit = map[string]float64{"s": 1, "m": 60, "h": 3600}

// maxRate is the highest rate, per second: one event in each nanosecond.
const maxRate = 1e9

// ParseRate reads "500/s", "100k/s", "6000/m", "1.5M/h" as events per second.
func ParseRate(text string) (rate.Limit, error) {
	count, per, _ := strings.Cut(strings.TrimSpace(text), "/")
	seconds, known := perUnit[strings.TrimSpace(per)]
	count = strings.TrimSpace(count)
	negative := strings.HasPrefix(count, "-")
	count = strings.TrimPrefix(count, "-")
	exponent := 0
	for suffix, e := range map[string]int{"k": 3, "K": 3, "M": 6} {
		if digits, ok := strings.CutSuffix(count, suffix); ok {
			count, exponent = digits, e
			break
		}
	}
	if !known || !decimal(count) {
		return 0, fmt.Errorf("%q is not a rate: write it like 500/s, 100k/s or 6000/m", text)
	}
	v, err := scaled(count, exponent)
	if v /= seconds; err != nil || negative || v > maxRate {
		return 0, fmt.Errorf("%q is outside 0/s to 1000M/s", text)
	}
	return rate.Limit(v), nil
}

// FormatRate is the inverse of ParseRate, per second.
func FormatRate(r rate.Limit) string {
	switch v := float64(r); {
	case v >= 1e6:
		return unscaled(v, 6) + "M/s"
	case v >= 1e4:
		return unscaled(v, 3) + "k/s"
	case v == 0:
		return "0/s"
	default:
		return unscaled(v, 0) + "/s"
	}
}

// Size is a number of bytes.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}}

// maxSize is the largest size: one that int64 and float64 agree on.
const maxSize = 1 << 53

// ParseSize reads "64KiB", "10MB", "512B". It must come to whole bytes.
func ParseSize(text string) (Size, error) {
	trimmed := strings.TrimSpace(text)
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(trimmed, u.suffix)
		if !ok {
			continue
		}
		if digits = strings.TrimSpace(digits); !decimal(digits) {
			break
		}
		v, err := strconv.ParseFloat(digits, 64)
		v *= u.bytes
		switch {
		case err != nil || v > maxSize:
			return 0, fmt.Errorf("%q is larger than %s", text, Size(maxSize))
		case v != float64(Size(v)):
			return 0, fmt.Errorf("%q is not a whole number of bytes: write it like 512B, 64KiB or 10MB", text)
		}
		return Size(v), nil
	}
	return 0, fmt.Errorf("%q is not a size: write it like 512B, 64KiB or 10MB", text)
}

// Set reads what ParseSize does.
func (s *Size) Set(text string) (err error) {
	*s, err = ParseSize(text)
	return err
}

// Notation is a regular expression for the notation, and an example.
func (Size) Notation() (pattern, example string) {
	return `^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)$`, "64KiB"
}

func (s Size) String() string {
	for _, u := range sizeUnits[:3] {
		if s != 0 && s%Size(u.bytes) == 0 {
			return strconv.FormatInt(int64(s)/int64(u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// Millis is d in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
