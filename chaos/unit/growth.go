package unit

import (
	"fmt"
	"strings"
)

// SizeGrowth is by how many bytes something grows in an hour. It is written with the
// time that it is for: "10MiB/h", "1MiB/m".
type SizeGrowth float64

// CountGrowth is by how many something grows in an hour: "0/h", "3/h", "1/m".
type CountGrowth float64

// ShareGrowth is by what part of itself something grows in an hour: "1%/h", "0.5%/m".
type ShareGrowth float64

// perHour is how many of a unit of time an hour has.
var perHour = map[string]float64{"h": 1, "m": 60, "s": 3600}

// growth splits what is written before and behind the slash.
func growth(text, examples string) (amount string, times float64, err error) {
	amount, per, _ := strings.Cut(strings.TrimSpace(text), "/")
	times, known := perHour[strings.TrimSpace(per)]
	if !known {
		return "", 0, fmt.Errorf("%q is no growth: write it like %s", text, examples)
	}
	return strings.TrimSpace(amount), times, nil
}

const (
	sizeGrowths  = "10MiB/h, 64KiB/m or 0B/h"
	countGrowths = "0/h, 3/h or 1/m"
	shareGrowths = "1%/h or 0.5%/m"
)

// Set reads "10MiB/h".
func (g *SizeGrowth) Set(text string) error {
	amount, times, err := growth(text, sizeGrowths)
	if err != nil {
		return err
	}
	size, err := ParseSize(amount)
	if err != nil {
		return fmt.Errorf("%q is no growth: write it like %s", text, sizeGrowths)
	}
	*g = SizeGrowth(float64(size) * times)
	return nil
}

func (g SizeGrowth) String() string { return Size(g).String() + "/h" }

// Notation is a regular expression for the notation, and an example.
func (SizeGrowth) Notation() (pattern, example string) {
	return `^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)/[hms]$`, "10MiB/h"
}

// Set reads "0/h".
func (g *CountGrowth) Set(text string) error {
	amount, times, err := growth(text, countGrowths)
	if err != nil {
		return err
	}
	if !decimal(amount) {
		return fmt.Errorf("%q is no growth: write it like %s", text, countGrowths)
	}
	v, err := scaled(amount, 0)
	if v *= times; err != nil || v > maxSize {
		return fmt.Errorf("%q is more than can grow", text)
	}
	*g = CountGrowth(v)
	return nil
}

func (g CountGrowth) String() string {
	if g == 0 {
		return "0/h"
	}
	return unscaled(float64(g), 0) + "/h"
}

// Notation is a regular expression for the notation, and an example.
func (CountGrowth) Notation() (pattern, example string) { return `^[0-9]+(\.[0-9]+)?/[hms]$`, "0/h" }

// Set reads "1%/h".
func (g *ShareGrowth) Set(text string) error {
	amount, times, err := growth(text, shareGrowths)
	if err != nil {
		return err
	}
	percent, ok := strings.CutSuffix(amount, "%")
	if !ok || !decimal(percent) {
		return fmt.Errorf("%q is no growth: write it like %s", text, shareGrowths)
	}
	v, err := scaled(percent, -2)
	if v *= times; err != nil || v > maxSize {
		return fmt.Errorf("%q is more than can grow", text)
	}
	*g = ShareGrowth(v)
	return nil
}

func (g ShareGrowth) String() string {
	if g == 0 {
		return "0%/h"
	}
	return unscaled(float64(g), -2) + "%/h"
}

// Notation is a regular expression for the notation, and an example.
func (ShareGrowth) Notation() (pattern, example string) { return `^[0-9]+(\.[0-9]+)?%/[hms]$`, "1%/h" }
