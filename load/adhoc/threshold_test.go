package adhoc

import (
	"testing"

	"github.com/stormctl/stormctl/reports"
)

// A harness that was not well makes latencies worse, never better: what fails
// then is open, and what passes has passed.
func TestThresholdsOfAnUnwellHarness(t *testing.T) {
	for _, tt := range []struct {
		text         string
		healthy      bool
		failed, open bool
	}{
		{"p99>50ms", true, true, false},
		{"p99>50ms", false, false, true},
		{"p99>200ms", false, false, false},
		{"success<99%", false, true, false},
		{"rate<100/s", false, false, true},
		{"success<85%", false, false, false},
		{"success<95%", true, true, false},
		{"success<95%", false, false, true}, // 90 of the 94 that were sent are 95.7%: what was not sent may be the harness's failure
	} {
		threshold, err := ParseThreshold(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		l := &reports.Load{Due: 100, Requests: 94, Unsent: 6, Success: 90, Rate: 50}
		l.Response.P99, l.Harness.Healthy = 100, tt.healthy
		if got := threshold.judge(l); got.Failed != tt.failed || got.Open != tt.open {
			t.Errorf("%s, healthy %v: %+v", tt.text, tt.healthy, got)
		}
	}
}

// No time is over a bound where there are no times.
func TestThresholdsOfNothing(t *testing.T) {
	for text, want := range map[string]reports.Threshold{
		"p99>50ms":    {Open: true},
		"max>1s":      {Open: true},
		"success<99%": {Failed: true},
		"unsent>100":  {},
	} {
		threshold, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		l := &reports.Load{Due: 100, Unsent: 100}
		l.Harness.Healthy = true
		if got := threshold.judge(l); got.Failed != want.Failed || got.Open != want.Open {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestThresholdsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "p99", "p99>", "p99>50", "p99>=50ms", "p98>1ms", "p50>-1ms", "success<99", "success<NaN%",
		"unsent>5abc", "unsent>NaN", "unsent>Inf", "unsent>1e30", "unsent>-1"} {
		if threshold, err := ParseThreshold(text); err == nil {
			t.Errorf("%q is %q", text, threshold.text)
		}
	}
}
