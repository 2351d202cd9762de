package meter

import (
	"testing"
	"time"
)

func TestParseSteal(t *testing.T) {
	for _, tt := range []struct {
		name, stat string
		want       time.Duration
	}{
		{"eighth number, 7 ticks of 10 ms", "cpu  1 2 3 4 5 6 0 7 8 9\ncpu0 1 2 3 4 5 6 0 5 0 0\n", 70 * time.Millisecond},
		{"kernel without steal", "cpu  1 2 3 4 5 6 0\n", -1},
		{"empty", "", -1},
		{"other first line", "cpu0 1 2 3 4 5 6 0 7 8 9\n", -1},
		{"not a number", "cpu  1 2 3 4 5 6 0 x 8 9\n", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseSteal([]byte(tt.stat)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseStall(t *testing.T) {
	for _, tt := range []struct {
		name, psi string
		want      time.Duration
	}{
		{"total in microseconds", "some avg10=86.53 avg60=90.68 avg300=87.66 total=1754523779\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 1754523779 * time.Microsecond},
		{"empty", "", -1},
		{"full first", "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", -1},
		{"not a number", "some avg10=0.00 avg60=0.00 avg300=0.00 total=x\n", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseStall([]byte(tt.psi)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseRunnable(t *testing.T) {
	for text, want := range map[string]int{
		"49.38 37.28 27.32 51/812 30380\n": 50,
		"0.20 0.18 0.12 1/80 11206\n":      0,
		"0.20 0.18 0.12 0/80 11206\n":      0,
		"0.20 0.18 0.12\n":                 -1,
		"0.20 0.18 0.12 x/80 1\n":          -1,
		"0.20 0.18 0.12 7 1\n":             -1,
		"":                                 -1,
	} {
		if got := parseRunnable([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	if got := runnable(); got < 0 {
		t.Errorf("this system says %d", got)
	}
}
