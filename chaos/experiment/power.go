package experiment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/judge"
)

// Weakness is a part of a claim that an experiment cannot decide, at its place
// in the file. It is no error: the other parts may be what it is for.
type Weakness struct {
	File         string // as in Error
	Line, Column int    // of the claim's key, or of what stands around it if the key is absent; as in Error
	Path         string // of the part, like claims[1].breaker.probes
	Why          string // what the plan lacks
	Turn         string // what would settle it
	Key          string // path of the key to turn, like chaos[0].for; "" is a new entry, or the part itself
}

func (w Weakness) String() string {
	place := w.File
	if w.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column)
	}
	return place + ": warning: " + w.Text()
}

// Text is the weakness without its place.
func (w Weakness) Text() string {
	what := "cannot be decided"
	if !strings.HasPrefix(w.Path, "claims[") {
		what = "leaves all claims undecided"
	}
	return fmt.Sprintf("%s %s: %s: %s", w.Path, what, w.Why, w.Turn)
}

// weaknesses tells opts.Weak of what the experiment cannot decide, in the order
// of the file. It is asked of one that was resolved and has no errors.
func (x *Experiment) weaknesses(d *strict.Doc, opts Options) error {
	if len(x.palette()) > 0 && len(x.Chaos) == 0 {
		return nil // what goes wrong is up to people
	}
	plan, err := x.Plan()
	if err != nil {
		return err
	}
	var all []Weakness
	add := func(claim string, found []judge.Weakness) {
		for _, w := range found {
			path := w.Part
			switch {
			case claim != "" && w.Part == "":
				path = claim
			case claim != "":
				path = claim + "." + w.Part
			}
			one := Weakness{Path: path, Why: w.Why, Turn: w.Turn, Key: w.Key}
			one.File, one.Line, one.Column = d.Place(strict.Path(path))
			all = append(all, one)
		}
	}
	add("", plan.Power())
	for i, c := range x.Claims {
		if c, ok := c.Judge().(judge.Planned); ok {
			add(string(strict.Path("claims").Item(i).Child(x.Claims[i].Kind())), c.Power(plan))
		}
	}
	slices.SortStableFunc(all, func(a, b Weakness) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, w := range all {
		opts.Weak(w)
	}
	return nil
}
