package lease

import "slices"

// Limit is one of a process's resource limits (getrlimit(2)).
type Limit struct{ Soft, Max uint64 }

// limited are the limits that Rlimit knows, by their names in prlimit(1).
var limited = []string{"nofile", "as", "fsize"}

func knownLimit(resource string) bool { return slices.Contains(limited, resource) }
