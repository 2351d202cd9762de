package load

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
