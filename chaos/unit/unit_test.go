package unit

import (
	"math"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

func TestParseShare(t *testing.T) {
	for _, row := range []struct {
		text string
		want Share
	}{
		{"0%", 0}, {"5%", 0.05}, {"7%", 0.07}, {"50%", 0.5}, {"100%", 1}, {"99.9%", 0.999}, {"99.99%", 0.9999},
		{" 5 % ", 0.05}, {"0.1%", 0.001}, {"005%", 0.05}, {"100.0%", 1},
	} {
		if got, err := ParseShare(row.text); err != nil || got != row.want {
			t.Errorf("%q: %v, %v; want %v", row.text, float64(got), err, float64(row.want))
		}
	}
	for _, text := range []string{"", "%", "5", "0.5", "-1%", "100.1%", "1e1%", "0x10%", "inf%", "nan%", "5%%", ".5%", "5.%", "1_0%", "+5%", "5,5%", "٥%"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestParseRate(t *testing.T) {
	for _, row := range []struct {
		text string
		want rate.Limit
	}{
		{"0/s", 0}, {"500/s", 500}, {"100k/s", 100_000}, {"100K/s", 100_000}, {"1.5M/s", 1_500_000}, {"6000/m", 100}, {"1M/h", rate.Limit(1e6 / 3600.0)},
		{" 5 / s ", 5}, {"0.5/s", 0.5}, {"1000M/s", 1e9}, {"1.001k/s", 1001}, // 1.001·1000 is 1000.9999999999999
	} {
		if got, err := ParseRate(row.text); err != nil || got != row.want {
			t.Errorf("%q: %v, %v; want %v", row.text, got, err, row.want)
		}
	}
	for _, text := range []string{"", "5", "/s", "5/", "5/d", "k/s", "-5/s", "1001M/s", "5/s/s", "1e3/s", "inf/s", "nan/s", "0x1/s", "5kk/s", "5G/s", "5 k/s x"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestFormatRate(t *testing.T) {
	for _, row := range []struct {
		rate rate.Limit
		want string
	}{
		{0, "0/s"}, {0.5, "0.5/s"}, {500, "500/s"}, {1000, "1000/s"}, {9999, "9999/s"}, {10_000, "10k/s"}, {100_000, "100k/s"}, {12_345, "12.345k/s"},
		{1e6, "1M/s"}, {1.5e6, "1.5M/s"}, {1e9, "1000M/s"}, {100.0 / 60, "1.6666666666666667/s"},
	} {
		if got := FormatRate(row.rate); got != row.want {
			t.Errorf("%v: %s, want %s", float64(row.rate), got, row.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, row := range []struct {
		text string
		want Size
	}{
		{"0B", 0}, {"512B", 512}, {"1KiB", 1024}, {"1.5KiB", 1536}, {"64 KiB", 65536}, {"10MB", 10_000_000}, {"1kB", 1000}, {"1KB", 1000},
		{"2GiB", 2 << 30}, {"1GB", 1e9}, {"0.5kB", 500},
	} {
		if got, err := ParseSize(row.text); err != nil || got != row.want {
			t.Errorf("%q: %d, %v; want %d", row.text, got, err, row.want)
		}
	}
	for _, text := range []string{"", "B", "5", "-1B", "0.5B", "1.0001KiB", "5 bytes", "1e3B", "infB", "99999999GiB", "5TB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for size, want := range map[Size]string{0: "0B", 512: "512B", 1024: "1KiB", 1536: "1536B", 1 << 20: "1MiB", 3 << 30: "3GiB", 1000: "1000B"} {
		if got := size.String(); got != want {
			t.Errorf("%d: %s, want %s", size, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for _, row := range []struct {
		text string
		want time.Duration
		back string
	}{
		{"0", 0, "0s"}, {"0s", 0, "0s"}, {"250ms", 250 * time.Millisecond, "250ms"}, {"2s", 2 * time.Second, "2s"}, {"90s", 90 * time.Second, "1m30s"},
		{"1m", time.Minute, "1m"}, {"10m", 10 * time.Minute, "10m"}, {"1h", time.Hour, "1h"}, {"100h", 100 * time.Hour, "100h"},
		{"1h30m", 90 * time.Minute, "1h30m"}, {"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"}, {"1.5s", 1500 * time.Millisecond, "1.5s"},
		{"1us", time.Microsecond, "1µs"}, {"20m10s", 20*time.Minute + 10*time.Second, "20m10s"},
	} {
		got, err := ParseDuration(row.text)
		if err != nil || got != row.want {
			t.Errorf("%q: %v, %v; want %v", row.text, got, err, row.want)
		}
		if back := FormatDuration(got); back != row.back {
			t.Errorf("%v is printed as %s, want %s", got, back, row.back)
		}
	}
	for _, text := range []string{"", "5", "-5s", "1d", "5 seconds", "1:30", "s", "1e3s", "999999999h"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// What is printed reads back to the same value, to the last bit: the file in
// the run directory is what was run.
func TestPrintedReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := Share(rapid.Float64Range(0, 1).Draw(t, "share"))
		if got, err := ParseShare(share.String()); err != nil || got != share {
			t.Errorf("share %v is printed as %s and read as %v, %v", float64(share), share, float64(got), err)
		}
		r := rate.Limit(rapid.OneOf(rapid.Float64Range(0, 1e9), rapid.Float64Range(0, 100)).Draw(t, "rate"))
		if got, err := ParseRate(FormatRate(r)); err != nil || got != r {
			t.Errorf("rate %v is printed as %s and read as %v, %v", float64(r), FormatRate(r), float64(got), err)
		}
		size := Size(rapid.Int64Range(0, maxSize).Draw(t, "size"))
		if got, err := ParseSize(size.String()); err != nil || got != size {
			t.Errorf("size %d is printed as %s and read as %d, %v", size, size, got, err)
		}
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "duration"))
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Errorf("duration %d is printed as %s and read as %d, %v", d, FormatDuration(d), got, err)
		}
	})
}

func TestBandwidth(t *testing.T) {
	for text, want := range map[string]Bandwidth{"512B/s": 512, "64KiB/s": 65536, "10MB/s": 10_000_000, " 1 KiB/s ": 1024} {
		got, err := ParseBandwidth(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if back, err := ParseBandwidth(got.String()); err != nil || back != got {
			t.Errorf("%v is printed as %s and read as %v, %v", want, got, back, err)
		}
	}
	for _, text := range []string{"", "5", "5/s", "64KiB", "64KiB/m", "-1B/s", "1e3B/s", "64Kib/s", "0.1B/s"} {
		if got, err := ParseBandwidth(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
