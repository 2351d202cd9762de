package reference

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// saga takes each request through three steps, of the participants that its links lead to:
//
//	order: /place  ─▶  stock: /reserve  ─▶  payment: /charge
//	   ▲ /cancel          ▲ /release           ▲ /refund
//	   └──────────────────┴────────────────────┴── if one is refused, or has no answer
//
// It answers 200 if all are done, 409 if one was refused and 503 if one had no answer, once what was done is
// undone. /healthz is answered by itself.
//
// A sound saga undoes also the step that had no answer, because it may have been done. Before it begins it
// says so in its journal, and it undoes what an earlier process has begun and not ended: whoever asked for that
// has had no answer. A call that may have taken effect is asked for before it is made again, so that nothing is
// undone twice.
type saga struct {
	settings *sagaSettings
	life     context.Context
	journal  *journal // nil remembers nothing
	steps    []sagaStep
	working  sync.WaitGroup // recovery, and what callers did not wait for
}

type sagaStep struct {
	do, undo string
	at       *client
}

// sagaSettings configure a saga.
type sagaSettings struct {
	journal string
	timeout time.Duration
	flaw    string
}

var sagaKeys = []key[sagaSettings]{
	oneOf("journal", "on", "on writes what was begun to a file, and ends it after a restart", []string{"on", "off"},
		func(s *sagaSettings) *string { return &s.journal }),
	wait("timeout", "500ms", "", "bound of one call", time.Millisecond, never, func(s *sagaSettings) *time.Duration { return &s.timeout }),
	flawOf("breaks it in one way", func(s *sagaSettings) *string { return &s.flaw }),
}

// sagaFlaws are those of a saga.
var sagaFlaws = []Flaw{
	{"no-compensation", "undo", "conserved", "undoes nothing"},
	{"compensates-twice", "undo", "conserved", "undoes each step twice"},
	{"forgets-on-crash", "journal", "conserved", "leaves what an earlier process has begun as it is"},
	{"treats-timeout-as-failure", "undo", "conserved", "takes a step that had no answer for one that was not done"},
}

func parseSaga(with map[string]string) (*sagaSettings, error) {
	s, err := parseFlawed("saga", sagaKeys, sagaFlaws, with)
	if s.flaw == "forgets-on-crash" && s.journal == "off" {
		err = errors.Join(err, errors.New("saga: flaw forgets-on-crash: it has no journal: set journal to on"))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// sagaService is the reference service saga.
func sagaService() service {
	it := configured(Description{
		Name: "saga", About: "takes an order through order, stock and payment, and undoes what was done if one of them fails",
		Settings: describe(sagaKeys), Flaws: slices.Clone(sagaFlaws),
	}, parseSaga, nil, func(life context.Context, s *sagaSettings, c Config) (http.Handler, error) {
		return newSaga(life, s, c.Deps, c.Dir)
	})
	it.keeps = true
	return it
}

func newSaga(life context.Context, s *sagaSettings, deps map[string]string, dir string) (*saga, error) {
	if err := needs("saga", deps, "order", "stock", "payment"); err != nil {
		return nil, err
	}
	g := &saga{settings: s, life: life}
	for _, step := range []sagaStep{{do: "place", undo: "cancel"}, {do: "reserve", undo: "release"}, {do: "charge", undo: "refund"}} {
		var err error
		if step.at, err = newClient([]string{"order", "stock", "payment"}[len(g.steps)], deps, s.timeout); err != nil {
			return nil, err
		}
		g.steps = append(g.steps, step)
	}
	if s.journal == "off" {
		return g, nil
	}
	j, lines, err := openJournal(dir, "sagas")
	if err != nil {
		return nil, err
	}
	g.journal = j
	if s.flaw != "forgets-on-crash" {
		g.recover(unfinished(lines))
	}
	return g, nil
}

const (
	sagaBegun = "begin "
	sagaEnded = "end "
)

// unfinished are the sagas of a journal that began and did not end, in the order in which they began.
func unfinished(lines []string) (ids []string) {
	ended := map[string]bool{}
	for _, line := range slices.Backward(lines) {
		if id, ok := strings.CutPrefix(line, sagaEnded); ok {
			ended[id] = true
		} else if id, ok := strings.CutPrefix(line, sagaBegun); ok && !ended[id] {
			ended[id] = true
			ids = append(ids, id)
		}
	}
	slices.Reverse(ids)
	return ids
}

// atOnce is how many sagas are ended at a time after a restart.
const atOnce = 8

func (g *saga) recover(ids []string) {
	left := make(chan string, len(ids))
	for _, id := range ids {
		left <- id
	}
	close(left)
	for range min(atOnce, len(ids)) {
		g.working.Go(func() {
			for id := range left {
				g.settle(id)
			}
		})
	}
}

// settle undoes a saga of an earlier process.
func (g *saga) settle(id string) {
	for {
		effects := make([]stepEffects, len(g.steps))
		var err error
		for i, step := range g.steps {
			err = errors.Join(err, step.at.ask(g.life, "/effects/"+id, &effects[i]))
		}
		if err == nil {
			if g.compensate(id, g.steps, effects) {
				_ = g.journal.write(sagaEnded + id) // else it is asked for again after the next restart
			}
			return
		}
		if !rest(g.life, retryPause) {
			return
		}
	}
}

// compensate undoes steps, the last first, and reports whether all are undone. Effects are what is known of
// them; nil is nothing but that none was undone yet.
func (g *saga) compensate(id string, steps []sagaStep, effects []stepEffects) bool {
	if g.settings.flaw == "no-compensation" {
		return true
	}
	for i, step := range slices.Backward(steps) {
		if effects != nil && effects[i].undone() {
			continue
		}
		if !g.undo(step, id) {
			return false
		}
		if g.settings.flaw == "compensates-twice" {
			step.at.do(g.life, http.MethodPost, step.undo, id, "")
		}
	}
	return true
}

// undone reports whether there is nothing left to undo, nor will be.
func (e stepEffects) undone() bool { return e.Undo >= max(1, e.Do) }

// undo undoes a step, however long that takes; false if life ended before.
func (g *saga) undo(step sagaStep, id string) bool {
	for {
		switch step.at.do(g.life, http.MethodPost, step.undo, id, "") {
		case tookEffect, refusedIt:
			return true
		}
		for {
			var e stepEffects
			if !rest(g.life, retryPause) {
				return false
			}
			if step.at.ask(g.life, "/effects/"+id, &e) == nil {
				if e.undone() {
					return true
				}
				break
			}
		}
	}
}

func (g *saga) close() {
	g.working.Wait()
	for _, step := range g.steps {
		step.at.close()
	}
	g.journal.close()
}

func (g *saga) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID(r.Header.Get(idHeader), r.Header.Get(traceHeader))
	switch {
	case r.URL.Path == "/healthz":
		_, _ = io.WriteString(w, "ok\n")
	case r.Method != http.MethodPost || r.URL.Path != "/order":
		http.Error(w, "there are POST /order and /healthz", http.StatusNotFound)
	case id == "":
		http.Error(w, "an order needs an id: X-Request-Id, or traceparent", http.StatusBadRequest)
	default:
		// It goes on although its caller has gone: what was begun is to be ended.
		ended := make(chan int, 1)
		g.working.Go(func() { ended <- g.run(id, r.Header.Get(traceHeader)) })
		select {
		case status := <-ended:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, http.StatusText(status)+"\n")
		case <-r.Context().Done():
		}
	}
}

// run runs a saga to its end, and returns the status that says how it ended.
func (g *saga) run(id, trace string) (status int) {
	if g.journal.write(sagaBegun+id) != nil {
		return http.StatusServiceUnavailable // nothing was begun
	}
	status = http.StatusOK
	undone := true
	for i, step := range g.steps {
		switch step.at.do(g.life, http.MethodPost, step.do, id, trace) {
		case tookEffect:
			continue
		case refusedIt:
			status, undone = http.StatusConflict, g.compensate(id, g.steps[:i], nil)
		case inDoubt:
			status = http.StatusServiceUnavailable
			doubted := g.steps[:i+1]
			if g.settings.flaw == "treats-timeout-as-failure" {
				doubted = g.steps[:i]
			}
			undone = g.compensate(id, doubted, nil)
		}
		break
	}
	if undone {
		_ = g.journal.write(sagaEnded + id) // else it is settled after the next restart, which changes nothing
	}
	return status
}
