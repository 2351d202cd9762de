package console

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/guard"
	"github.com/stormctl/stormctl/chaos/result"
)

// Config is what a console needs to know.
type Config struct {
	Experiment *experiment.Experiment // with a gameday:
	Control    *chaos.Control         // of its run; what it tells, it tells the console
	Length     time.Duration          // of the load
	Tokens     Tokens
	Hosts      []string // names that it is asked for by, beside IP addresses and localhost
	Secure     bool     // it is reached by TLS alone: cookies are to go nowhere else

	// Touches says of each fault of the palette what it touches outside the process, and
	// how that is undone; "" of one that touches nothing.
	Touches []Touched

	// Halt ends the run, whatever it is at; why is for people. Tell is told what people
	// do, a line each. They may be called at once, and must not block.
	Halt func(why string)
	Tell func(line string)
}

// Touched is what a fault touches, and how that is undone.
type Touched struct{ What, Undo string }

// A Console is an http.Handler for the page of one game day. Any number of goroutines
// may use it at once.
type Console struct {
	config  Config
	x       *experiment.Experiment
	control *chaos.Control
	room    room
	board   *board
	journal *gameday.Journal
	served  http.Handler
	begun   chan struct{} // closed when the load is to begin
	heard   alerts
	lacking sync.Once // it was told that the journal lacks entries

	rendered rendered
	closing  sync.Once
	closed   chan struct{} // closed when streams are to end
	watching sync.WaitGroup
}

// New is the console of a run that has not begun. Close is its undo.
func New(c Config) *Console {
	con := &Console{
		config: c, x: c.Experiment, control: c.Control, board: newBoard(c.Length), journal: gameday.NewJournal(),
		room:  room{people: map[[32]byte]*person{}, empty: time.Now()},
		begun: make(chan struct{}), closed: make(chan struct{}),
	}
	con.control.Line, con.control.Made = con.line, con.journal.Open
	con.served = guard.New(guard.Config{Hosts: c.Hosts, Pages: true}).Wrap(con.routes())
	con.watching.Go(con.attend)
	return con
}

// ServeHTTP answers what the guard lets in.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.served.ServeHTTP(w, r) }

// Begin waits until the owner begins the load; it is what chaos.Options.Begin asks.
func (c *Console) Begin(ctx context.Context) (time.Time, error) {
	c.board.change(func() { c.board.doing = "ready" })
	select {
	case <-c.begun:
		return time.Time{}, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

// Watch takes in the progress of the run: how the claims stand.
func (c *Console) Watch(p chaos.Progress) {
	c.board.change(func() {
		c.board.now, c.board.told = max(c.board.now, p.At), time.Now()
		if p.Verdicts != nil {
			c.board.verdicts = p.Verdicts
		}
		if c.board.phase == before {
			c.board.doing = p.Phase
		}
	})
}

// line takes in an event of the timeline. The last one ends the journal, so that it is
// whole when the run directory is sealed.
func (c *Console) line(id int, e evidence.Event) {
	c.board.event(id, e)
	if e.Kind == evidence.KindEnd {
		_ = c.journal.Close() // told by Close
	}
}

// Finish shows what the run came to; why is for one that came to nothing, where r is
// nil.
func (c *Console) Finish(r *result.Result, why string) {
	c.board.change(func() {
		c.board.phase, c.board.ending, c.board.armed = after, why, nil
		if r != nil {
			c.board.verdicts, c.board.final, c.board.ending = r.Verdicts, true, r.Stopped
		}
	})
}

// Close ends the streams, each with what is on the board, and the journal. The error
// is of the journal. Requests are still answered.
func (c *Console) Close() error {
	c.closing.Do(func() { close(c.closed) })
	c.watching.Wait()
	return c.journal.Close()
}

// attend heals what is in force when nobody is there who could.
func (c *Console) attend() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	patience := c.x.GameDay.HealAfter
	for {
		select {
		case <-c.closed:
			return
		case now := <-ticker.C:
			c.board.change(func() {}) // people come and go, and time goes on
			if c.room.unattended(now) < patience || c.control.HealAll("the console") == 0 {
				continue
			}
			why := "no owner or operator was at the page for " + patience.String() + ": all that was injected by hand is healed"
			_, _ = c.control.Note(evidence.Event{Kind: evidence.KindNote, Text: why}) // fails where the load is over, and so are the faults
			c.log(gameday.Entry{Role: "console", Do: gameday.HealAll, Text: why, Outcome: gameday.Done})
			c.config.Tell(why)
		}
	}
}

// log writes an entry into the journal. One that cannot be written is told.
func (c *Console) log(e gameday.Entry) {
	if at, ok := c.control.Now(); ok {
		s := evidence.Seconds(at)
		e.At = &s
	}
	err := c.journal.Add(e)
	switch {
	case err == nil || errors.Is(err, gameday.ErrOver):
	case e.Lesser: // whoever goes on must not fill the terminal as well
		c.lacking.Do(func() {
			c.config.Tell("not in the journal, as much that follows: " + e.Do + " by " + e.Who + ": " + err.Error())
		})
	default:
		c.config.Tell("not in the journal: " + e.Do + " by " + e.Who + ": " + err.Error())
	}
}
