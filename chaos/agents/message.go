package agents

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/load"
)

// subjects are those of one run.
type subjects struct {
	join  string // agents ask to join, and are answered
	pulse string // the coordinator is heard of
	feeds string // all feeds: what the stream keeps
	root  string
}

func subjectsOf(t Token) subjects {
	p := t.prefix()
	return subjects{join: p + ".join", pulse: p + ".pulse", feeds: p + ".feed.*", root: p}
}

func (s subjects) order(name string) string { return s.root + ".order." + name } // of the coordinator, which are answered
func (s subjects) clock(name string) string { return s.root + ".clock." + name } // asks for the agent's clock
func (s subjects) beat(name string) string  { return s.root + ".beat." + name }  // the agent is heard of
func (s subjects) feed(name string) string  { return s.root + ".feed." + name }  // what it hands over

// lastPart is the name at the end of a subject.
func lastPart(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// streamOf is the stream of a run.
func streamOf(t Token) string { return "stormctl-" + hex.EncodeToString(t.mac("stream", nil)[:8]) }

// bucketOf is the object store of an agent.
func bucketOf(t Token, name string) string {
	return "stormctl-" + hex.EncodeToString(t.mac("objects", nil)[:8]) + "-" + name
}

// Member is what an agent says of itself when it joins.
type Member struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`          // of the program; that of the run must be the same
	Labels  map[string]string `json:"labels,omitempty"` // like region: eu
	Cores   int               `json:"cores"`
	Loops   int               `json:"loops"` // event loops that it runs
	Allow   allow.List        `json:"allow"` // where its operator lets it send
	Nonce   string            `json:"nonce"` // of this one joining: a plan for another one is none for it
}

// String is the member for people.
func (m Member) String() string {
	text := fmt.Sprintf("%s (%d cores, %d loops", m.Name, m.Cores, m.Loops)
	for _, label := range labelsOf(m.Labels) {
		text += ", " + label
	}
	return text + ")"
}

// answer is that of either side to what the other asked.
type answer struct {
	OK  bool   `json:"ok"`
	Why string `json:"why,omitempty"` // why not
}

// order is what the coordinator has an agent do. Exactly one of Plan and Start is given.
type order struct {
	Plan  *plan  `json:"plan,omitempty"`
	Start *start `json:"start,omitempty"`
}

// plan is the part of a load that an agent is to send.
type plan struct {
	Nonce      string    `json:"nonce"`      // of the agent's joining
	Experiment []byte    `json:"experiment"` // as resolved: the schedule is made of it, and nothing else
	Load       load.Plan `json:"load"`       // without its schedule
	// Gate is about when, of the run's clock, what is seen is handed over as it is: the
	// steady state is asked for then. 0 is never.
	Gate time.Duration `json:"gate_ns"`
}

// start has the load begin.
type start struct {
	Nonce string        `json:"nonce"`
	At    time.Duration `json:"at_ns"` // of the agent's clock
}

// pulse is how the coordinator is heard of.
type pulse struct {
	Number uint64   `json:"number"`         // grows: an older one is a recording
	Lost   []string `json:"lost,omitempty"` // agents that are lost: they stop
	Halt   string   `json:"halt,omitempty"` // why all stop; "" goes on
}
