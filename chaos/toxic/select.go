package toxic

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Select narrows a fault to some exchanges or, on a link that knows no exchanges,
// to some connections. Every toxic embeds one. Its zero value takes nothing: a
// toxic that is built in Go sets Share.
type Select struct {
	// Part of the matching exchanges it takes, or of connections, drawn once for each; absent means 100%.
	Share unit.Share `yaml:"share"`
	// Which exchanges or connections match; absent means all.
	Match *Match `yaml:"match"`
	// Only the first so many matching exchanges since it was injected (fail 3, then succeed), or connections, those
	// that are open then included; absent means all.
	First int `yaml:"first"`
	// Only every Nth matching exchange or connection (3: the third, the sixth ...); absent means each.
	Every int `yaml:"every"`
	// Comes and goes while it is injected, each time as if anew; absent means it stays.
	Cycle *Cycle `yaml:"cycle"`
	// Time in which it grows from nothing to full, in its share (latency: in its delay); absent means full at once.
	Ramp time.Duration `yaml:"ramp"`
	// Exchanges or connections it may have hold of at a time; those past it go free and are counted as overflow. Absent means no bound.
	MaxActive int `yaml:"max_active"`
}

// All takes every exchange and every connection.
var All = Select{Share: 1}

// Selection is the Select that a toxic embeds.
func (s Select) Selection() Select { return s }

// Defaults sets what an absent key means.
func (s *Select) Defaults() { s.Share = 1 }

// Check reports what is wrong with s, by key.
func (s Select) Check(report func(field, problem string)) {
	if !(s.Share > 0 && s.Share <= 1) {
		report("share", "must be more than 0% and at most 100%: a fault that takes nothing proves nothing")
	}
	for _, count := range []struct {
		key string
		n   int
	}{{"first", s.First}, {"every", s.Every}, {"max_active", s.MaxActive}} {
		if count.n < 0 {
			report(count.key, "must be more than 0")
		}
	}
	if s.Ramp < 0 {
		report("ramp", "must not be negative")
	}
}

// Takes reports whether the fault is for this exchange. Chance is drawn only for
// an exchange that is left after match, first and every, and only if the share
// leaves any out. Of connections x has the number and the ordinal. Cycle and MaxActive are for the relay to see to.
func (s Select) Takes(x *Head, rng *rand.Rand) bool {
	switch {
	case !s.Matches(x),
		s.First > 0 && x.Ordinal > uint64(s.First),
		s.Every > 1 && x.Ordinal%uint64(s.Every) != 0:
		return false
	}
	share := float64(s.Share) * s.grown(x)
	return share >= 1 || rng.Float64() < share
}

// grown is how far the fault has grown, 0 to 1.
func (s Select) grown(x *Head) float64 {
	if x.Since >= s.Ramp {
		return 1
	}
	return float64(x.Since) / float64(s.Ramp)
}

func (s Select) Matches(x *Head) bool { return s.Match == nil || s.Match.Matches(x) }

// Counts reports whether it depends on how many exchanges matched before.
func (s Select) Counts() bool { return s.First > 0 || s.Every > 1 }

// String describes which exchanges: "100%", "POST /pay", "30% of GET /pay/*",
// "POST /pay, the first 3".
func (s Select) String() string {
	var b strings.Builder
	match := ""
	if s.Match != nil {
		match = s.Match.String()
	}
	switch {
	case match == "":
		b.WriteString(s.Share.String())
	case s.Share >= 1:
		b.WriteString(match)
	default:
		b.WriteString(s.Share.String() + " of " + match)
	}
	if s.First > 0 {
		fmt.Fprintf(&b, ", the first %d", s.First)
	}
	if s.Every > 1 {
		fmt.Fprintf(&b, ", every %s", ordinal(s.Every))
	}
	b.WriteString(inTime(s.Cycle, s.Ramp, s.MaxActive))
	return b.String()
}

// conns describes which connections: "100%", "30%", "connection 3", "50% of the
// first 2, growing over 10s".
func (s Select) conns() string {
	var which []string
	if s.First > 0 {
		which = append(which, fmt.Sprintf("the first %d", s.First))
	}
	if s.Every > 1 {
		which = append(which, fmt.Sprintf("one of %d", s.Every))
	}
	if s.Match != nil {
		which = append(which, fmt.Sprintf("connection %d", s.Match.Connection))
	}
	what := strings.Join(which, ", ")
	switch {
	case len(which) == 0:
		what = s.Share.String()
	case s.Share < 1:
		what = s.Share.String() + " of " + what
	}
	return what + inTime(s.Cycle, s.Ramp, s.MaxActive)
}

// inTime describes how a fault comes and goes, and how much it may hold.
func inTime(c *Cycle, ramp time.Duration, maxActive int) string {
	var b strings.Builder
	if c != nil {
		fmt.Fprintf(&b, ", %s", c)
	}
	if ramp > 0 {
		fmt.Fprintf(&b, ", growing over %s", unit.FormatDuration(ramp))
	}
	if maxActive > 0 {
		fmt.Fprintf(&b, ", at most %d at a time", maxActive)
	}
	return b.String()
}

// ordinal is like "2nd".
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
