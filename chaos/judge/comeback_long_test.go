package judge

import (
	"fmt"
	"testing"
	"time"
)

// A stretch that is long has room for much that fails; what is lost when the run ends
// has not stayed, however little of such a stretch it is. What a whole stretch does not
// fit into is left open, and a bound that is too small is not held.
func TestRecoveryOverLongStretches(t *testing.T) {
	for _, c := range []struct {
		stretch, within time.Duration
		back            time.Duration // after the healing
		lostFor         time.Duration // until the run ends
		want            Ruling
	}{
		{5 * time.Second, 1500 * ms, time.Second, 0, Held},
		{10 * time.Second, 1500 * ms, time.Second, 0, Held},
		{5 * time.Second, 1500 * ms, time.Second, 240 * ms, Inconclusive},
		{10 * time.Second, 1500 * ms, time.Second, 450 * ms, Inconclusive},
		{10 * time.Second, 1500 * ms, time.Second, 200 * ms, Inconclusive},
		{5 * time.Second, 990 * ms, time.Second, 0, Inconclusive},
		{10 * time.Second, 500 * ms, time.Second, 0, Inconclusive},
		{5 * time.Second, 500 * ms, time.Second, 0, Refuted},
		{14 * time.Second, 1500 * ms, time.Second, 0, Inconclusive}, // of which none is whole
		{time.Minute, time.Minute, time.Second, 0, Inconclusive},
	} {
		t.Run(fmt.Sprintf("for %s, within %s, lost for %s", c.stretch, c.within, c.lostFor), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				w := failing(seed)
				w.total = 16 * time.Second
				run := w.play()
				failing500(run, "pay", 4*time.Second, 4*time.Second+c.back)
				failing500(run, "pay", 16*time.Second-c.lostFor, 16*time.Second)
				v := Recovery{Route: "pay", Within: c.within, For: c.stretch}.Judge(run)
				if v.Ruling != c.want {
					t.Errorf("seed %d: %s: %s; want %s", seed, v.Ruling, v.Reason, c.want)
				}
			}
		})
	}
}
