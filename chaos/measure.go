package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/compare"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

// Measure reads of a run directory what comparisons are made of. Its memory grows
// with the length of the run by some kilobytes per ten seconds and route, not with
// its requests.
func Measure(dir string) (*compare.Run, error) {
	if err := begun(dir, goesOn(dir)); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ExperimentFile)
	text, err := input.ReadBelow(dir, ExperimentFile, experiment.File)
	if err != nil {
		return nil, err
	}
	x, err := experiment.Parse(path, text, experiment.Options{})
	if err != nil {
		return nil, err
	}
	seen, err := evidence.ReadTimeline(dir)
	if err != nil {
		return nil, err
	}
	r, err := ruled(dir)
	if err != nil {
		return nil, err
	}
	run := &compare.Run{Dir: dir, Seed: seen.Seed, Started: seen.Started, Length: seen.Load, CPU: seen.CPU, Pressure: r.Harness.Pressure}
	if run.Conditions, err = Conditions(x); err != nil {
		return nil, err
	}
	run.Conditions = append(run.Conditions, machine(seen)...)
	run.Conditions = append(run.Conditions, compare.Condition{Name: "schema", Value: strconv.Itoa(r.Schema)})
	if r.Partial {
		run.Partial = r.Stopped
	}
	run.Unwell, run.Damaged = r.Harness.Problems, undone(seen)
	for _, v := range r.Verdicts {
		run.Claims = append(run.Claims, compare.Claim{Name: cmp.Or(v.Name, v.Kind+": "+v.Claim), Ruling: v.Ruling})
	}
	run.Routes, err = blocks(dir, seen)
	return run, err
}

// ruled is the result in a run directory; of one without a whole one the evidence
// is judged.
func ruled(dir string) (*result.Result, error) {
	text, err := input.ReadBelow(dir, result.File, input.Result)
	if err == nil {
		var r result.Result
		if json.Unmarshal(text, &r) == nil {
			return &r, nil
		}
	}
	return Judge(dir)
}

// Conditions are what two runs of an experiment must have in common, but for the
// machine, to be compared: the load with its routes, the faults, the links. What a
// target is made of is left out: that is what differs.
func Conditions(x *experiment.Experiment) ([]compare.Condition, error) {
	text, err := strict.Marshal(&x.Load)
	if err != nil {
		return nil, err
	}
	all := sections("load.", string(text))
	faults := struct {
		Chaos []experiment.Event `yaml:"chaos"`
	}{x.Chaos}
	if text, err = strict.Marshal(&faults); err != nil {
		return nil, err
	}
	links := strings.Join(slices.Sorted(maps.Keys(x.Links)), ", ")
	return append(all, compare.Condition{Name: "chaos", Value: strings.TrimPrefix(string(text), "chaos:")},
		compare.Condition{Name: "links", Value: links}), nil
}

// sections are the keys at the top of a document, each with all that is below it.
func sections(prefix, text string) (all []compare.Condition) {
	for line := range strings.Lines(text) {
		if line[0] == ' ' || line[0] == '-' || line[0] == '\n' {
			if n := len(all); n > 0 {
				all[n-1].Value += line
			}
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		all = append(all, compare.Condition{Name: prefix + key, Value: strings.TrimLeft(value, " ")})
	}
	return all
}

// machine is what a run was made on. What one of an earlier version did not record
// is not known.
func machine(run *evidence.Run) []compare.Condition {
	cores := ""
	if len(run.Ticks) > 0 && run.Ticks[0].Cores > 0 {
		cores = strconv.Itoa(run.Ticks[0].Cores)
	}
	return []compare.Condition{{Name: "cores", Value: cores}, {Name: "host", Value: run.Host}}
}

// undone are the problems of a harness that are no matter of when it did
// something: it did not do it, or did not record it.
func undone(run *evidence.Run) (texts []string) {
	for _, p := range run.Problems(0, run.End) {
		switch p.Trouble {
		case load.TroubleLost, load.TroubleStarved, load.TroubleUnsent, load.TroubleLimited, load.TroubleFew:
			texts = append(texts, p.Text)
		}
	}
	return texts
}

// blocks are what callers got, in blocks of compare.BlockLength. What ended after
// the last arrival was due is in the last one.
func blocks(dir string, run *evidence.Run) ([]compare.Route, error) {
	length := compare.BlockLength(run.Load)
	n := max(1, int((run.Load+length-1)/length))
	routes := make([]compare.Route, len(run.Routes))
	index := map[string]int{}
	for i, name := range run.Routes {
		index[name] = i
		routes[i] = compare.Route{Name: name, Blocks: make([]compare.Block, n)}
		for k := range routes[i].Blocks {
			from := time.Duration(k) * length
			routes[i].Blocks[k] = compare.Block{From: from, To: min(from+length, run.Load)}
		}
	}
	at := func(route string, end time.Duration) *compare.Block {
		i, known := index[route]
		if !known {
			return nil
		}
		// A second is closed soon after its end, and the last one before.
		return &routes[i].Blocks[min(n-1, int(max(0, end-time.Second/2)/length))]
	}
	for _, t := range run.Ticks {
		for name, outcomes := range t.Routes {
			b := at(name, t.At)
			if b == nil {
				continue
			}
			for _, count := range outcomes {
				b.Requests += count
			}
			b.OK += outcomes[load.OK]
		}
	}
	for i, err := range logLines(filepath.Join(dir, routeLog)) { // what is left of a line that a kill cut short is left out
		if err != nil {
			return nil, err
		}
		b := at(i.Tag, i.To)
		if b == nil {
			continue
		}
		if b.Times == nil {
			b.Times = hist.New()
		}
		if err := i.AddTo(b.Times); err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, routeLog), err)
		}
	}
	return routes, nil
}
