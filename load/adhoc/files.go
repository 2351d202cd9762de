package adhoc

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

// createRecord makes the file of a line for every request; nil for no file.
func createRecord(file string, plan load.Plan) (*evidence.SampleWriter, error) {
	if file == "" {
		return nil, nil
	}
	record, err := evidence.CreateSamples(file, routeNames(plan), load.Shards(plan), math.MaxInt64)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return record, nil
}

// routeNames are what a record calls the routes: "load", or their numbers in a
// file. Names of requests may hold what a CSV must not.
func routeNames(p load.Plan) []string {
	if len(p.Routes) == 1 {
		return []string{"load"}
	}
	names := make([]string, len(p.Routes))
	for i := range names {
		names[i] = strconv.Itoa(i + 1)
	}
	return names
}

// createHlog makes a histogram log; nil for no file.
func createHlog(name string, start time.Time) (*hist.LogFile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := input.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--hlog: %w", err)
	}
	return hist.NewLogFile(f, start, "stormctl load"), nil
}

func writeHlog(log *hist.LogFile, from, to time.Duration, times *hist.Set) {
	if log != nil { // it costs something to add the routes up
		log.Write(from, to, hist.Tagged{Tag: "response", Histogram: times.AllResponse()},
			hist.Tagged{Tag: "service", Histogram: times.AllService()}, hist.Tagged{Tag: "send_lag", Histogram: times.Lag})
	}
}
