package evidence

import (
	"slices"
	"time"
)

// Effects is what a fault may do to an exchange or a connection that it takes.
// Rulings ask for them, and never for the kind of a fault.
type Effects struct {
	Delays     bool `json:"delays,omitempty"`     // it takes longer, by Injection.Delay on average
	Slows      bool `json:"slows,omitempty"`      // it takes longer, by how much is not known
	Paces      bool `json:"paces,omitempty"`      // its body trickles, so that its status comes long before its end
	Holds      bool `json:"holds,omitempty"`      // it stays as it is until the heal, unless its caller leaves
	Ends       bool `json:"ends,omitempty"`       // it ends as the dependency did not end it: answered, cut short or reset
	Answers    bool `json:"answers,omitempty"`    // it is answered in the dependency's place, with Injection.Statuses
	Strikes    bool `json:"strikes,omitempty"`    // those in flight end at once when the fault comes
	Spoils     bool `json:"spoils,omitempty"`     // its caller may lack an answer, or have a wrong one, that the link saw whole
	Duplicates bool `json:"duplicates,omitempty"` // the dependency gets it twice
	Drops      bool `json:"drops,omitempty"`      // its answer is read to the end, and kept from its caller
	Refuses    bool `json:"refuses,omitempty"`    // it is refused, and leaves no record
	Marks      bool `json:"marks,omitempty"`      // the records of its link say what it touched
}

// Does is what the fault may do: its Effects, or in runs from before they were
// recorded, what its kind did then. Of a kind that is not known it is no effect;
// Read does not read such a run.
func (f *Injection) Does() Effects {
	if f.Effects != nil {
		return *f.Effects
	}
	does, _ := f.formerly()
	return does
}

// formerly is what the kinds of faults did that there were before Effects. It is
// a record of the past: a new kind of fault is not added here.
func (f *Injection) formerly() (does Effects, known bool) {
	does.Marks = !f.OnTarget() && f.Kind != "exec"
	switch f.Kind {
	case "latency":
		does.Delays = true
	case "errors":
		does.Ends, does.Answers = true, true
	case "hang", "partition", "half_open", "flap", "timeout", "pause", "net_partition":
		does.Holds = true
	case "drop_response":
		does.Ends, does.Holds, does.Drops = f.Ends, !f.Ends, true
	case "reset":
		does.Ends, does.Strikes, does.Spoils = true, true, true
	case "truncate":
		does.Ends, does.Spoils = true, true
	case "corrupt":
		does.Spoils = true
	case "duplicate":
		does.Duplicates = true
	case "slow_body":
		does.Slows, does.Paces = true, true
	case "reset_peer", "limit_data":
		does.Ends = true
	case "down":
		does.Ends, does.Refuses = true, true
	case "restart", "kill":
		does.Slows, does.Ends, does.Strikes = true, true, true
	case "bandwidth", "slow_close", "slow_connect", "slicer", "cpu", "memory", "fd", "disk_full", "net_rate", "exec":
		does.Slows = true
	default:
		return does, false
	}
	return does, true
}

// Active reports whether the fault was in force at any moment of [from, to].
func (f *Injection) Active(from, to time.Duration) bool {
	return f.Injected >= 0 && f.Injected <= to && (f.Healed < 0 || f.Healed >= from)
}

// OnTarget reports whether it happened to a target, not to a link. Runs from
// before there was Target had two kinds that did.
func (f *Injection) OnTarget() bool { return f.Target || f.Kind == "restart" || f.Kind == "pause" }

// OnPath reports whether the fault concerns calls over the link: it is on the link
// itself, or it happens to the target that the link leads to.
func (f *Injection) OnPath(link *Link) bool {
	if f.OnTarget() {
		return f.On == link.To || slices.Contains(f.Others, link.To) || slices.Contains(f.Links, link.Name)
	}
	return f.On == link.Name
}

// Touched reports whether the fault touched the exchange. The records of a link
// say so of its own faults; what happens to a target, or is done by a command,
// touches whatever was in flight then.
func (f *Injection) Touched(x *Exchange) bool {
	return x.HitBy(f.Index) || !f.Does().Marks && f.Active(x.Begin, x.End)
}
