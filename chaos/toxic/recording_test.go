package toxic

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

func TestRecordedLatency(t *testing.T) {
	h := hist.New()
	for range 3 {
		h.Record(10 * time.Millisecond)
	}
	h.Record(time.Second)
	l := Latency{Recorded: "runs/front.hlog", Tag: "pay", Draws: h.Sampler(), Select: All}
	long := 0
	for r, n := rng(), 4000; n > 0; n-- {
		switch d := decide(l, headOf("GET", "/", nil), r).Delay.Round(time.Millisecond); d {
		case 10 * time.Millisecond:
		case time.Second:
			long++
		default:
			t.Fatalf("drew %v, which was not recorded", d)
		}
	}
	// A quarter of 4000, ± 5 standard deviations of √(4000·¼·¾) = 27.
	if long < 863 || long > 1137 {
		t.Errorf("%d of 4000 draws are long, want a quarter", long)
	}
	if want := "latency as recorded in front.hlog for pay to 100%"; l.String() != want {
		t.Errorf("got %q, want %q", l, want)
	}
	if l = (Latency{Recorded: "nowhere", Select: All}); decide(l, headOf("GET", "/", nil), rng()) != (Fate{}) {
		t.Error("what was not loaded delays")
	}
}
