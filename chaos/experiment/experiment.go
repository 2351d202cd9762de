package experiment

import (
	"maps"
	"slices"
)

// Experiment is one file: what to drive, what to break, and what must hold.
//
// The comments of the fields are the manual: `stormctl schema` prints them.
type Experiment struct {
	Name    string             `yaml:"name"`    // Names the run and its directory: letters, digits, dash, underscore, dot.
	About   string             `yaml:"about"`   // What it proves, in a sentence for people.
	Seed    uint64             `yaml:"seed"`    // Decides every random draw; absent or 0 draws one and prints it.
	Targets map[string]*Target `yaml:"targets"` // Services by name: the system under test and what it leans on.
	Links   map[string]*Link   `yaml:"links"`   // Call paths with a fault-injecting proxy in them, by name.
	Load    Load               `yaml:"load"`    // What callers do.
	Chaos   []Event            `yaml:"chaos"`   // What goes wrong, and when; at most 1,000 events.
	Claims  []Claim            `yaml:"claims"`  // What must hold; each is ruled held, refuted or inconclusive.
	Limits  Limits             `yaml:"limits"`  // What may be touched, and when to stop.
	GameDay *GameDay           `yaml:"gameday"` // What people may do by hand where it is run by stormctl gameday; a run leaves it alone.
	Soak    Soak               `yaml:"soak"`    // How a long run is judged chapter by chapter.
	// Further files for the run directory: codequality, comment, csv, github, html, json, junit, markdown, openmetrics, text.
	Reports []string `yaml:"reports"`
}

// Required lists the keys that a file cannot do without.
func (Experiment) Required() []string { return []string{"name", "targets", "load", "claims"} }

// Defaults lets a file say nothing of limits and still have some.
func (x *Experiment) Defaults() { x.Limits.Defaults() }

// resolve fills in the defaults that depend on other values: a route's timeout
// is the load's, a link speaks what the target it leads to speaks, and paths are
// relative to the folder of the file.
func (x *Experiment) resolve(folder string) error {
	for _, t := range x.Targets {
		t.Protocol = t.settled()
	}
	for _, l := range x.Links {
		if t := x.Targets[l.To]; l.Protocol == "" && t != nil {
			l.Protocol = t.Protocol
		}
		if err := l.resolve(folder); err != nil {
			return err
		}
	}
	for i := range x.Chaos {
		if err := x.Chaos[i].resolve(folder); err != nil {
			return err
		}
	}
	for i := range x.palette() {
		if err := x.GameDay.Palette[i].resolve(folder); err != nil {
			return err
		}
	}
	for i := range x.Limits.Sockets {
		if err := absolute(folder, &x.Limits.Sockets[i]); err != nil {
			return err
		}
	}
	if err := absolute(folder, &x.Limits.StopFile); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		t := x.Targets[name]
		if err := t.resolve(folder); err != nil {
			return err
		}
		if socket, ok := t.Socket(); ok && !slices.Contains(x.Limits.Sockets, socket) {
			x.Limits.Sockets = append(x.Limits.Sockets, socket) // it was beside the file, and is not beside that of the run directory
		}
	}
	return x.Load.resolve(folder)
}
