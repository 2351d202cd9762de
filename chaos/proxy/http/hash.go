package http

// FNV-1a, 64 bits: stable across processes, so that evidence of different runs
// can be compared. A hash of 0 means that there was nothing to hash.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

func hashOn(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

func hashBytes(b []byte) uint64 { return nonZero(hashOn(fnvOffset, b)) }

func nonZero(h uint64) uint64 { return max(h, 1) }
