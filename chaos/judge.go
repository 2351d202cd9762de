package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

// Judge rules on a run directory from what is on disk: right after the run,
// years later, or after a kill -9. The same directory gives the same result. Of
// a run that goes on it is what there is so far, and says so.
//
// Each of set, KEY=VALUE like claims[1].breaker.failures=3, changes what is
// claimed before it rules. What the run did cannot be changed any more: another
// key is an error.
func Judge(dir string, set ...string) (*result.Result, error) {
	for _, s := range set {
		if key, _, _ := strings.Cut(s, "="); key != "claims" && !strings.HasPrefix(key, "claims[") {
			return nil, fmt.Errorf("--set %s: the run has been made, and only its claims can be changed: "+
				"claims[0].steady.p99=50ms, for one", s)
		}
	}
	live := goesOn(dir) // looked at before the evidence: a run that ends meanwhile has its end in it
	if err := begun(dir, live); err != nil {
		return nil, err
	}
	r, err := judgeDir(dir, set, live)
	if err == nil && live && r.Stopped == evidence.Killed {
		r.Stopped = result.GoesOn
	}
	return r, err
}

// judgeDir rules on a run directory, whose run goes on or does not.
func judgeDir(dir string, set []string, goesOn bool) (*result.Result, error) {
	if chapters.Is(dir) {
		return judgeSoak(dir, set, true, goesOn)
	}
	return judgeRun(dir, set)
}

// judgeRun is judgeRecords where no load goes on beside it.
func judgeRun(dir string, set []string) (*result.Result, error) {
	run, x, err := readRun(dir, set)
	if err != nil {
		return nil, err
	}
	defer collectOften()()
	return rule(dir, run, x)
}

// judgeGarbage is how much garbage there may be beside what is in use, in percent, while a run is ruled on by itself. In use are
// its records, most of all, which stay to the end: by default as much again may be garbage before any is collected. It saves 150 MiB
// and costs a tenth of the time where there are a million requests and two million calls (docs/rulings.md).
const judgeGarbage = 5

// often is who has the garbage collected often, and the percentage that was before.
var often struct {
	sync.Mutex
	users, before int
}

// collectOften has the garbage collected often until what it returns is called. Who sets GOGC knows better.
func collectOften() (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	often.Lock()
	defer often.Unlock()
	if often.users++; often.users == 1 {
		often.before = debug.SetGCPercent(judgeGarbage)
	}
	return func() {
		often.Lock()
		defer often.Unlock()
		if often.users--; often.users == 0 {
			debug.SetGCPercent(often.before)
		}
	}
}

// judgeRecords rules on the records of a run, or of a chapter.
func judgeRecords(dir string, set []string) (*result.Result, error) {
	run, x, err := readRun(dir, set)
	if err != nil {
		return nil, err
	}
	return rule(dir, run, x)
}

// rule rules on a run that was read from dir.
func rule(dir string, run *evidence.Run, x *experiment.Experiment) (*result.Result, error) {
	verdicts := result.Verdicts(x, run)
	seen, err := readLogs(dir, run, verdicts)
	if err != nil {
		return nil, err
	}
	r := result.Of(x, run, verdicts, seen.times)
	seen.addTo(r, dir)
	return r, nil
}

// readRun reads what a run directory has of a run, and its experiment with claims as
// set says.
func readRun(dir string, set []string) (*evidence.Run, *experiment.Experiment, error) {
	run, err := evidence.Read(dir)
	if err != nil {
		return nil, nil, err
	}
	x, err := readExperiment(dir, set)
	if err != nil {
		return nil, nil, err
	}
	if claimsReplaced(set) {
		run.ClaimLines = nil // they are other claims, which no line of the file has
	}
	return run, x, nil
}

// ErrNotSealed says that a run directory has no result, with which the chain over its
// files would be: its run was killed, or somebody removed it.
var ErrNotSealed = errors.New("it takes the result that the run wrote")

// Verify compares a run directory with the chain of hashes in its result, which was
// made when the run ended: nil if each file that rulings rest on is the one that the
// run wrote.
func Verify(dir string) error {
	path := filepath.Join(dir, result.File)
	text, err := input.ReadBelow(dir, result.File, input.Result)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("verify %s: %w: %w", dir, ErrNotSealed, err)
	case err != nil:
		return fmt.Errorf("verify %s: %w", dir, err)
	}
	var r result.Result
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return verifyChain(dir, r.Chain)
}
