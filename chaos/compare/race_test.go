//go:build race

package compare

// Under the race detector, where a simulation takes six times as long, there is one
// of each: all are made without it.
func init() { oneOfEach = true }
