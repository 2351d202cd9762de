package chaos

import (
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
)

// Progress is what a watcher is told while a run goes on: at every change of
// phase, at every event, and once a second.
type Progress struct {
	Name     string          // the experiment
	Phase    string          // starting, steady state, chaos, healed, judging
	At       time.Duration   // since the start of the load; negative before it
	Total    time.Duration   // how long the load lasts
	Event    string          // what just happened, in a line; "" for the tick of a second
	Offered  float64         // arrivals per second, over the last second
	Achieved float64         // requests that ended per second, over the last second
	Success  float64         // share of ok among what ended in the last second, 0 to 1
	P50, P99 time.Duration   // response time over the last second
	P999     time.Duration   // the same, where it is known
	LagP99   time.Duration   // send lag over the last second
	Faults   []string        // in force now
	Verdicts []judge.Verdict // so far, provisional; nil if not judged now
}
