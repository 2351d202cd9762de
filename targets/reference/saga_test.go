package reference

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// sagaWorld is the three participants of sagas, each behind a link that may do as it likes.
type sagaWorld struct {
	t            *testing.T
	participants []*participant
	links        []*httptest.Server
	// intercept is asked before each call; true says that it has answered.
	intercept func(w http.ResponseWriter, r *http.Request, at *participant) bool
	dir       string
}

func newSagaWorld(t *testing.T) *sagaWorld {
	w := &sagaWorld{t: t, dir: t.TempDir()}
	for _, words := range [][2]string{{"place", "cancel"}, {"reserve", "release"}, {"charge", "refund"}} {
		p := newParticipant(&participantSettings{do: words[0], undo: words[1]})
		link := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if w.intercept == nil || !w.intercept(out, r, p) {
				p.ServeHTTP(out, r)
			}
		}))
		t.Cleanup(link.Close)
		w.participants, w.links = append(w.participants, p), append(w.links, link)
	}
	return w
}

// saga starts one, which ends at the end, or earlier by crash.
func (w *sagaWorld) saga(flaw string) (g *saga, crash func()) {
	w.t.Helper()
	with := map[string]string{"timeout": "5s"}
	if flaw != "" {
		with["flaw"] = flaw
	}
	s, err := parseSaga(with)
	if err != nil {
		w.t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	g, err = newSaga(life, s, map[string]string{"order": w.links[0].URL, "stock": w.links[1].URL, "payment": w.links[2].URL}, w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	closed := false
	crash = func() {
		if !closed {
			closed = true
			end()
			g.close()
		}
	}
	w.t.Cleanup(crash)
	return g, crash
}

func order(g *saga, id string) (status int) {
	r := httptest.NewRequest(http.MethodPost, "/order", nil)
	r.Header.Set("X-Request-Id", id)
	out := httptest.NewRecorder()
	g.ServeHTTP(out, r)
	return out.Code
}

// effects are how often each step was done and undone.
func (w *sagaWorld) effects(id string) (all [3]stepEffects) {
	for i, p := range w.participants {
		p.mu.Lock()
		all[i] = p.of[id]
		p.mu.Unlock()
	}
	return all
}

var (
	untouched = stepEffects{}
	wasDone   = stepEffects{1, 0}
	wasUndone = stepEffects{1, 1}
	twice     = stepEffects{1, 2}
	neverDone = stepEffects{0, 1} // and never will be
)

// A step of a saga is refused, or done without an answer: all are undone, unless the saga has a flaw.
func TestSaga(t *testing.T) {
	dropPayment := func(w http.ResponseWriter, r *http.Request, at *participant) bool {
		if r.URL.Path != "/charge" {
			return false
		}
		at.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	for _, c := range []struct {
		what, flaw string
		refused    int // the step that refuses; 3 is none
		intercept  func(http.ResponseWriter, *http.Request, *participant) bool
		status     int
		want       [3]stepEffects
	}{
		{"whole", "", 3, nil, 200, [3]stepEffects{wasDone, wasDone, wasDone}},
		{"first refuses", "", 0, nil, 409, [3]stepEffects{}},
		{"last refuses", "", 2, nil, 409, [3]stepEffects{wasUndone, wasUndone, untouched}},
		{"no answer", "", 3, dropPayment, 503, [3]stepEffects{wasUndone, wasUndone, wasUndone}},
		{"last refuses", "no-compensation", 2, nil, 409, [3]stepEffects{wasDone, wasDone, untouched}},
		{"last refuses", "compensates-twice", 2, nil, 409, [3]stepEffects{twice, twice, untouched}},
		{"no answer", "treats-timeout-as-failure", 3, dropPayment, 503, [3]stepEffects{wasUndone, wasUndone, wasDone}},
	} {
		t.Run(c.what+" flaw="+c.flaw, func(t *testing.T) {
			w := newSagaWorld(t)
			w.intercept = c.intercept
			if c.refused < 3 {
				w.participants[c.refused].settings.refuses = 1
			}
			g, _ := w.saga(c.flaw)
			if status := order(g, "1"); status != c.status || w.effects("1") != c.want {
				t.Errorf("status %d, done and undone %v; want %d, %v", status, w.effects("1"), c.status, c.want)
			}
		})
	}
}

// An undoing took effect and had no answer: it is not made again.
func TestSagaAsksBeforeItUndoesAgain(t *testing.T) {
	w := newSagaWorld(t)
	w.participants[2].settings.refuses = 1
	w.intercept = func(_ http.ResponseWriter, r *http.Request, at *participant) bool {
		if r.URL.Path != "/release" {
			return false
		}
		at.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	g, _ := w.saga("")
	if status, want := order(g, "1"), [3]stepEffects{wasUndone, wasUndone, untouched}; status != 409 || w.effects("1") != want {
		t.Errorf("status %d, done and undone %v; want 409, %v", status, w.effects("1"), want)
	}
}

// A saga that dies after each of its steps is undone by the next process, also one whose last step was done: its
// caller had no answer.
func TestSagaIsKilledAfterEachStep(t *testing.T) {
	for _, flaw := range []string{"", "forgets-on-crash"} {
		for step, path := range []string{"/place", "/reserve", "/charge"} {
			t.Run(fmt.Sprintf("after %s flaw=%s", path, flaw), func(t *testing.T) {
				w := newSagaWorld(t)
				g, crash := w.saga(flaw)
				reached := make(chan struct{})
				w.intercept = func(out http.ResponseWriter, r *http.Request, at *participant) bool {
					if r.URL.Path != path {
						return false
					}
					at.ServeHTTP(httptest.NewRecorder(), r) // its answer never comes
					close(reached)
					<-r.Context().Done()
					return true
				}
				ended := make(chan int)
				go func() { ended <- order(g, "1") }() // ended is read below
				<-reached
				crash()
				<-ended
				w.intercept = nil
				cut := w.effects("1")
				want := [3]stepEffects{}
				for i := range step + 1 {
					want[i] = wasDone
				}
				if cut != want {
					t.Fatalf("when it died, done and undone were %v, want %v", cut, want)
				}
				if g, _ = w.saga(flaw); flaw == "" {
					want = [3]stepEffects{neverDone, neverDone, neverDone}
					for i := range step + 1 {
						want[i] = wasUndone
					}
				}
				g.working.Wait()
				if got := w.effects("1"); got != want {
					t.Errorf("after the restart, done and undone are %v, want %v", got, want)
				}
			})
		}
	}
}

// What was undone before it was done is never done: a call that was late does no harm.
func TestParticipantRefusesWhatWasUndone(t *testing.T) {
	p := newParticipant(&participantSettings{do: "charge", undo: "refund"})
	for _, step := range []struct {
		path string
		want int
	}{{"refund", 200}, {"charge", 409}, {"refund", 200}} {
		if status, said := p.take(step.path, "1"); status != step.want {
			t.Errorf("%s: %d %s, want %d", step.path, status, said, step.want)
		}
	}
	if len(p.do)+len(p.undo) > 0 {
		t.Errorf("done %v, undone %v; want nothing", p.do, p.undo)
	}
}

// Also of ids that count up, a row of them at a time: a run that is refused for seconds on end is not in its
// steady state.
func TestParticipantRefusesItsShare(t *testing.T) {
	p := newParticipant(&participantSettings{refuses: 0.2})
	for run := range uint64(100) {
		refused := 0
		for i := range 1000 {
			if p.refused(fmt.Sprintf("%016x%016x", run*0x9e3779b97f4a7c15, i)) {
				refused++
			}
		}
		if refused < 135 || refused > 265 { // 200, and five standard deviations; the ids are fixed, so this is too
			t.Errorf("run %d: %d of 1,000 refused, want about 200", run, refused)
		}
	}
}

func TestUnfinishedSagas(t *testing.T) {
	got := unfinished([]string{"begin a", "begin b", "end a", "begin c", "begin d", "end c"})
	if want := []string{"b", "d"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
