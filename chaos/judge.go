package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

// Judge rules on a run directory from what is on disk: right after the run,
// years later, or after a kill -9. The same directory gives the same result.
//
// Each of set, KEY=VALUE like claims[1].breaker.failures=3, changes what is
// claimed before it rules. What the run did cannot be changed any more: another
// key is an error.
func Judge(dir string, set ...string) (*result.Result, error) {
	for _, s := range set {
		if key, _, _ := strings.Cut(s, "="); key != "claims" && !strings.HasPrefix(key, "claims[") {
			return nil, fmt.Errorf("--set %s: the run has been made, and only its claims can be changed: claims[0].steady.p99=50ms, for one", s)
		}
	}
	if err := begun(dir); err != nil {
		return nil, err
	}
	run, err := evidence.Read(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ExperimentFile)
	text, err := input.Read(path, experiment.File)
	if err != nil {
		return nil, err
	}
	x, err := experiment.Parse(path, text, experiment.Options{Set: set})
	if err != nil {
		return nil, err
	}
	times, err := frontTimes(dir, run.Routes)
	if err != nil {
		return nil, err
	}
	r := result.Of(x, run, times)
	r.Dir = dir
	return r, nil
}

// frontTimes reads the histograms of the front, those of routes in their order.
// What the run had not come to is nil.
func frontTimes(dir string, routes []string) (*hist.Set, error) {
	log, err := readLog(filepath.Join(dir, frontLog))
	if err != nil {
		return nil, err
	}
	times := &hist.Set{Lag: log[lagTag]}
	for _, name := range routes {
		times.Response, times.Service = append(times.Response, log[name]), append(times.Service, log[name+serviceSuffix])
	}
	return times, nil
}

func readLog(path string) (map[string]*hist.Histogram, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil // killed before the first interval
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	log, err := hist.ReadLog(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return log.Histograms, nil
}
