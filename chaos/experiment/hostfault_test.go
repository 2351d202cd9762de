package experiment

import (
	"fmt"
	"strings"
	"testing"
)

// What the kernel cannot count would become the least that it can.
func TestCoresThatNoMachineHas(t *testing.T) {
	for cores, want := range map[string]string{
		"0.5": "", "10000": "",
		"10001": "cores: must be at most 10000", "1e300": "cores: must be at most 10000", ".inf": "cores: ", ".nan": "cores: ", "0": "cores: ", "-1": "cores: ",
	} {
		text := fmt.Sprintf(`name: x
targets: {own: {process: {command: [./own]}}}
load: {rate: 1/s, duration: 5s, routes: [{name: pay, to: own, get: /}]}
chaos: [{at: 1s, for: 1s, on: own, cpu: {cores: %s}}]
claims: [{steady: {success: 99%%}}]
`, cores)
		_, err := Parse("x", []byte(text), Options{})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", cores, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", cores, err, want)
		}
	}
}
