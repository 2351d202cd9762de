package unit

import "testing"

func TestGrowthIsReadBack(t *testing.T) {
	for _, c := range []struct {
		text  string
		bytes float64 // in an hour; -1 is refused
		again string
	}{
		{"10MiB/h", 10 << 20, "10MiB/h"}, {"1MiB/m", 60 << 20, "60MiB/h"}, {"1KiB/s", 3600 << 10, "3600KiB/h"},
		{"0B/h", 0, "0B/h"}, {" 64KiB / m ", 3840 << 10, "3840KiB/h"},
		{"10MiB", -1, ""}, {"10/h", -1, ""}, {"-1MiB/h", -1, ""}, {"1MiB/d", -1, ""}, {"/h", -1, ""}, {"NaNMiB/h", -1, ""},
	} {
		var g, again SizeGrowth
		err := g.Set(c.text)
		if (err != nil) != (c.bytes < 0) || err == nil && (float64(g) != c.bytes || g.String() != c.again || again.Set(g.String()) != nil || again != g) {
			t.Errorf("%q: %v, %v, %q, want %v and %q", c.text, err, float64(g), g, c.bytes, c.again)
		}
	}
	for _, c := range []struct {
		text   string
		number float64
		again  string
	}{
		{"0/h", 0, "0/h"}, {"3/h", 3, "3/h"}, {"0.5/h", 0.5, "0.5/h"}, {"1/m", 60, "60/h"}, {"2/s", 7200, "7200/h"},
		{"3", -1, ""}, {"3MiB/h", -1, ""}, {"-1/h", -1, ""}, {"1e3/h", -1, ""}, {"Inf/h", -1, ""},
	} {
		var g, again CountGrowth
		err := g.Set(c.text)
		if (err != nil) != (c.number < 0) || err == nil && (float64(g) != c.number || g.String() != c.again || again.Set(g.String()) != nil || again != g) {
			t.Errorf("%q: %v, %v, %q, want %v and %q", c.text, err, float64(g), g, c.number, c.again)
		}
	}
	for _, c := range []struct {
		text  string
		share float64
		again string
	}{
		{"1%/h", 0.01, "1%/h"}, {"0%/h", 0, "0%/h"}, {"0.5%/m", 0.3, "30%/h"}, {"1/h", -1, ""}, {"1%", -1, ""}, {"-1%/h", -1, ""}, {"%/h", -1, ""},
	} {
		var g, again ShareGrowth
		err := g.Set(c.text)
		if (err != nil) != (c.share < 0) || err == nil && (float64(g) != c.share || g.String() != c.again || again.Set(g.String()) != nil || again != g) {
			t.Errorf("%q: %v, %v, %q, want %v and %q", c.text, err, float64(g), g, c.share, c.again)
		}
	}
}
