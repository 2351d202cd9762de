//go:build race

package judge

// Under the race detector, where a simulation takes six times as long, each case
// is judged with one seed: more of them bring no other goroutines together. All
// seeds are judged without it.
func init() { *seeds, *modelSeeds, *violations = 1, 1, 1 }
