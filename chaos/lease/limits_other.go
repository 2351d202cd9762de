//go:build !linux

package lease

import (
	"errors"
	"fmt"
	"runtime"
)

var errNoLimits = fmt.Errorf("the limits of another process can be read and set only on Linux, this is %s: %w", runtime.GOOS,
	errors.ErrUnsupported)

// ReadLimit fails here.
func ReadLimit(int, string) (Limit, error) { return Limit{}, errNoLimits }

// SetLimit fails here.
func SetLimit(int, string, Limit) error { return errNoLimits }
