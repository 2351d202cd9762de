package reference

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
)

// participant does and undoes one step of sagas. It answers
//
//	POST /DO          does it for the saga of X-Request-Id, or else of traceparent; 409 if it refuses
//	POST /UNDO        undoes it; what was not done yet then never is
//	GET  /effects     {"count": N, "do": [ids], "undo": [ids]}
//	GET  /effects/ID  {"do": N, "undo": N}, of one saga
//	GET  /state       {"total": N}: what was done and not undone
//	/healthz
//
// with the words of its settings for DO and UNDO. It does, and undoes, as often as it is told to: that it
// is told once is for its caller to see to. It keeps all in memory, and ends with its process.
type participant struct {
	settings *participantSettings

	mu       sync.Mutex
	do, undo []string // what was done, and what of it was undone
	of       map[string]stepEffects
}

// stepEffects is how often a step was done and undone for a saga. One that is undone and not done never will be done.
type stepEffects struct {
	Do   int `json:"do"`
	Undo int `json:"undo"`
}

// participantSettings configure a participant.
type participantSettings struct {
	do, undo    string
	refuses     float64
	serviceTime time.Duration
}

var participantKeys = []key[participantSettings]{
	text("do", "do", "path that does the step, like reserve", func(s *participantSettings) *string { return &s.do }),
	text("undo", "undo", "path that undoes it, like release", func(s *participantSettings) *string { return &s.undo }),
	share("refuses", "0%", "",
		"share of the sagas for which it refuses, by their ids", func(s *participantSettings) *float64 { return &s.refuses }),
	wait("service_time", "0s", "", "how long it works on a step", 0, never,
		func(s *participantSettings) *time.Duration { return &s.serviceTime }),
}

func parseParticipant(with map[string]string) (*participantSettings, error) {
	return parse("participant", participantKeys, with)
}

// participantService is the reference service participant.
func participantService() service {
	return configured(Description{
		Name: "participant", About: "does and undoes one step of sagas, and says of which",
		Settings: describe(participantKeys),
	}, parseParticipant, nil, func(_ context.Context, s *participantSettings, c Config) (http.Handler, error) {
		return newParticipant(s), callsNobody("participant", c.Deps)
	})
}

func newParticipant(s *participantSettings) *participant {
	return &participant{settings: s, of: map[string]stepEffects{}}
}

func (p *participant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	of, ofOne := strings.CutPrefix(r.URL.Path, "/effects/")
	path := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case r.Method == http.MethodPost && (path == p.settings.do || path == p.settings.undo):
		id := requestID(r.Header.Get(idHeader), r.Header.Get(traceHeader))
		if id == "" {
			http.Error(w, "a step needs the id of its saga: X-Request-Id, or traceparent", http.StatusBadRequest)
			return
		}
		sleep(p.settings.serviceTime)
		status, said := p.take(path, id)
		if status != http.StatusOK {
			http.Error(w, said, status)
			return
		}
		_, _ = io.WriteString(w, said+"\n")
	case path == "effects":
		p.mu.Lock()
		all := map[string]any{
			"count": len(p.do) + len(p.undo), "do": append([]string{}, p.do...), "undo": append([]string{}, p.undo...),
		}
		p.mu.Unlock()
		writeJSON(w, all)
	case ofOne && of != "":
		p.mu.Lock()
		e := p.of[of]
		p.mu.Unlock()
		writeJSON(w, e)
	case path == "state":
		p.mu.Lock()
		total := len(p.do) - len(p.undo)
		p.mu.Unlock()
		writeJSON(w, map[string]any{"total": total})
	case path == "healthz":
		_, _ = io.WriteString(w, "ok\n")
	default:
		http.Error(w, "there are POST /"+p.settings.do+" and /"+p.settings.undo+", GET /effects, /effects/ID, /state and /healthz",
			http.StatusNotFound)
	}
}

// take does a step, or undoes it.
func (p *participant) take(path, id string) (status int, said string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.of[id]
	switch {
	case path == p.settings.do && e.Do == 0 && e.Undo > 0:
		return http.StatusConflict, "it was undone before"
	case path == p.settings.do && p.refused(id):
		return http.StatusConflict, "it is refused"
	case path == p.settings.do:
		p.do = append(p.do, id)
		e.Do++
	default:
		if e.Do > 0 {
			p.undo = append(p.undo, id)
		}
		e.Undo++
	}
	p.of[id] = e
	return http.StatusOK, "done"
}

// refused reports whether a saga is one of those that are refused.
func (p *participant) refused(id string) bool {
	sum := sha256.Sum256([]byte(id)) // ids count up, and what is left of that in a lesser hash's upper bits refuses whole rows of them
	return float64(binary.BigEndian.Uint64(sum[:])) < p.settings.refuses*math.MaxUint64
}
