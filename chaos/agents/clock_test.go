package agents

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever the delays on either way, and while the clocks run apart by as much as they
// may, the true offset lies within the bound: 1,000 times in 1,000.
func TestOffsetIsWithinItsBound(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 18))
		ahead := time.Duration(rng.Int64N(int64(10_000*time.Second))) - 5000*time.Second
		rate := (2*rng.Float64() - 1) * drift
		theirs := func(now time.Duration) time.Duration { return now + ahead + time.Duration(rate*float64(now)) }
		delay := func(asymmetry time.Duration) time.Duration {
			return asymmetry + time.Duration(rng.ExpFloat64()*float64(300*time.Microsecond))
		}
		out, back := time.Duration(rng.Int64N(int64(50*time.Millisecond))), time.Duration(rng.Int64N(int64(50*time.Millisecond)))
		now := time.Duration(0)
		var best, first offset
		for i := range 40 {
			arrived := now + delay(out)
			left := arrived + delay(0)
			came := left + delay(back)
			best = best.better(exchanged(now, theirs(arrived), theirs(left), came), came)
			if now = came + 10*time.Millisecond; i > 20 {
				now = came + time.Second
			}
			if i == 20 {
				first = best
			}
			truth := theirs(now) - now
			if off := max(truth-best.ahead, best.ahead-truth); off > best.bound(now) {
				t.Fatalf("seed %d: %v off after %v, and known within %v", seed, off, now, best.bound(now))
			}
			if i > 20 {
				if off := max(truth-first.ahead, first.ahead-truth); off > first.apart(best, now) {
					t.Fatalf("seed %d: what was measured first is %v off after %v, and known within %v", seed, off, now, first.apart(best, now))
				}
			}
		}
	}
}

// A bound that is half of what it should be is noticed by the test above; here a known
// exchange tells what it should.
func TestExchanged(t *testing.T) {
	// Ours at 10 and 30 ms, theirs at 115 and 117: 18 ms on the wire, the offset is 96 ± 9.
	o := exchanged(10*time.Millisecond, 115*time.Millisecond, 117*time.Millisecond, 30*time.Millisecond)
	if o.ahead != 96*time.Millisecond || o.within < 9*time.Millisecond || o.within > 9*time.Millisecond+2 {
		t.Errorf("it is ahead by %v within %v", o.ahead, o.within)
	}
	// A second later 100 µs more.
	if got := o.bound(1030 * time.Millisecond); got < 9100*time.Microsecond || got > 9100*time.Microsecond+3 {
		t.Errorf("a second later it is known within %v", got)
	}
}
