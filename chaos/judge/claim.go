package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Claim is one falsifiable statement about the system under test. Judge is a
// pure function of the evidence: the same evidence gives the same verdict.
type Claim interface {
	Judge(run *evidence.Run) Verdict
	String() string // one line for people: what is claimed
}

// Ruling orders from good to bad, so that the worst of several is their max.
type Ruling uint8

const (
	Held         Ruling = iota // the fault hit, the state was visited, and the claim stood
	Inconclusive               // the evidence does not suffice either way; the reason says what was missing
	Refuted                    // the evidence contradicts the claim
)

var rulingNames = [...]string{"held", "inconclusive", "refuted"}

func (r Ruling) String() string {
	if int(r) < len(rulingNames) {
		return rulingNames[r]
	}
	return fmt.Sprintf("ruling(%d)", uint8(r))
}

func (r Ruling) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Ruling) UnmarshalText(text []byte) error {
	for i, name := range rulingNames {
		if string(text) == name {
			*r = Ruling(i)
			return nil
		}
	}
	return fmt.Errorf("unknown ruling %q", text)
}

// Verdict is what a claim came to.
type Verdict struct {
	Claim  string `json:"claim"`
	Kind   string `json:"kind"`           // the claim's key in the experiment file: breaker, retry, ...
	Name   string `json:"name,omitempty"` // the same from run to run: its name in the file, or its kind, link and route
	Line   int    `json:"line,omitempty"` // of the claim in the experiment file, from 1; 0 if it is not known
	Ruling Ruling `json:"ruling"`
	Reason string `json:"reason"`          // one or two sentences with the deciding figures in them
	Parts  []Part `json:"parts,omitempty"` // its sentences, in reading order: the ruling is the worst of those that were claimed
	Void   string `json:"void,omitempty"`  // why nothing can be told, whatever the parts came to
	// of one that held although the harness was unwell, or a target ended by itself: why it stands
	Despite string   `json:"despite,omitempty"`
	Numbers Numbers  `json:"numbers,omitempty"` // everything measured, in reading order
	IDs     []uint64 `json:"ids,omitempty"`     // request ids that prove it, at most MaxIDs

	Exhibits []Exhibit `json:"exhibits,omitempty"` // what shows it
}

// MaxIDs bounds the ids a verdict carries; the count is in Numbers.
const MaxIDs = 20

// Number is one measured figure. Its name ends in its unit where it has one:
// _ms, _s, _pct, _per_s. Counts and ratios have none.
type Number struct {
	Name  string
	Value float64
}

// Numbers marshals as a JSON object that keeps its order.
type Numbers []Number

// Add appends a figure; AddTime appends a duration in milliseconds under name_ms.
func (n *Numbers) Add(name string, value float64) { *n = append(*n, Number{name, value}) }

func (n *Numbers) AddTime(name string, d time.Duration) {
	*n = append(*n, Number{name + "_ms", float64(d) / float64(time.Millisecond)})
}
