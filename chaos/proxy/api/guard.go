package api

import (
	"net/http"

	"github.com/stormctl/stormctl/chaos/guard"
)

// admit answers a request that may not be served, and reports whether it may be.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	refusal := s.guard.Admit(r)
	switch {
	case refusal == nil:
		return true
	case refusal.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", guard.Challenge)
		fail(w, &problem{refusal.Text, refusal.Status})
	default:
		refusal.Answer(w)
	}
	return false
}
