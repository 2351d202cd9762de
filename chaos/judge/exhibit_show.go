package judge

import (
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// show adds what is made to see, unless nobody is to look at it. An exhibit without a
// kind is none.
func (f *finding) show(make func() Exhibit) {
	if f.run.Brief {
		return
	}
	if e := make(); e.Kind != "" {
		f.exhibits = append(f.exhibits, e)
	}
}

// typical names requests that are worth a look where none refutes the claim. Those of the
// last call count.
func (f *finding) typical(part, title string, ids ...uint64) {
	f.example = example{part, title, slices.DeleteFunc(ids, func(id uint64) bool { return id == 0 })}
}

// example is requests to look at.
type example struct {
	part, title string
	ids         []uint64
}

// closer is what the exhibits end with: single requests, those that refute the claim or, where
// none does, those that are typical of it.
func (f *finding) closer(ruling Ruling) []Exhibit {
	s := f.example
	if refuting := f.refuting(); ruling == Refuted && len(refuting.ids) > 0 {
		s = refuting
	}
	if len(s.ids) > 0 {
		f.show(func() Exhibit { return staircase(f.run, s) })
	}
	return f.exhibits
}

// refuting takes requests from each part that is refuted, in turn.
func (f *finding) refuting() (s example) {
	var lists [][]uint64
	for _, p := range f.parts {
		if p.Ruling != Refuted || p.Note || len(p.IDs) == 0 {
			continue
		}
		if lists = append(lists, p.IDs); len(lists) == 1 {
			s.part, s.title = p.Name, p.Reason
		} else {
			s.part = "" // they are about several
		}
	}
	for i := 0; i < MaxIDs && len(s.ids) < MaxStaircase; i++ {
		for _, ids := range lists {
			if i < len(ids) && !slices.Contains(s.ids, ids[i]) && len(s.ids) < MaxStaircase {
				s.ids = append(s.ids, ids[i])
			}
		}
	}
	return s
}

// inFile is a bound as it is in files.
func (u Unit) inFile(b Bound) *Bound { return &Bound{u.written(b.Low), u.written(b.High)} }

// routeName is the name of the route with an index; "" if the run has none.
func routeName(run *evidence.Run, route int) string {
	if route < 0 || route >= len(run.Routes) {
		return ""
	}
	return run.Routes[route]
}
