//go:build !linux

package chaos

// lowerPriority lets the calling thread give way to others, where that is known how.
func lowerPriority() {}
