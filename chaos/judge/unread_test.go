package judge

import (
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Where connections of a link could not be read, calls may have gone over it without
// a record: what a claim says of that link's calls has neither held nor is it
// refuted. What callers saw stands.
func TestUnreadConnectionsLeaveOpenWhatWentOverTheLink(t *testing.T) {
	for name, s := range sounds() {
		for _, refuted := range []bool{false, true} {
			run := copied(s.run)
			run.Links = map[string]*evidence.Link{}
			for name, l := range s.run.Links {
				run.Links[name] = &evidence.Link{Name: l.Name, From: l.From, To: l.To, Exchanges: l.Exchanges,
					Unread: 3, FirstUnread: "response: malformed"}
			}
			claim := s.claim
			if b, ok := claim.(Bulkhead); ok && refuted && b.Limit > 0 {
				b.Limit = 1
				claim = b
			}
			want, why := Inconclusive, "could not be read (first a response: malformed), so that calls may have gone over it unseen"
			switch claim.(type) {
			case Steady, Recovery, Shed, Alert, SLO, Growth:
				want, why = Held, ""
			}
			if v := claim.Judge(run); v.Ruling != want || !strings.Contains(v.Reason, why) {
				t.Errorf("%s: %v: %s; want %v", name, v.Ruling, v.Reason, want)
			}
		}
	}
}
