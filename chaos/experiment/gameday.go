package experiment

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
)

// GameDay is what people do by hand while the load goes on, each by a role that a
// token gives them.
type GameDay struct {
	// The faults that may be injected, at most 32; each has a name: and no at:, and for: is the longest that it may be in
	// force. Not exec, nor kill: {for_good: true}.
	Palette []Choice `yaml:"palette"`
	// What somebody sees to before the load begins, each ticked off on the page.
	Checklist []string `yaml:"checklist"`
	// All faults are healed when no owner or operator has been at the page for so long; absent means 1m.
	HealAfter time.Duration `yaml:"heal_after"`
	TwoPeople bool          `yaml:"two_people"` // Who injects a fault must be somebody else than who armed it.
}

// Choice is one fault of a palette.
type Choice struct {
	Event `yaml:",inline"`
}

func (g *GameDay) Defaults() { g.HealAfter = time.Minute }

func (GameDay) Required() []string { return []string{"palette"} }

func (Choice) Required() []string { return []string{"name"} }

// mostChoices and mostChecks bound what a page shows at once.
const (
	mostChoices = 32
	mostChecks  = 32
	longestText = 200 // characters of an item of the checklist
)

// palette is what may be injected by hand; nil if nothing may.
func (x *Experiment) palette() []Choice {
	if x.GameDay == nil {
		return nil
	}
	return x.GameDay.Palette
}

// AsEvent is the choice as an event of this length. A restart takes as long as it takes, and
// ignores length. The error says which lengths are allowed.
func (c Choice) AsEvent(length time.Duration) (Event, error) {
	e := c.Event
	if e.Restart != nil {
		return e, nil
	}
	least := time.Second
	if t := e.Toxic(); t != nil {
		s := t.Selection()
		least = max(least, s.Ramp) // it would not come to its full size
		if s.Cycle != nil {
			least = max(least, s.Cycle.On+time.Second)
		}
	}
	least = min(least, c.For)
	if length < least || length > c.For {
		return e, fmt.Errorf("%s may be in force for %s to %s", c.Name, unit.FormatDuration(least), unit.FormatDuration(c.For))
	}
	e.For = length
	return e, nil
}

// InjectionName is the name of the next injection of a choice: the choice's name, with a number
// behind it if that is among were, the names of the injections so far.
func (g *GameDay) InjectionName(choice int, were []string) string {
	taken := func(name string) bool {
		return slices.Contains(were, name) ||
			slices.ContainsFunc(g.Palette, func(c Choice) bool { return c.Name == name && c.Name != g.Palette[choice].Name })
	}
	name := g.Palette[choice].Name
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s (%d)", g.Palette[choice].Name, n)
	}
	return name
}

// gameDay checks what may be done by hand.
func (r *rules) gameDay() {
	g := r.x.GameDay
	if g == nil || r.Bad("gameday") && len(g.Palette) == 0 {
		return
	}
	at := strict.Path("gameday")
	palette := at.Child("palette")
	switch n := len(g.Palette); {
	case n == 0 && r.Sound(palette):
		r.Wrong(palette, "palette: is empty",
			"add what may go wrong, like {name: bank-fails, on: payments, for: 1m, errors: {status: 503}}")
	case n > mostChoices:
		r.Wrong(palette.Item(mostChoices), fmt.Sprintf("palette: has %d faults", n), fmt.Sprintf("at most %d fit on a page", mostChoices))
		return
	}
	names := map[string]bool{}
	for i := range g.Palette {
		r.choice(palette.Item(i), &g.Palette[i].Event, names)
	}
	r.positive(at.Child("heal_after"), g.HealAfter > 0)
	if after := at.Child("heal_after"); r.Sound(after) && g.HealAfter > 0 && g.HealAfter < 5*time.Second {
		r.Wrong(after, fmt.Sprintf("heal_after: %s is too short", unit.FormatDuration(g.HealAfter)),
			"a page that is reloaded is away for a moment: 5s at least")
	}
	if list := at.Child("checklist"); len(g.Checklist) > mostChecks {
		r.Wrong(list.Item(mostChecks), fmt.Sprintf("checklist: has %d items", len(g.Checklist)),
			fmt.Sprintf("at most %d fit on a page", mostChecks))
	}
	for i, text := range g.Checklist {
		if item := at.Child("checklist").Item(i); r.Sound(item) && (text == "" || len([]rune(text)) > longestText) {
			r.Wrong(item, fmt.Sprintf("checklist[%d]: must have 1 to %d characters", i, longestText), "")
		}
	}
}

// choice checks one fault of a palette; names are those of the others before it.
func (r *rules) choice(path strict.Path, e *Event, names map[string]bool) {
	kind := r.OneOf(path, eventKinds)
	if at := path.Child("name"); r.Sound(at) {
		if len([]rune(e.Name)) > 64 {
			r.Wrong(at, "name: is longer than 64 characters", "")
		}
		if names[e.Name] {
			r.Wrong(at, fmt.Sprintf("name: fault %s is given twice", strict.Quote(e.Name)), "")
		}
		names[e.Name] = true
	}
	if at := path.Child("at"); r.Has(at) {
		r.WrongKey(at, "at: does not go with a palette", "people inject it when they want to")
	}
	if at := path.Child("every"); r.Has(at) {
		r.WrongKey(at, "every: does not go with a palette", "people inject it again when they want to")
	}
	length := path.Child("for")
	switch {
	case kind == "exec":
		r.WrongKey(path.Child(kind), "exec: is not injected by hand", "a page runs no commands; put it into chaos:, with its time")
		return
	case kind == "kill" && e.Kill.ForGood:
		r.WrongKey(path.Child(kind), "kill: for_good is not injected by hand", "what is injected by hand is healed after a time: give for:")
		return
	case kind == "restart" && r.Has(length):
		r.WrongKey(length, "for: does not go with restart",
			"it is healed when the target is ready again; restart: {downtime: 2s} keeps it away longer")
	case kind == "" || kind == "restart":
	case !r.Has(length):
		r.Missing(path, "for", "add for: 1m, the longest that it may be in force")
	default:
		r.positive(length, e.For > 0)
	}
	r.fault(path, e, kind)
}
