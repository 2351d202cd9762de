package toxic

// Down is a dependency that is not there: open connections are closed (FIN), and
// new ones are refused. If it takes every connection nobody listens meanwhile,
// and callers see what they see of a dead process; otherwise those that it
// takes are reset as soon as they are accepted.
type Down struct {
	Conns `yaml:",inline"`
}

// Decide closes what was open, and resets what comes.
func (d Down) Decide(m Moment) StreamFate {
	if m.Fresh {
		return StreamFate{Course: Abort, NoDial: true}
	}
	return StreamFate{Course: Finish}
}

// String is like "down to 100%".
func (d Down) String() string { return "down to " + d.Conns.String() }
