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

func (b Bandwidth) String() string { return Size(b).String() + "/s" }
