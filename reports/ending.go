package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// What stands in front of the ruling where something weakens it.
const (
	unhealthy      = "HARNESS UNHEALTHY"
	unhealthyMeans = "the figures may be the harness's own and not the system's"
	faultMissing   = "FAULT MISSING" // a fault did not do its part
)

// ending is what a screen shows when the summary has scrolled through it: what
// weakens the ruling, and last, in one line, the ruling.
func (s *summary) ending() {
	s.out.WriteByte('\n')
	if s.page != "" {
		s.copied("Look at", shellWord(s.page))
	}
	if s.result.Dir != "" {
		s.copied("Judge again", "stormctl judge "+shellWord(s.result.Dir))
	}
	warn := func(label, text string) {
		s.prose(s.paint(judge.Inconclusive, label)+"  ", len(label)+2, text)
	}
	for _, note := range s.result.Notes {
		warn("NOTE", note)
	}
	for _, fault := range s.result.Missing {
		warn(faultMissing, fault)
	}
	switch {
	case s.result.Partial && s.result.Stopped == result.GoesOn:
		warn("NOT OVER", stopped(s.result))
	case s.result.Partial:
		warn("STOPPED EARLY", stopped(s.result)+" What is told is only what was seen until then.")
	}
	if h := s.result.Harness; !h.Healthy {
		effect := h.Effect
		effect = cmp.Or(effect, unhealthyMeans)
		warn(unhealthy, effect)
	}
	s.ruling()
}

// copied is something to be copied, on one line at any width.
func (s *summary) copied(lead, text string) {
	text = strings.ReplaceAll(text, " ", noBreak)
	if led := fmt.Sprintf("%-11s  %s", lead, text); runewidth.StringWidth(led) <= s.width {
		text = led
	}
	endLine(&s.out, text)
}

// stopped says that and why the run ended early, as a sentence, or that it has
// not ended.
func stopped(r *result.Result) string {
	if r.Stopped == result.GoesOn {
		return fmt.Sprintf("The run goes on: what is told is what was seen in its first %s.", Seconds(r.Seconds))
	}
	why := strings.TrimSuffix(r.Stopped, ".")
	why = cmp.Or(why, "the reason was not recorded")
	return fmt.Sprintf("The run ended after %s, before its time: %s.", Seconds(r.Seconds), why)
}

// ruling is the ruling over all in one line: how many claims came to it and of
// what kinds, unless they held, and where the rest is. Where that does not fit,
// the directory stands on the line before, and the kinds are cut short.
func (s *summary) ruling() {
	r := s.result
	ruling := r.Ruling
	if len(r.Verdicts) == 0 {
		ruling = max(ruling, judge.Inconclusive) // a ruling on nothing proves nothing
	}
	word := strings.ToUpper(ruling.String())
	parts := []string{word, tally(r.Verdicts, ruling)}
	switch {
	case r.Partial && r.Stopped == result.GoesOn:
		parts = append(parts, "so far")
	case r.Partial:
		parts = append(parts, "stopped early")
	}
	kinds := kindsOf(r.Verdicts, ruling)
	dir := Clean(r.Dir)
	room := s.width - runewidth.StringWidth(strings.Join(parts, "  "))
	if named := fitted(kinds, room-2); dir != "" && room-2-runewidth.StringWidth(named) < 2+runewidth.StringWidth(dir) {
		endLine(&s.out, dir)
		dir = ""
	}
	for _, part := range []string{fitted(kinds, room-2), dir} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	parts[0] = s.paint(ruling, word)
	endLine(&s.out, strings.Join(parts, "  "))
}

// tally is how many of the claims came to a ruling.
func tally(verdicts []judge.Verdict, ruling judge.Ruling) string {
	if len(verdicts) == 0 {
		return "nothing was claimed"
	}
	n := 0
	for _, v := range verdicts {
		if v.Ruling == ruling {
			n++
		}
	}
	return fmt.Sprintf("%s of %s", Count(uint64(n)), number(uint64(len(verdicts)), "claim"))
}

// kindsOf are the kinds of the claims that came to a ruling, each once; none of
// those that held, of which there is nothing to look for.
func kindsOf(verdicts []judge.Verdict, ruling judge.Ruling) (kinds []string) {
	for _, v := range verdicts {
		if v.Ruling == ruling && ruling != judge.Held && !slices.Contains(kinds, Clean(v.Kind)) {
			kinds = append(kinds, Clean(v.Kind))
		}
	}
	return kinds
}

// fitted lists names in at most room columns, those that do not fit as a
// number; "" if not even that fits.
func fitted(names []string, room int) string {
	for n := len(names); n > 0; n-- {
		text := strings.Join(names[:n], ", ")
		if n < len(names) {
			text += fmt.Sprintf(" and %d more", len(names)-n)
		}
		if runewidth.StringWidth(text) <= room {
			return text
		}
	}
	return ""
}

// shellWord quotes text for a POSIX shell where it needs it. What would move
// the cursor is replaced all the same.
func shellWord(text string) string {
	text = Clean(text)
	safe := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@%", r))
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
