package evidence

import (
	"encoding/json"
	"errors"
	"sort"
	"time"

	"github.com/stormctl/stormctl/load"
)

// Run is everything a claim may look at. It is read-only once read.
type Run struct {
	Name    string
	About   string
	Seed    uint64
	Started time.Time
	Load    time.Duration // how long arrivals were to come
	Skips   bool          // arrivals that find no connection were not to wait for one, or not all of them
	Batch   time.Duration // by as much arrivals were sent late on purpose
	Warmup  *Warmup       // nil if there was none
	End     time.Duration // when the last arrival was due; less than Load if Partial
	Partial bool          // the run was cut short: what is missing is missing
	Stopped string        // why it was
	Brief   bool          // it is ruled on in passing: verdicts come without exhibits

	File       string // the experiment file, as reports are to name it; "" if it is not known
	ClaimLines []int  // of each claim in it, from 1; 0, or none, is not known

	// NotSteady says why nothing was injected although it was planned: the
	// steady state could not be confirmed. "" if it was.
	NotSteady string

	Routes  []string          // names, indexed by load.Sample.Route; a step of a route is one too, and its samples have an ID of their own
	Samples []load.Sample     // by Intended
	Links   map[string]*Link  // by name
	Faults  []Injection       // by Index; those that were planned and never injected are here too
	Ticks   []Tick            // one per second
	Deaths  []Death           // targets that ended by themselves, by At
	Gone    []LostAgent       // agents that were lost, by At: their share of the load was not sent from then on
	Alerts  []Alert           // what an alertmanager said, by At
	Notes   []Note            // what happened besides, by At
	Lost    map[string]uint64 // records that are missing, changed, or there more often than counted, by where; any leaves counts in doubt
	Flaws   []Flaw            // the same, where files differ from what the run counted and summed up: it did not lose them itself

	Access   []Access // what routes do with data; none in most runs
	Keys     uint64   // how many registers the data has; 0 is one
	Sessions int      // see Session; 0 is each arrival
	Values   []Value  // what was written and read, by ID
	Audits   []Audit  // what was there, by At

	Host string                   // the machine; "" in older runs
	CPU  map[string]time.Duration // what the processes of targets used while there was load, by target; nil if it is not known

	agents  []Tick      // of agents, that the next tick may be of
	Soak    bool        // it is judged chapter by chapter: the records are in its chapters, and not here
	Chapter *Chapter    // of a soak, that it is; nil if it is none. All its times count from the chapter's beginning
	Gaps    []Gap       // in which the harness was not there, by From
	Blank   string      // why nothing can be told of it; "" is the rule
	Rounds  []Injection // of a soak, each injection by itself, the latest mostRounds; nil otherwise

	from time.Duration // of the clock of the files, where this one is at 0

	hasEnd        bool              // it came to its end, by itself or stopped: it was not killed
	byID, byRoute kept[load.Sample] // where in Samples they are
	memo          memo
}

// Warmup is what was sent before the clock of the run began. It is shown, and
// nothing is made of it: neither routes, links, claims nor the harness's health
// have it in them.
type Warmup struct {
	Length   Seconds               `json:"length_s"`
	Outcomes [load.Outcomes]uint64 `json:"outcomes"` // by load.Outcome
	P50      Seconds               `json:"p50_s"`    // of the response time
	P99      Seconds               `json:"p99_s"`
}

// Note is something worth knowing that is neither load nor fault: a target that
// ended by itself, or could not be stopped.
type Note struct {
	At   time.Duration
	Text string
}

// Death is a target of ours that ended although the run did not end it.
type Death struct {
	At     time.Duration
	Target string
	Text   string // "checkout ended by itself: exit status 3", perhaps with its last output in lines of their own
}

// MaxAlerts is how many changes of alerts a run records.
const MaxAlerts = 10_000

// Alert is a change of one alert, as Alertmanager's webhook told of it.
type Alert struct {
	At       time.Duration `json:"-"`        // when it was heard
	Name     string        `json:"name"`     // its label alertname
	Instance string        `json:"instance"` // tells it from others of its name
	Firing   bool          `json:"firing"`   // else it is resolved
}

// Link is everything one link saw.
type Link struct {
	Name      string     `json:"name"`
	From      string     `json:"from"`
	To        string     `json:"to"`
	Exchanges []Exchange `json:"-"` // by Begin

	// How many connections could not be read: exchanges that went over them may have
	// no record, or end as Unread. FirstUnread is what could not be read first.
	Unread      uint64 `json:"-"`
	FirstUnread string `json:"-"`

	byID kept[Exchange]
}

// Injection is one fault of the timeline with the times it really happened.
type Injection struct {
	Index    int           `json:"index"`              // position in the experiment's chaos section, below MaxFaults; see Exchange.HitBy
	Name     string        `json:"name"`               // for people: "errors 503 on payments"
	Kind     string        `json:"kind"`               // key of the fault in the experiment: latency, errors, pause, ...
	On       string        `json:"on"`                 // link or target, or like "region eu"
	Target   bool          `json:"target,omitempty"`   // On is a target
	Others   []string      `json:"others,omitempty"`   // further targets that it happens to
	Links    []string      `json:"links,omitempty"`    // of a region that is lost, its links; Others are its targets
	Statuses []int         `json:"statuses,omitempty"` // what an errors fault answers with, in terms of HTTP; nil otherwise
	Delay    Seconds       `json:"delay_s,omitempty"`  // what a latency fault adds on average; 0 otherwise
	Share    float64       `json:"share"`              // 0 to 1 of the matching exchanges it takes
	Match    bool          `json:"match,omitempty"`    // it takes only matching exchanges
	Ends     bool          `json:"ends,omitempty"`     // it ends the calls that it drops the response of, which it keeps otherwise
	Cycle    bool          `json:"cycle,omitempty"`    // it comes and goes while it is in force
	Ramp     Seconds       `json:"ramp_s,omitempty"`   // how long it takes to grow to its full size; 0 if it has it at once
	Effects  *Effects      `json:"effects,omitempty"`  // what it may do; nil in runs from before it was recorded, see Does
	At       Seconds       `json:"at_s"`               // when it was planned
	For      Seconds       `json:"for_s"`              // how long it was planned to last
	Injected time.Duration `json:"-"`                  // when it was in force; -1 if it never was
	Healed   time.Duration `json:"-"`                  // when it was gone; -1 if the evidence ends with it in force
	Hit      uint64        `json:"-"`                  // what its link counted until the heal, also of what has no record; 0 in older runs
	Times    int           `json:"-"`                  // of a soak, how often it came so far; 0 of a run
	Overflow uint64        `json:"-"`                  // exchanges that it let go because it had hold of as many as it may
	Error    string        `json:"-"`                  // why it could not be injected or healed
	Why      string        `json:"-"`                  // the same of the injection, without what was tried
}

// Tick is what the harness knew at the end of one second. It is kept for every
// second of a run of any length, even where the single records are not.
type Tick struct {
	At          time.Duration                    `json:"-"`               // end of the second
	Offered     uint64                           `json:"offered"`         // arrivals that the schedule has in this second
	Ended       uint64                           `json:"ended"`           // requests that ended in this second, whenever they were sent
	Unsent      uint64                           `json:"unsent"`          // arrivals given up in this second
	Steps       uint64                           `json:"steps,omitempty"` // of ended, requests that followed an answer: no arrivals
	Routes      map[string][load.Outcomes]uint64 `json:"routes"`          // what ended in this second, by route and load.Outcome
	P50         Seconds                          `json:"p50_s"`           // response time of what ended in this second
	P99         Seconds                          `json:"p99_s"`
	LagP50      Seconds                          `json:"lag_p50_s"` // send lag of the same
	LagP99      Seconds                          `json:"lag_p99_s"`
	LagMax      Seconds                          `json:"lag_max_s"`
	LateP99     Seconds                          `json:"late_p99_s"`   // the harness's own part of the lag
	HiccupP99   Seconds                          `json:"hiccup_p99_s"` // how late a sleeping thread woke up: the host's part
	HiccupMax   Seconds                          `json:"hiccup_max_s"`
	CPU         float64                          `json:"cpu_cores"`            // used by this process
	Steal       float64                          `json:"steal_cores"`          // taken away by the hypervisor; -1 if unknown
	Cores       int                              `json:"cores,omitempty"`      // of the machine; 0 in older runs, as what follows
	Busy        float64                          `json:"loop_busy,omitempty"`  // part of the second that the busiest event loop used a core
	Pause       Seconds                          `json:"gc_pause_s,omitempty"` // the longest of Go's runtime
	DialLimited uint64                           `json:"held,omitempty"`       // arrivals that waited for the bound on new connections
	Starved     uint64                           `json:"starved,omitempty"`    // of Unsent, for want of a descriptor or port
	Pressure    float64                          `json:"cpu_pressure"`         // part of it that a thread waited for a core; -1: unknown
	Runnable    int                              `json:"runnable,omitempty"`   // threads of the machine that had a core or waited for one
	Lost        uint64                           `json:"lost"`                 // evidence records dropped so far
	Clock       Seconds                          `json:"clock_s,omitempty"`    // by how much times of agents and ours may be apart
	Extent                                       // of the file of samples
	Values      *Extent                          `json:"values,omitempty"` // of the file of values; nil without data
	Links       map[string]LinkTick              `json:"links,omitempty"`
	Targets     map[string]TargetTick            `json:"targets,omitempty"` // what was measured last, by target

	Span    int     `json:"span_s,omitempty"`    // how many seconds are merged in it; 0 is one
	Longest Seconds `json:"longest_s,omitempty"` // how long the longest of them took; 0 is as long as since the tick before
}

// LinkTick is what a link did in one second.
type LinkTick struct {
	Ended    uint64  `json:"ended"`  // exchanges that ended
	Errors   uint64  `json:"errors"` // of them with status 500 or more, or with no response
	P99      Seconds `json:"p99_s"`  // how long they took
	InFlight int     `json:"in_flight"`
	Peak     int     `json:"in_flight_most,omitempty"` // since the tick before; 0 is of a run before there was such a figure
	Extent           // of its file

	Unread      uint64 `json:"unread,omitempty"`       // connections that could not be read, up to now
	FirstUnread string `json:"first_unread,omitempty"` // what could not be read of the first of them
}

// UnmarshalJSON also reads ticks from before there were load.Wrong and
// load.TooLarge: they have fewer outcomes, and Unsent is the last of them.
func (t *Tick) UnmarshalJSON(text []byte) error {
	type tick Tick // without this method
	var counts struct {
		Routes map[string][]uint64 `json:"routes"`
	}
	if err := errors.Join(json.Unmarshal(text, (*tick)(t)), json.Unmarshal(text, &counts)); err != nil {
		return err
	}
	for route, list := range counts.Routes {
		if last := len(list) - 1; last > int(load.Malformed) && last < int(load.Unsent) {
			n := t.Routes[route]
			n[load.Unsent], n[last] = n[last], 0
			t.Routes[route] = n
		}
	}
	return nil
}

// Window returns the samples due in [from, to).
func (r *Run) Window(from, to time.Duration) []load.Sample { return window(r.Samples, from, to) }

// Window returns the exchanges that began in [from, to).
func (l *Link) Window(from, to time.Duration) []Exchange {
	lo := sort.Search(len(l.Exchanges), func(i int) bool { return l.Exchanges[i].Begin >= from })
	hi := sort.Search(len(l.Exchanges), func(i int) bool { return l.Exchanges[i].Begin >= to })
	return l.Exchanges[lo:hi]
}

func window(s []load.Sample, from, to time.Duration) []load.Sample {
	lo := sort.Search(len(s), func(i int) bool { return s[i].Intended >= from })
	hi := sort.Search(len(s), func(i int) bool { return s[i].Intended >= to })
	return s[lo:hi]
}
