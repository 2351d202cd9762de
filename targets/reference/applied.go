package reference

import (
	"strings"
	"sync"
)

// applied is the dedupe table of a consumer: what is known of each event by its id. That of memory has no
// journal, and begins anew with its process. Both keep every id that they have ever seen.
//
// The journal says what is about to be applied before it is, and what has been once it is. An event of which
// it has only the former is in doubt: the process died, or had no answer, in between.
type applied struct {
	mu      sync.Mutex
	states  map[string]state
	journal *journal // nil keeps nothing on disk
}

type state uint8

const (
	fresh    state = iota // was never begun
	underway              // is being applied by another lane, or by this one after the first delivery
	doubtful              // may have been applied: only who applies it knows
	done
)

const (
	begunLine = "begin "
	doneLine  = "done "
)

// openApplied opens the table in a folder; dir "" is one of memory.
func openApplied(dir string) (*applied, error) {
	a := &applied{states: map[string]state{}}
	if dir == "" {
		return a, nil
	}
	j, lines, err := openJournal(dir, "applied")
	if err != nil {
		return nil, err
	}
	a.journal = j
	for _, line := range lines {
		if id, ok := strings.CutPrefix(line, begunLine); ok && a.states[id] != done {
			a.states[id] = doubtful
		} else if id, ok := strings.CutPrefix(line, doneLine); ok {
			a.states[id] = done
		}
	}
	return a, nil
}

// begin returns what was known of an event. Who gets fresh or doubtful is to apply it, and then to say how that ended.
func (a *applied) begin(id string) (state, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.states[id]
	if known == underway || known == done {
		return known, nil
	}
	if err := a.journal.write(begunLine + id); err != nil {
		return known, err
	}
	a.states[id] = underway
	return known, nil
}

// end says what is known of an event now: done, doubtful or fresh.
func (a *applied) end(id string, now state) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.states[id] = now
	if now == fresh {
		delete(a.states, id)
	}
	if now != done {
		return nil
	}
	return a.journal.write(doneLine + id)
}

func (a *applied) close() {
	if a != nil {
		a.journal.close()
	}
}
