package host

import (
	"strings"
	"testing"
)

// TestLacks: what a system does not have is named, with what would do instead; what
// it has is not refused.
func TestLacks(t *testing.T) {
	defer func(was string) { system = was }(system)
	faults := []struct {
		fault         Fault
		darwin, linux string // what the refusal names; "" is none
	}{
		{CPU{Cores: 1}, "cgroups, which only Linux has; this is darwin; by: stop needs none", ""},
		{Memory{}, "cgroups", ""},
		{AddressSpace{}, "prlimit", ""},
		{Descriptors{}, "prlimit", ""},
		{Partition{}, "network namespaces", ""},
		{Rate{}, "network namespaces", ""},
		{DutyCycle{Runs: 0.5}, "", ""},
		{Pause{}, "", ""},
		{Kill{}, "", ""},
		{Disk{}, "", ""},
		{Command{InjectWith: []string{"true"}}, "", ""},
	}
	for _, f := range faults {
		for name, want := range map[string]string{"darwin": f.darwin, "linux": f.linux} {
			system = name
			err := Lacks(f.fault)
			if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%T on %s: %v, want %q in it", f.fault, name, err, want)
			}
		}
	}
}
