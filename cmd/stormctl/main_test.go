package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/targets"
)

// The test binary stands in for stormctl in scripts, and for the supervisors,
// guardians and reference targets that a run of it starts; and for a target that grows.
func TestMain(m *testing.M) {
	targets.Supervise()
	lease.Guard()
	testscript.Main(m, map[string]func(){"stormctl": main, "grower": grow})
}
