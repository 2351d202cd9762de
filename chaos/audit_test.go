//go:build unix

package chaos

import "testing"

// A number that is rounded is another one, and what is none equals nothing, and cannot be
// written into a timeline.
func TestNumbersOfAuditsAreExact(t *testing.T) {
	for body, want := range map[string]bool{"7": true, "-0.5": true, "1e3": true, "9007199254740991": true, "-9007199254740991": true,
		"0": true, "-0.00": true, "100": true, "0.1": true, "10.50": true, "0.30000000000000004": true, "1E+2": true,
		"100000000000000.01": false, "0.10000000000000001": false, "1e-400": false, "0x10": false, "0x1p4": false, "1_0": false,
		"9007199254740993": false, "1e300": false, "1e999": false, "NaN": false, "Inf": false, "-inf": false, "": false, "seven": false} {
		if got, ok := numberIn([]byte("total="+body), "body~/total=(.*)/"); ok != want {
			t.Errorf("%q: %v, %v; want %v", body, got, ok, want)
		}
	}
}

func TestAuditsThatTellAll(t *testing.T) {
	for status, want := range map[int]bool{200: true, 203: true, 206: false, 199: false, 302: false, 404: false, 500: false} {
		if err := tellsAll(status); (err == nil) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
}
