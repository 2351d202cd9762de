package wire

import (
	"math"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, time.November, 23, 8, 49, 30, 500e6, time.UTC)
	for _, c := range []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"0", 0, true},
		{"2", 2 * time.Second, true},
		{" 0120\t", 2 * time.Minute, true},
		{"9223372036", 9223372036 * time.Second, true},                     // the last second below 2^63 ns
		{"9223372037", math.MaxInt64, true},                                // and the first above
		{"99999999999999999999999999999999999999999", math.MaxInt64, true}, // far past int64
		{"18446744073709551617", math.MaxInt64, true},                      // 2^64 + 1 must not come round to 1
		{"Mon, 23 Nov 2026 08:49:37 GMT", 6500 * time.Millisecond, true},   // 37 − 30.5
		{"Monday, 23-Nov-26 08:49:37 GMT", 6500 * time.Millisecond, true},  // RFC 850
		{"Mon Nov 23 08:49:37 2026", 6500 * time.Millisecond, true},        // asctime
		{"Mon, 23 Nov 2026 08:49:30 GMT", 0, true},                         // half a second ago
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64, true},             // 7973 years
		{"", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1.5", 0, false},
		{"1s", 0, false},
		{"soon", 0, false},
		{"Mon, 23 Nov 2026 08:49:37 CET", 0, false},
	} {
		if got, ok := ParseRetryAfter([]byte(c.value), now); got != c.want || ok != c.ok {
			t.Errorf("%q: %v, %t; want %v, %t", c.value, got, ok, c.want, c.ok)
		}
	}
}
