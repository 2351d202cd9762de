package unit

import (
	"fmt"
	"strings"
)

// Bandwidth is a number of bytes per second.
type Bandwidth int64

// ParseBandwidth reads "64KiB/s", "10MB/s", "512B/s": a size and "/s".
func ParseBandwidth(text string) (Bandwidth, error) {
	size, ok := strings.CutSuffix(strings.TrimSpace(text), "/s")
	if !ok {
		return 0, fmt.Errorf("%q is not a bandwidth: write it like 64KiB/s or 10MB/s", text)
	}
	n, err := ParseSize(size)
	if err != nil {
		return 0, fmt.Errorf("%q is not a bandwidth: write it like 64KiB/s or 10MB/s", text)
	}
	return Bandwidth(n), nil
}

// Set reads what ParseBandwidth does.
func (b *Bandwidth) Set(text string) (err error) {
	*b, err = ParseBandwidth(text)
	return err
}

func (b Bandwidth) String() string { return Size(b).String() + "/s" }

// Notation is a regular expression for the notation; hints show no example.
func (Bandwidth) Notation() (pattern, example string) {
	return `^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)/s$`, ""
}
