package transport

// handOver drops what is pending: there are no links here.
func handOver(uintptr, []byte) {}
