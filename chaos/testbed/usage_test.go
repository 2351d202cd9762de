package testbed

import (
	"maps"
	"testing"
	"time"
)

// What was started again in between, or is not known, is left out.
func TestUsed(t *testing.T) {
	before := map[string]Usage{"shop": {10, time.Second}, "again": {11, time.Second}, "unknown": {12, 0}, "gone": {13, time.Second}}
	after := map[string]Usage{"shop": {10, 3 * time.Second}, "again": {21, 4 * time.Second}, "unknown": {12, 0}, "late": {14, time.Second}}
	if got, want := Used(before, after), map[string]time.Duration{"shop": 2 * time.Second}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
