package proxy

// StreamPartition lets nothing through in its direction, neither bytes nor ends.
// What was held goes on when it heals: nothing is lost. The dependency is not
// dialled meanwhile. It is a partition as user space can make one: the kernel
// still accepts new connections and acknowledges what fits into its buffers, so
// callers see silence, not retransmissions.
type StreamPartition struct {
	// HalfOpen loses the connections that are open when it is injected, for
	// good: both sides go on believing in theirs, and after it heals whoever
	// sends is answered by a RST, as by a host that has been restarted. New
	// connections pass. Its direction means nothing.
	HalfOpen bool `yaml:"half_open"`
	Conns    `yaml:",inline"`
}

// Decide stalls what is taken.
func (p StreamPartition) Decide(m Moment) StreamFate {
	switch {
	case !p.HalfOpen:
		return StreamFate{Course: Stall}
	case m.Fresh:
		return StreamFate{}
	default:
		return StreamFate{Course: Forget}
	}
}

// String is like "partition to 100%".
func (p StreamPartition) String() string {
	if p.HalfOpen {
		return "half-open partition to " + p.Conns.String()
	}
	return "partition to " + p.Conns.String()
}
