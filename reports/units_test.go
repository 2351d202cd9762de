package reports

import (
	"math"
	"testing"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		what   string
		format func(float64) string
		in     float64
		want   string
	}{
		{"Millis", Millis, 0, "0ms"},
		{"Millis", Millis, 0.0004, "0ms"},    // below a microsecond's half
		{"Millis", Millis, 0.042, "0.042ms"}, // 42µs
		{"Millis", Millis, 0.0996, "0.10ms"}, // not 0.100
		{"Millis", Millis, 0.42, "0.42ms"},
		{"Millis", Millis, 0.996, "1.0ms"}, // not 1.00
		{"Millis", Millis, 9.04, "9.0ms"},
		{"Millis", Millis, 9.96, "10ms"}, // not 10.0
		{"Millis", Millis, 999.4, "999ms"},
		{"Millis", Millis, 999.6, "1.00s"}, // not 1000ms
		{"Millis", Millis, 10003, "10.0s"},
		{"Millis", Millis, -0.0001, "0ms"}, // never -0
		{"Millis", Millis, -12.4, "-12ms"},
		{"Millis", Millis, math.NaN(), "-"},
		{"Millis", Millis, math.Inf(1), "-"},

		{"Seconds", Seconds, 0, "0.00s"},
		{"Seconds", Seconds, 5.0482, "5.05s"},
		{"Seconds", Seconds, 9.996, "10.0s"},
		{"Seconds", Seconds, 59.96, "1m0.0s"},  // not 60.0s
		{"Seconds", Seconds, 119.97, "2m0.0s"}, // not 1m60.0s
		{"Seconds", Seconds, 62.44, "1m2.4s"},
		{"Seconds", Seconds, 3*3600 + 4*60 + 5, "3h4m5s"},
		{"Seconds", Seconds, -62.4, "-1m2.4s"},

		{"PerSecond", PerSecond, 500, "500/s"},
		{"PerSecond", PerSecond, 0.25, "0.25/s"},
		{"PerSecond", PerSecond, 333.333, "333.3/s"},
		{"PerSecond", PerSecond, 99871.2, "99,871/s"},
		{"PerSecond", PerSecond, 100000, "100,000/s"},
		{"PerSecond", PerSecond, math.Inf(1), "-"}, // over no time at all

		{"Percent", Percent, 100, "100%"},
		{"Percent", Percent, 99.9999, ">99.99%"}, // one of a million failed
		{"Percent", Percent, 99.994, "99.99%"},
		{"Percent", Percent, 61.2, "61.20%"},
		{"Percent", Percent, 0.0001, "<0.01%"}, // one of a million succeeded
		{"Percent", Percent, 0, "0%"},
	} {
		if got := c.format(c.in); got != c.want {
			t.Errorf("%s(%v) = %q, want %q", c.what, c.in, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[uint64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", math.MaxUint64: "18,446,744,073,709,551,615",
	} {
		if got := Count(in); got != want {
			t.Errorf("Count(%d) = %q, want %q", in, got, want)
		}
	}
}
