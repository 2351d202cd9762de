package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/gameday"
)

// However many come in by the token of an observer, nobody who may do more is put out.
func TestObserversPutNobodyOut(t *testing.T) {
	s := serve(t)
	owner, operator, reporter := s.enter(Owner, "Ana"), s.enter(Operator, "Bo"), s.enter(Reporter, "Cy")
	for i := range 2 * mostPeople {
		s.enter(Observer, fmt.Sprint("o", i))
	}
	for name, cookie := range map[string]*http.Cookie{"owner": owner, "operator": operator, "reporter": reporter} {
		if res := s.do("POST", "/here", cookie, "x=1"); res.StatusCode != http.StatusNoContent {
			t.Errorf("the %s is put out: %d", name, res.StatusCode)
		}
	}
	if n := len(s.con.room.people); n > mostPeople {
		t.Errorf("%d people are kept, want %d at most", n, mostPeople)
	}
	r := room{people: map[[32]byte]*person{}}
	for range mostPeople {
		r.enter("", Owner, "")
	}
	if _, _, ok := r.enter("", Observer, ""); ok {
		t.Error("an observer was let in for an owner")
	}
	if _, _, ok := r.enter("", Owner, ""); !ok {
		t.Error("an owner was not let in for one that was away for longer")
	}
}

// A name cannot look like a role.
func TestNamesHaveNoRole(t *testing.T) {
	for name, want := range map[string]string{
		"Ana (owner)": "Ana owner (observer)", "(": "observer (observer)", "\u202eAna": `\u202eAna (observer)`, "A\nb\x1b[2J": `A b\x1b[2J (observer)`,
	} {
		if got := (person{Name: nameFor(name, Observer), Role: Observer}).By(); got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
}

// Who may only look can fill the journal no further than to what is kept for who acts,
// and does nothing more then; nothing of it fills the terminal.
func TestJournalIsKeptForWhoActs(t *testing.T) {
	s := serve(t)
	for range gameday.MostEntries - gameday.ReservedEntries {
		if err := s.con.journal.Add(gameday.Entry{Role: "observer", Do: gameday.Enter, Outcome: gameday.Done, Lesser: true}); err != nil {
			t.Fatal(err)
		}
	}
	observer, reporter, operator := s.enter(Observer, "Eve"), s.enter(Reporter, "Cy"), s.enter(Operator, "Bo")
	if res := s.do("POST", "/check", reporter, "item=0", ofOurs, "1"); res.StatusCode != http.StatusInsufficientStorage {
		t.Errorf("a reporter goes on: %d", res.StatusCode)
	}
	for range 5 {
		s.do("POST", "/begin", observer, "x=1", ofOurs, "1")
	}
	if len(s.told) != 1 || !strings.Contains(s.told[0], "the journal is full") {
		t.Errorf("told %q, want one line", s.told)
	}
	if res := s.do("POST", "/arm", operator, "choice=0&for=10s", ofOurs, "1"); res.StatusCode != http.StatusNoContent {
		t.Errorf("an operator cannot arm: %d %s", res.StatusCode, body(res))
	}
	if res := s.do("POST", "/halt", observer, "x=1", ofOurs, "1"); res.StatusCode != http.StatusNoContent || len(s.halted) != 1 {
		t.Errorf("halt: %d, halted %q", res.StatusCode, s.halted)
	}
	for range gameday.ReservedEntries {
		_ = s.con.journal.Add(gameday.Entry{Role: "operator", Do: gameday.Arm, Outcome: gameday.Done}) // to its end
	}
	if res := s.do("POST", "/arm", operator, "choice=0&for=10s", ofOurs, "1"); res.StatusCode != http.StatusInsufficientStorage {
		t.Errorf("what cannot be written down is done: %d", res.StatusCode)
	}
	if res := s.do("POST", "/disarm", operator, "choice=0", ofOurs, "1"); res.StatusCode != http.StatusNoContent {
		t.Errorf("what is armed cannot be disarmed: %d %s", res.StatusCode, body(res))
	}
	if err := s.con.Close(); err != nil {
		t.Fatal(err)
	}
	entries, ending, err := gameday.ReadJournal(s.dir)
	if err != nil || ending != gameday.Whole || len(entries) != gameday.MostEntries+1 {
		t.Errorf("%d entries, %s: %v", len(entries), ending, err)
	}
}
