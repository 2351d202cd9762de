package result

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// File is where a result is in its run directory.
const File = "result.json"

// Schema is the version of result.json. Fields may be added under the
// same version; a change of meaning raises it.
const Schema = 1

// Result is what a run came to: the content of result.json. Durations are in
// milliseconds under names ending in _ms, times since the start in seconds
// under names ending in _s.
type Result struct {
	Schema  int          `json:"schema"`
	Name    string       `json:"name"`
	About   string       `json:"about,omitempty"`
	File    string       `json:"file,omitempty"` // the experiment file: from the root of its repository, or else as it was named
	Seed    uint64       `json:"seed"`
	Started time.Time    `json:"started"`
	Seconds float64      `json:"duration_s"`
	Partial bool         `json:"partial,omitempty"` // the run ended before its time
	Stopped string       `json:"stopped,omitempty"` // why it did; GoesOn if it has not
	Ruling  judge.Ruling `json:"ruling"`            // the worst of the verdicts
	// faults that did not do their part, each a sentence: no claim has held without them
	Missing  []string        `json:"missing,omitempty"`
	Verdicts []judge.Verdict `json:"verdicts"`
	Routes   []Route         `json:"routes"`
	// the routes by where requests came from, named like that; absent if it is one place
	Regions []Route `json:"regions,omitempty"`
	Links   []Link  `json:"links"`
	// which routes call over which links, and how they fared without; absent if there is no link
	Matrix   *Matrix      `json:"matrix,omitempty"`
	Faults   []Fault      `json:"faults"`
	Notes    []string     `json:"notes,omitempty"`  // what happened besides, each with its time: a target that died, for one
	Events   []Event      `json:"events,omitempty"` // of the notes those that are of a moment, for who draws them
	Harness  Harness      `json:"harness"`
	Warmup   *Warmup      `json:"warmup,omitempty"`   // absent if there was none
	Series   *series.View `json:"series,omitempty"`   // the run over its length; absent of one that was killed in its first second
	Chapters *Chapters    `json:"chapters,omitempty"` // of a soak, what its chapters came to; absent of a run that is judged whole
	Blank    string       `json:"blank,omitempty"`    // of a chapter, why nothing can be told of it
	// over the files of the directory, as the run left them; absent where a directory is judged again
	Chain []Sealed `json:"chain,omitempty"`

	Dir string `json:"-"` // the run directory
}

// Sealed is a file of a run directory in the chain of hashes over all that a ruling
// rests on. Link is the SHA-256, in hexadecimal, of the link before it, the file's
// name, a zero byte and the SHA-256 of its content: so none of them can be changed,
// left out or exchanged for another without the links after it.
type Sealed struct {
	File string `json:"file"` // its name in the run directory
	Link string `json:"link"` // SHA-256, in hexadecimal
}

// GoesOn is why a run that has not ended was "stopped": it was not.
const GoesOn = "the run goes on"

// Of makes the result of an experiment out of what a run of it left: its
// evidence, what Verdicts ruled of it, and the histograms of its samples, with routes as
// in run.Routes. Those that are nil, because the run was killed before there were any,
// say nothing.
func Of(x *experiment.Experiment, run *evidence.Run, verdicts []judge.Verdict, times *hist.Set) *Result {
	r := &Result{
		Schema: Schema, Name: run.Name, About: run.About, File: run.File, Seed: run.Seed, Started: run.Started,
		Seconds: run.End.Seconds(), Partial: run.Partial, Stopped: run.Stopped,
		Verdicts: verdicts, Ruling: worst(verdicts), Blank: run.Blank,
		Routes: routes(x, run, times), Links: links(run), Matrix: matrix(run), Faults: faults(run), Harness: harness(run, times.Lag),
	}
	r.Regions = regions(run, r.Routes, times)
	if !run.Soak { // each chapter has looked at its own
		r.Missing = judge.Missing(run)
	}
	if !r.Harness.Healthy {
		r.Harness.Effect = effect(verdicts)
	}
	if x.Load.MaxQueue() != 0 {
		r.Harness.Stalled = x.Load.WhenStalled
	}
	if w := run.Warmup; w != nil {
		r.Warmup = NewWarmup(w.Length.Duration(), w.Outcomes, w.P50.Duration(), w.P99.Duration())
	}
	if run.NotSteady != "" {
		r.Notes = append(r.Notes, "nothing was injected: "+run.NotSteady)
	}
	if !run.Soak {
		r.Notes = append(r.Notes, judge.Spared(run)...)
	}
	for _, g := range run.Gaps {
		r.Notes = append(r.Notes, fmt.Sprintf("the harness was not there from %s to %s: %s",
			g.From.Duration().Round(time.Second/10), g.To.Duration().Round(time.Second/10), g.Why))
	}
	for _, n := range run.Notes {
		r.Notes = append(r.Notes, fmt.Sprintf("%.1fs %s", n.At.Seconds(), n.Text))
	}
	r.Events = events(run)
	return r
}

// Warmup is what was sent before everything else, and is nowhere else in.
type Warmup struct {
	Seconds  float64 `json:"duration_s"`
	Requests uint64  `json:"requests"`    // sent
	Success  float64 `json:"success_pct"` // share of ok among those due
	P50      float64 `json:"p50_ms"`      // of the response time
	P99      float64 `json:"p99_ms"`
}

// NewWarmup makes it of what was due in length and how it ended.
func NewWarmup(length time.Duration, outcomes [load.Outcomes]uint64, p50, p99 time.Duration) *Warmup {
	w := &Warmup{Seconds: length.Seconds(), P50: ms(p50), P99: ms(p99)}
	for _, n := range outcomes {
		w.Requests += n
	}
	w.Success = 100 * float64(outcomes[load.OK]) / float64(max(1, w.Requests))
	w.Requests -= outcomes[load.Unsent]
	return w
}
