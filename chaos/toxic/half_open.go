package toxic

// HalfOpen loses the connections that are open when it is injected, for good:
// neither side is told, and both go on believing in theirs. After it heals,
// whoever sends is answered by a RST, as by a host that has been restarted. New
// connections pass. It is about both directions, whatever its direction.
type HalfOpen struct {
	Select `yaml:",inline"`
}

// DecideConn loses what was open.
func (h HalfOpen) DecideConn(m Moment) ConnFate {
	if m.Fresh {
		return ConnFate{}
	}
	return ConnFate{Verb: ConnBlackhole}
}

// String is like "half_open to 100%".
func (h HalfOpen) String() string { return "half_open to " + h.conns() }
