package toxic

import (
	"hash/fnv"
	"io"
	"math/rand/v2"

	"github.com/stormctl/stormctl/load/wire"
)

// Seed is the part of the seed that all draws of one toxic share. It is the
// same in every process, so that evidence of different runs can be compared.
func Seed(seed uint64, link string, index int) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, link) // never fails
	return wire.Mix(wire.Mix(seed^h.Sum64()) + uint64(index))
}

// Reseed makes pcg the chance of the toxic with this seed about one subject, the
// nth time that it draws about it.
func Reseed(pcg *rand.PCG, seed, subject, nth uint64) {
	pcg.Seed(wire.Mix(seed^wire.Mix(subject)), wire.Mix(seed+nth))
}
