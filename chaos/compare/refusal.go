package compare

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// crowded is from what pressure on a duet may be two systems that take each other's
// cores: a part of a second in which some thread waited for one.
const crowded = 0.8

// Differences says in which conditions two runs differ; nil if in none.
func Differences(a, b []Condition) (all []string) {
	for _, c := range a {
		other := valueOf(b, c.Name)
		if c.Value != "" && other != "" && other != c.Value {
			all = append(all, fmt.Sprintf("%s differs: %s and %s", c.Name, brief(c.Value), brief(other)))
		}
	}
	for _, c := range b {
		if c.Value != "" && valueOf(a, c.Name) == "" && slices.ContainsFunc(a, func(o Condition) bool { return o.Name == c.Name }) {
			continue // not known there
		}
		if !slices.ContainsFunc(a, func(o Condition) bool { return o.Name == c.Name }) {
			all = append(all, fmt.Sprintf("%s differs: it is %s on one side alone", c.Name, brief(c.Value)))
		}
	}
	for _, c := range a {
		if !slices.ContainsFunc(b, func(o Condition) bool { return o.Name == c.Name }) {
			all = append(all, fmt.Sprintf("%s differs: it is %s on one side alone", c.Name, brief(c.Value)))
		}
	}
	return all
}

func valueOf(all []Condition, name string) string {
	for _, c := range all {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// brief is the beginning of a long value, on one line.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return text
}

// refusals are why nothing can be decided about these sides, each named once.
func refusals(s Sides) (all []string) {
	say := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	first := s.Base[0]
	var unwellRuns []string
	for _, r := range slices.Concat(s.Base, s.Now) {
		for _, text := range Differences(first.Conditions, r.Conditions) {
			say("%s", text)
		}
		if r.Partial != "" {
			say("%s was cut short: %s", base(r.Dir), r.Partial)
		}
		unwell := r.Unwell
		if s.Way() == Duet { // what the machine did to one side it did to the other: see notes
			unwell = r.Damaged
		}
		if len(unwell) > 0 {
			unwellRuns = append(unwellRuns, fmt.Sprintf("%s (%s)", base(r.Dir), strings.Join(beginnings(unwell), "; ")))
		}
	}
	if len(unwellRuns) > 0 {
		say("the harness was unwell in %s", strings.Join(unwellRuns, ", "))
	}
	return all
}

// beginnings are what sentences say before their figures and advice.
func beginnings(sentences []string) (all []string) {
	for _, text := range sentences {
		text, _, _ = strings.Cut(text, ": ")
		all = append(all, text)
	}
	return all
}

// notes are what weakens a comparison without keeping it from being made.
func notes(s Sides) (all []string) {
	if s.Way() == Duet {
		var worst float64
		unwell := false
		for _, r := range []Run{s.Base[0], s.Now[0]} {
			worst = max(worst, r.Pressure)
			unwell = unwell || len(r.Unwell) > len(r.Damaged)
		}
		if worst > crowded {
			all = append(all, fmt.Sprintf("threads waited for a core in %.0f%% of the worst second: the two systems may take each "+
				"other's cores, and so hide a part of a change; a lower rate, or more cores", 100*worst))
		}
		if unwell {
			all = append(all, "the harness was unwell, on both sides at once: that is in the differences between the blocks")
		}
	}
	seeds := map[uint64]bool{}
	for _, r := range s.Base {
		seeds[r.Seed] = true
	}
	if slices.ContainsFunc(s.Now, func(r Run) bool { return !seeds[r.Seed] }) {
		all = append(all, "the two sides had different seeds: what is drawn by chance is in the spread between runs")
	}
	if n := len(s.History); n > 0 && n < fewestHistory {
		all = append(all, fmt.Sprintf("a history of %d runs says nothing of their spread: it takes %d", n, fewestHistory))
	}
	return all
}

// withLikeHistory leaves out of the history what does not say how much these runs
// differ by themselves, and says why.
func (s Sides) withLikeHistory() (kept Sides, notes []string) {
	kept = s
	kept.History = nil
	for _, r := range s.History {
		why := strings.Join(Differences(s.Base[0].Conditions, r.Conditions), "; ")
		switch {
		case r.Partial != "":
			why = "it was cut short"
		case why == "" && len(r.Unwell) > 0:
			why = "its harness was unwell"
		}
		if why != "" {
			notes = append(notes, fmt.Sprintf("%s is left out of the history: %s", base(r.Dir), why))
			continue
		}
		kept.History = append(kept.History, r)
	}
	return kept, notes
}

func base(dir string) string { return filepath.Base(dir) }
