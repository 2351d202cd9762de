//go:build !linux

package chaos

// lowerPriority lets a process of ours give way to others, where that is known how.
func lowerPriority(int) {}
