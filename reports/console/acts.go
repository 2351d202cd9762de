package console

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

const (
	longestNote = 500 // characters
	armedFor    = 2 * time.Minute
)

// act is something that somebody may do, by a form of the page.
type act struct {
	role Role   // the least that may
	verb string // for who may not: "an observer may not inject"
	do   func(*Console, actor, url.Values) (gameday.Entry, error)

	always bool // also where it cannot be written down, because it breaks nothing
}

// actor is who does it.
type actor struct {
	person
	key string // of the cookie
}

// acts are all that there is to do, by path.
var acts = map[string]act{
	"/begin":    {Owner, "begin the load", (*Console).begin, false},
	"/go-on":    {Owner, "let faults come", (*Console).goOn, false},
	"/end":      {Owner, "end the load", (*Console).end, true},
	"/arm":      {Operator, "arm a fault", (*Console).arm, false},
	"/disarm":   {Operator, "disarm a fault", (*Console).disarm, true},
	"/inject":   {Operator, "inject a fault", (*Console).inject, false},
	"/heal":     {Operator, "heal a fault", (*Console).heal, true},
	"/heal-all": {Operator, "heal all faults", (*Console).healAll, true},
	"/check":    {Reporter, "tick off the checklist", (*Console).check, false},
	"/note":     {Reporter, "leave a note", (*Console).note, false},
	"/mark":     {Reporter, "leave a mark", (*Console).mark, false},
	"/predict":  {Observer, "predict a ruling", (*Console).predict, false},
	"/halt":     {Observer, "halt", (*Console).halt, true},
}

// wrong is a form that was not made by the page, or is filled in wrongly.
type wrong struct{ why string }

func (w wrong) Error() string { return w.why }

func (c *Console) begin(a actor, _ url.Values) (gameday.Entry, error) {
	e := gameday.Entry{Do: gameday.Begin}
	var err error
	c.board.change(func() {
		if c.board.phase != before {
			err = errors.New("the load has begun already")
			return
		}
		c.board.phase = during
	})
	if err == nil {
		close(c.begun) // once: the phase has changed once
		c.config.Tell("the load is begun by " + a.By())
	}
	return e, err
}

func (c *Console) goOn(a actor, _ url.Values) (gameday.Entry, error) {
	return gameday.Entry{Do: gameday.GoOn}, c.control.GoOn(a.By())
}

func (c *Console) end(a actor, _ url.Values) (gameday.Entry, error) {
	e := gameday.Entry{Do: gameday.End}
	if _, err := c.control.Note(evidence.Event{Kind: evidence.KindNote, Text: "the game day is ended by " + a.By()}); err != nil {
		return e, err
	}
	return e, c.control.End()
}

func (c *Console) halt(a actor, _ url.Values) (gameday.Entry, error) {
	c.config.Halt("halted by " + a.By() + " at the console")
	return gameday.Entry{Do: gameday.Halt}, nil
}

// choice is the fault of the palette that a form names by its place.
func (c *Console) choice(form url.Values) (int, error) {
	i, err := strconv.Atoi(form.Get("choice"))
	if err != nil || i < 0 || i >= len(c.x.GameDay.Palette) {
		return 0, wrong{"there is no such fault in the palette"}
	}
	return i, nil
}

func (c *Console) arm(a actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = gameday.Arm
	i, err := c.choice(form)
	if err != nil {
		return e, err
	}
	choice := c.x.GameDay.Palette[i]
	e.On = choice.Name
	var length time.Duration
	if choice.Restart == nil {
		if length, err = unit.ParseDuration(strings.TrimSpace(form.Get("for"))); err != nil {
			return e, wrong{"for how long? write it like 30s or 2m"}
		}
	}
	if _, err := choice.AsEvent(length); err != nil {
		return e, err
	}
	e.For = evidence.Seconds(length)
	c.board.change(func() {
		c.board.armed = append(slices.DeleteFunc(c.board.armed, func(o armed) bool { return o.Choice == i }),
			armed{Choice: i, For: length, By: a.By(), Key: a.key, Since: time.Now()})
	})
	return e, nil
}

// take takes what is armed off the board; false if nothing is.
func (c *Console) take(choice int, may func(armed) error) (a armed, err error) {
	err = errors.New("it is not armed: arm it first")
	c.board.change(func() {
		for i, one := range c.board.armed {
			if one.Choice != choice {
				continue
			}
			if err = may(one); err == nil {
				a = one
				c.board.armed = slices.Delete(c.board.armed, i, i+1)
			}
			return
		}
	})
	return a, err
}

func (c *Console) disarm(_ actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = gameday.Disarm
	i, err := c.choice(form)
	if err != nil {
		return e, err
	}
	e.On = c.x.GameDay.Palette[i].Name
	_, err = c.take(i, func(armed) error { return nil })
	return e, err
}

func (c *Console) inject(a actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = gameday.Inject
	i, err := c.choice(form)
	if err != nil {
		return e, err
	}
	e.On = c.x.GameDay.Palette[i].Name
	if why := c.control.Unready(); why != "" { // it stays armed
		return e, errors.New(why)
	}
	one, err := c.take(i, func(one armed) error {
		if c.x.GameDay.TwoPeople && one.Key == a.key {
			return errors.New("it takes two people: somebody else must inject what you have armed")
		}
		if time.Since(one.Since) > armedFor {
			return fmt.Errorf("it was armed more than %s ago: arm it again", unit.FormatDuration(armedFor))
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	e.For = evidence.Seconds(one.For)
	name, err := c.control.Inject(i, one.For, a.By())
	if err == nil {
		e.On = name
	}
	return e, err
}

func (c *Console) heal(a actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = gameday.Heal
	index, err := strconv.Atoi(form.Get("fault"))
	if err != nil {
		return e, wrong{"there is no such fault"}
	}
	e.On, err = c.control.Heal(index, a.By())
	c.healing(func(f *fault) bool { return err == nil && f.Index == index })
	return e, err
}

func (c *Console) healAll(a actor, _ url.Values) (gameday.Entry, error) {
	e := gameday.Entry{Do: gameday.HealAll}
	if c.control.HealAll(a.By()) == 0 {
		return e, errors.New("nothing is in force")
	}
	c.healing(func(*fault) bool { return true })
	return e, nil
}

// healing takes note that a heal was asked for, of those that are in force.
func (c *Console) healing(asked func(*fault) bool) {
	c.board.change(func() {
		for i := range c.board.faults {
			if f := &c.board.faults[i]; f.Healed < 0 && asked(f) {
				f.Healing = true
			}
		}
	})
}

func (c *Console) check(a actor, form url.Values) (e gameday.Entry, err error) {
	i, err := strconv.Atoi(form.Get("item"))
	e.Do = gameday.Check
	if err != nil || i < 0 || i >= len(c.x.GameDay.Checklist) {
		return e, wrong{"there is no such item"}
	}
	e.On = c.x.GameDay.Checklist[i]
	c.board.change(func() {
		if c.board.checked[i] != "" {
			e.Do = gameday.Uncheck
			delete(c.board.checked, i)
			return
		}
		c.board.checked[i] = a.By()
	})
	return e, nil
}

// text is what somebody wrote: one line, of bounded length.
func text(form url.Values) (string, error) {
	text := strings.Join(strings.Fields(form.Get("text")), " ")
	switch {
	case text == "":
		return "", wrong{"write something"}
	case len([]rune(text)) > longestNote:
		return "", wrong{fmt.Sprintf("at most %d characters are kept", longestNote)}
	}
	return reports.Clean(text), nil
}

func (c *Console) note(a actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = gameday.Noted
	if e.Text, err = text(form); err != nil {
		return e, err
	}
	_, err = c.control.Note(evidence.Event{Kind: evidence.KindNote, Text: a.By() + ": " + e.Text})
	return e, err
}

func (c *Console) mark(a actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = form.Get("what")
	if e.Do != gameday.Detected && e.Do != gameday.Mitigated {
		e.Do = gameday.Noted
		return e, wrong{"a mark is detected or mitigated"}
	}
	index, err := strconv.Atoi(form.Get("fault"))
	known := false
	c.board.change(func() {
		if f := c.board.fault(index); err == nil && f != nil {
			e.On, known = f.Name, true
		}
	})
	if !known {
		return e, wrong{"of which fault?"}
	}
	at, err := c.control.Note(evidence.Event{Kind: evidence.KindNote, Text: e.Do + " " + e.On + " by " + a.By(), By: a.By()})
	if err != nil {
		return e, err
	}
	c.board.change(func() {
		if len(c.board.marks) < keptMarks {
			c.board.marks = append(c.board.marks, mark{at, e.Do, e.On, a.By()})
		}
	})
	return e, nil
}

func (c *Console) predict(a actor, form url.Values) (e gameday.Entry, err error) {
	e.Do = gameday.Predict
	i, err := strconv.Atoi(form.Get("claim"))
	if err != nil || i < 0 || i >= len(c.x.Claims) {
		return e, wrong{"there is no such claim"}
	}
	var ruling judge.Ruling
	if err := ruling.UnmarshalText([]byte(form.Get("ruling"))); err != nil {
		return e, wrong{"a ruling is held, refuted or inconclusive"}
	}
	e.On, e.Text = c.x.Claims[i].Judge().String(), ruling.String()
	c.board.change(func() {
		switch {
		case len(c.board.faults) > 0:
			err = errors.New("the first fault has come: predictions are closed")
		case c.board.foretold[a.By()] == nil && len(c.board.foretold) >= mostPeople:
			err = errors.New("too many people have predicted something")
		default:
			if c.board.foretold[a.By()] == nil {
				c.board.foretold[a.By()] = map[int]judge.Ruling{}
			}
			c.board.foretold[a.By()][i] = ruling
		}
	})
	return e, err
}
