package toxic

// Down is a dependency that is not there: open connections are closed (FIN), and
// new ones are refused. If it takes every connection nobody listens meanwhile,
// and callers see what they see of a dead process; otherwise those that it
// takes are reset as soon as they are accepted.
type Down struct {
	Select `yaml:",inline"`
}

// DecideConn closes what was open, and resets what comes.
func (d Down) DecideConn(m Moment) ConnFate {
	if m.Fresh {
		return ConnFate{Verb: ConnReset, NoDial: true}
	}
	return ConnFate{Verb: ConnClose}
}

// RefusesAll reports whether it takes every connection as long as it is in force,
// so that the listener is paused.
func (d Down) RefusesAll() bool {
	return d.Share >= 1 && d.Match == nil && !d.Counts() && d.Ramp <= 0 && d.MaxActive <= 0
}

// String is like "down to 100%".
func (d Down) String() string { return "down to " + d.conns() }
