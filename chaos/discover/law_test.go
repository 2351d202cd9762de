package discover

import (
	"strings"
	"testing"
)

// A law is told of the waits as they were seen: a low and a high end, each known to a
// few milliseconds.
func TestLawOf(t *testing.T) {
	for _, c := range []struct {
		name string
		ends []float64 // low, high of each wait, in ms
		want string
	}{
		{"exponential with jitter", []float64{100, 150, 200, 300, 400, 600}, "base: 100ms, factor: 2, jitter: 50%"},
		{"no jitter", []float64{100, 101, 300, 302, 900, 903}, "base: 100ms, factor: 3"},
		{"capped", []float64{100, 150, 200, 300, 400, 600, 400, 600}, "base: 100ms, factor: 2, cap: 400ms, jitter: 50%"},
		{"cut at the cap", []float64{100, 101, 200, 202, 300, 302}, "base: 100ms, factor: 2, cap: 300ms"},
		{"constant", []float64{250, 255, 250, 255, 250, 255}, "base: 250ms, law: constant"},
		{"full jitter", []float64{1, 100, 1, 200, 2, 400}, "base: 100ms, law: full, factor: 2"},
		{"noise", []float64{100, 200, 200, 300, 400, 500}, "base: 100ms, factor: 2, noise: 100ms"},
		{"a little noise", []float64{1000, 1100, 2000, 2100}, "base: 1s, factor: 2, noise: 100ms"},
		{"to either side", []float64{250, 750, 375, 1125}, "base: 500ms, law: spread, factor: 1.5, jitter: 50%"},
		{"the first at once", []float64{0, 1, 400, 401, 800, 802}, "base: 0s, factor: 2"},
		{"one wait", []float64{100, 120}, "base: 100ms, jitter: 20%"},
	} {
		var waits []Wait
		for i := 0; i < len(c.ends); i += 2 {
			low, high := c.ends[i], c.ends[i+1]
			w := Wait{&Figure{Sample: 100}, &Figure{Sample: 100}, 100, (c.ends[i] + c.ends[i+1]) / 2}
			w.Low.Low, w.Low.High = low*0.99, low
			w.High.Low, w.High.High = high, high*1.01
			waits = append(waits, w)
		}
		law, ok := LawOf(waits)
		if got := strings.Join(law.keys(), ", "); !ok || got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if law, _ := LawOf([]Wait{{figure(79, 80), figure(120, 121), 100, 100}}); law.either() != "which is 100ms ± 20%" {
		t.Errorf("spread to either side: %q", law.either())
	}
	vague := []Wait{{figure(98, 100), figure(110, 190), 100, 140}}
	if law, _ := LawOf(vague); law.sure() || law.text() != "add, base 98 ms to 100 ms, jitter 10% to 94%" {
		t.Errorf("hidden by noise: %q may be claimed", law.text())
	}
	both := []Wait{{figure(195, 200), figure(200, 310), 100, 250}, {figure(395, 400), figure(400, 510), 100, 450}}
	if law, _ := LawOf(both); law.sure() {
		t.Errorf("jitter and noise both fit: %q may be claimed", law.text())
	}
	// The host held up waits that are spread by up to 100 ms: no part and no time fits all.
	heldUp := []Wait{
		{figure(95, 100), figure(230, 260), 100, 180}, {figure(195, 200), figure(290, 310), 100, 250},
		{figure(396, 400), figure(480, 505), 100, 450},
	}
	told := "add, base 95 ms to 100 ms, factor 1.98 to 2.05, noise 80 ms to 109 ms or jitter 20% to 28%"
	if law, _ := LawOf(heldUp); law.sure() || !law.Either || law.text() != told {
		t.Errorf("held up: %q", law.text())
	}
	// The host held up a few of what comes at once: that is no range from nothing to 60 ms.
	if law, _ := LawOf([]Wait{{figure(0, 1), figure(55, 62), 100, 1.2}}); law.Name == "full" || !law.atOnce() {
		t.Errorf("at once, with a few held up: %q", law.text())
	}
	hidden := []Wait{{figure(0, 90), figure(0, 400), 100, 250}, {figure(0, 180), figure(0, 400), 100, 250}}
	if law, _ := LawOf(hidden); law.sure() || law.text() != "cannot be told, base 0.0 ms to 90 ms" {
		t.Errorf("hidden by a swamped host: %q", law.text())
	}
	if _, ok := LawOf(nil); ok {
		t.Error("there is a law of no waits")
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct{ low, high, want float64 }{
		{1980, 2020, 2000}, {95, 102, 100}, {249, 256, 250}, {1.9, 2.1, 2}, {44, 58, 50}, {7, 7, 7}, {0.0011, 0.0019, 0.0015}, {29600, 30500, 30000},
	} {
		if got := round(c.low, c.high); got != c.want {
			t.Errorf("round(%g, %g) = %g, want %g", c.low, c.high, got, c.want)
		}
	}
}
