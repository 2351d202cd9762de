package judge

import (
	"cmp"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Register is the operations of one register around a contradiction.
type Register struct {
	Data       string      `json:"data"`           // the name of the data
	Key        uint64      `json:"key"`            // the register; 0 where the load has no keys
	Operations []Operation `json:"operations"`     // by when they were sent
	More       int         `json:"more,omitempty"` // further ones of the same time
}

// Operation is a write or a read of a register.
type Operation struct {
	ID      uint64           `json:"id"`               // of the request
	Route   string           `json:"route"`            // its route
	Writes  bool             `json:"writes,omitempty"` // it wrote its own id; otherwise it read
	Value   uint64           `json:"value"`            // the request whose id was written or read; 0 is nothing
	Sent    evidence.Seconds `json:"sent_s"`           // when it was sent
	Done    evidence.Seconds `json:"done_s"`           // when it had ended for its caller
	Maybe   bool             `json:"maybe,omitempty"`  // it was not acknowledged, and may have taken effect at any time since
	Outcome string           `json:"outcome"`          // as in routes[].outcomes
	Marked  bool             `json:"marked,omitempty"` // it is part of the contradiction
}

// neighbours counts what is not part of the contradiction.
func (r *Register) neighbours() (n int) {
	for _, o := range r.Operations {
		if !o.Marked {
			n++
		}
	}
	return n
}

func sortedByStart(ops []operation) []operation {
	slices.SortStableFunc(ops, func(a, b operation) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.id, b.id)) })
	return ops
}
