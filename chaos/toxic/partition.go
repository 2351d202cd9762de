package toxic

import "math/rand/v2"

// Partition lets nothing through in either direction: connections hang, new
// ones are accepted by the kernel and hang too. What was stalled goes on its way
// when it heals: nothing is lost.
//
// It holds exchanges. That the dependency closes an idle connection still
// reaches the caller, and that a caller gives up reaches the dependency.
//
// Of connections it lets neither bytes nor ends through, in its direction, and the
// dependency is not dialled. It is a partition as user space can make one: the
// kernel still accepts new connections and acknowledges what fits into its
// buffers, so callers see silence, not retransmissions.
type Partition struct {
	Select `yaml:",inline"`
}

// DecideExchange holds what Select takes.
func (p Partition) DecideExchange(_ *Head, _ *rand.Rand) Fate { return Fate{Verb: Stall} }

// DecideConn stalls what is taken.
func (p Partition) DecideConn(Moment) ConnFate { return ConnFate{Verb: ConnStall} }

// String is like "partition to 100%".
func (p Partition) String() string { return "partition to " + p.Select.String() }
