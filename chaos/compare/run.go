package compare

import (
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load/hist"
)

// Run is what one run measured.
type Run struct {
	Dir     string
	Seed    uint64
	Started time.Time     // when the clock of the run was at 0
	Length  time.Duration // how long arrivals came

	// Conditions are what both sides must have in common, in the order in which a
	// difference is told.
	Conditions []Condition

	Partial  string   // why the run ended before its time; "" if it did not
	Unwell   []string // why the harness was not well, each a sentence; nil if it was
	Damaged  []string // those of Unwell that are no matter of time: requests that were not sent, records that are missing
	Pressure float64  // of the worst second: the part of it in which a thread waited for a core; -1 is unknown

	Routes []Route
	Claims []Claim
	CPU    map[string]time.Duration // what processes of targets used while there was load, by target; nil if it is not known
}

// Condition is something that a comparison takes for equal.
type Condition struct {
	Name  string // load.rate, cores, host, ...
	Value string // "" is not known, and equal to anything
}

// Route is what callers of one route got, in blocks of BlockLength, in order.
type Route struct {
	Name   string
	Blocks []Block
}

// Block is a stretch of a run.
type Block struct {
	From, To time.Duration
	Requests uint64 // that ended in it, those that were never sent included
	OK       uint64
	Times    *hist.Histogram // response times of the same; nil if there were none
}

// Claim is a claim with its ruling.
type Claim struct {
	Name   string // the same in every run of an experiment
	Ruling judge.Ruling
}

// usualBlock is long enough that blocks are nearly independent of each other,
// where seconds are not.
const usualBlock = 10 * time.Second

// blocksWanted is into how many blocks a run is cut that is too short for as many
// of usualBlock; below fewestBlocks nothing is said of their spread.
const (
	blocksWanted = 6
	fewestBlocks = 4
)

// BlockLength is that of the blocks of a run: 10 s, or less where the run is
// shorter than six of them, in whole seconds.
func BlockLength(run time.Duration) time.Duration {
	return min(usualBlock, max(time.Second, (run/blocksWanted).Truncate(time.Second)))
}

// whole is a route over a whole run.
func (r Route) whole() Block {
	all := Block{Times: hist.New()}
	for _, b := range r.Blocks {
		all.add(b)
	}
	return all
}

// add merges a block that follows.
func (b *Block) add(next Block) {
	b.To = next.To
	b.Requests += next.Requests
	b.OK += next.OK
	if next.Times != nil {
		b.Times.Merge(next.Times)
	}
}

// full reports whether a block is no rest of a run that its length does not divide.
func (b Block) full(length time.Duration) bool { return b.To-b.From >= length-length/10 }

// IgnoreHost takes the machines of all runs for one.
func (s Sides) IgnoreHost() {
	for _, runs := range [][]Run{s.Base, s.Now, s.History} {
		for i := range runs {
			for k := range runs[i].Conditions {
				if c := &runs[i].Conditions[k]; c.Name == "host" {
					c.Value = ""
				}
			}
		}
	}
}
