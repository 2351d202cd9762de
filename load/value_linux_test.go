package load

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
)

// What keys and values cost on the path of a request: none is a load without them, the
// same as BenchmarkLoopback. Sizes differ little, so compare rounds that alternate.
func BenchmarkValues(b *testing.B) {
	for _, c := range []struct {
		name  string
		keys  uint64
		route Route
	}{
		{"none", 0, Route{Path: "/price/17"}},
		{"key", 100, Route{Path: "/price/${key}"}},
		{"writes", 100, Route{Path: "/price/${key}?v=${id}", Writes: true}},
		{"reads", 100, Route{Path: "/price/${key}", Reads: "header:ETag"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.route.Addr = listen(b, saysAnything).addr
			b.ReportAllocs()
			p := Plan{Schedule: arrivals.Constant(1e9, time.Duration(b.N)), Run: 1, Seed: 1, Keys: c.keys, Loops: 1, MaxConns: 64,
				Grace: time.Minute, Routes: []Route{c.route}, Values: func(int, uint64, uint64, uint64) {}}
			b.ResetTimer()
			if err := Run(b.Context(), p, time.Now(), func(int, Sample) {}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
