// Command stormctl proves that a system's resilience patterns hold: it drives
// load at the system, breaks what the system leans on, and rules on claims.
package main

import "os"

func main() {
	watchOver() // does not return where we watch over a target, or over a run
	os.Exit(int(execute(os.Args[1:], os.Stdout, os.Stderr)))
}
