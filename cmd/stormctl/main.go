// Command stormctl proves that a system's resilience patterns hold: it drives
// load at the system, breaks what the system leans on, and rules on claims.
package main

import (
	"os"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/targets"
)

func main() {
	targets.Supervise() // does not return where we watch over a target
	lease.Guard()       // nor where we watch over a run
	os.Exit(int(execute(os.Args[1:], os.Stdout, os.Stderr)))
}
