package load

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
)

// A load that nobody keeps going sends nothing that falls due past its time, nor, having
// stood still, what fell due before; one that is kept going sends all.
func TestLoadLapses(t *testing.T) {
	server := listen(t, says(okAnswer))
	for _, transport := range everyTransport(t) {
		until := &atomic.Int64{}
		p := Plan{Schedule: arrivals.Constant(1000, 100*time.Millisecond), Loops: 2, MaxConns: 4, Transport: transport,
			Routes: []Route{{Name: "a", Addr: server.addr}}, Until: until}
		until.Store(int64(50 * time.Millisecond))
		sent, err := collect(t, t.Context(), p, time.Now())
		if !errors.Is(err, ErrLapsed) {
			t.Errorf("%s: %v", transport, err)
		}
		for _, s := range sent {
			if s.Outcome != Unsent && s.Intended > 50*time.Millisecond {
				t.Errorf("%s: what was due at %v was sent", transport, s.Intended)
			}
		}
		sent, err = collect(t, t.Context(), p, time.Now().Add(-time.Second))
		if !errors.Is(err, ErrLapsed) || len(sent) != 100 {
			t.Errorf("%s: it stood still: %d arrivals, %v", transport, len(sent), err)
		}
		for _, s := range sent {
			if s.Outcome != Unsent {
				t.Errorf("%s: it stood still, and what was due at %v came to %v", transport, s.Intended, s.Outcome)
			}
		}
		until.Store(math.MaxInt64)
		for _, s := range mustCollect(t, p) {
			if s.Outcome != OK {
				t.Errorf("%s: kept going, what was due at %v came to %v", transport, s.Intended, s.Outcome)
			}
		}
	}
}
