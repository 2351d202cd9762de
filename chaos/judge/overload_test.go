package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// TestNobodyIsLateOnAnOverloadedHost: what comes late, or is repeated because it
// came too late for its caller, is the host's doing as well where there is more to
// do than it can.
func TestNobodyIsLateOnAnOverloadedHost(t *testing.T) {
	slow := backingOff()
	slow.wait = doubling(250*time.Millisecond, 0.5)
	wrong := retrying()
	wrong.retries = func(status int) bool { return status == 0 || status == 400 || status == 429 || status == 503 }
	hasty := backingOff()
	hasty.faults = append(hasty.faults, simFault{kind: "errors", at: 6 * time.Second, span: time.Second, statuses: []int{429}, after: time.Second})
	hasty.obeys = false
	late := sound(3)
	late.rate, late.poisson, late.breaker.failures = 50, false, 100
	opens := protects
	opens.Failures = 0
	for _, tt := range []struct {
		name   string
		run    *evidence.Run
		claim  Claim
		reason string
	}{
		{"waits", slow.run(), Backoff{Link: "payments", Base: 100 * time.Millisecond, Jitter: 0.5}, "come too late"},
		{"retries after 400", wrong.run(), retryClaim(), "retried after 400"},
		{"ignores Retry-After", hasty.run(), Backoff{Link: "payments", Base: 100 * time.Millisecond, Jitter: 0.5, RetryAfter: true}, "before the Retry-After"},
		{"opens", late.play(), opens, "opened"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v := tt.claim.Judge(tt.run); v.Ruling != Refuted || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("alone: %s: %s; want refuted: %s", v.Ruling, v.Reason, tt.reason)
			}
			for i := range tt.run.Ticks {
				tt.run.Ticks[i].Pressure = 1
			}
			if v := tt.claim.Judge(tt.run); v.Ruling == Refuted {
				t.Errorf("overloaded: %s: %s; want it not refuted", v.Ruling, v.Reason)
			}
		})
	}
}
