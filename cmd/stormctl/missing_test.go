package main

import (
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/judge"
)

// What was planned and did not happen leaves nothing to pass on, in whatever
// way the result is read, and whoever rules on it again.
func TestMissingFaultLeavesNothingHeld(t *testing.T) {
	t.Parallel()
	const experiment = `
name: missing
targets: {bank: {reference: dependency}, checkout: {reference: frontend}}
links: {payments: {from: checkout, to: bank}}
load: {rate: 100/s, duration: 3s, routes: [{name: pay, to: checkout, get: /payments}]}
chaos: [FAULT]
claims: [{steady: {success: 50%}}]
`
	for _, tt := range []struct {
		name, fault, want string
	}{
		{"not injected", `{at: 1s, for: 1s, on: bank, exec: {inject: ["false"], heal: ["true"]}}`, `fault "exec false on bank" was not injected: `},
		{"hit nothing", `{at: 1s, for: 1s, on: payments, errors: {status: 503, match: {path: /refunds}}}`, " hit none of the "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startRun(t, strings.Replace(experiment, "FAULT", tt.fault, 1))
			if code := s.wait(); code != 3 {
				t.Errorf("exit code %d, want 3\n%s", code, s.out)
			}
			r := readResult(t, s.dir)
			if r.Ruling != judge.Inconclusive || len(r.Missing) != 1 || !strings.Contains(r.Missing[0], tt.want) || !strings.HasPrefix(r.Verdicts[0].Reason, r.Missing[0]) {
				t.Errorf("%s, missing %q, the claim: %q", r.Ruling, r.Missing, r.Verdicts[0].Reason)
			}
			head, _, _ := strings.Cut(s.out.String(), "INCONCLUSIVE")
			if !strings.Contains(head, "FAULT MISSING  fault ") {
				t.Errorf("the first lines do not say it:\n%s", s.out)
			}
			again, err := chaos.Judge(s.dir)
			if err != nil || again.Ruling != r.Ruling || again.Verdicts[0].Reason != r.Verdicts[0].Reason {
				t.Errorf("judged again: %v, %+v", err, again)
			}
		})
	}
}
