//go:build unix

package chaos

import "testing"

// A number that is rounded is another one, and what is none equals nothing, and cannot be
// written into a timeline.
func TestNumbersOfAuditsAreExact(t *testing.T) {
	for body, want := range map[string]bool{"7": true, "-0.5": true, "1e3": true, "9007199254740991": true, "-9007199254740991": true,
		"9007199254740993": false, "1e300": false, "1e999": false, "NaN": false, "Inf": false, "-inf": false, "": false, "seven": false} {
		if got, ok := numberIn([]byte("total="+body), "body~/total=(.*)/"); ok != want {
			t.Errorf("%q: %v, %v; want %v", body, got, ok, want)
		}
	}
}
