package toxic

// StreamPartition lets nothing through in its direction, neither bytes nor ends.
// What was held goes on when it heals: nothing is lost. The dependency is not
// dialled meanwhile. It is a partition as user space can make one: the kernel
// still accepts new connections and acknowledges what fits into its buffers, so
// callers see silence, not retransmissions.
type StreamPartition struct {
	Conns `yaml:",inline"`
}

// Decide stalls what is taken.
func (p StreamPartition) Decide(Moment) StreamFate { return StreamFate{Course: Stall} }

// String is like "partition to 100%".
func (p StreamPartition) String() string {
	return "partition to " + p.Conns.String()
}
