//go:build unix

package chaos

import (
	"os"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// splitSteps has the steps of routes recorded apart from them, as if each were a
// route: they have their own times, and their own calls behind the system. It
// must be called before anything is observed.
func (rec *recorder) splitSteps(routes []load.Route) {
	for _, r := range routes {
		rec.rows = append(rec.rows, len(rec.steps))
		rec.steps = append(rec.steps, false)
		for range r.Then {
			rec.steps = append(rec.steps, true)
		}
	}
}

// openValues makes the file of values for a load that has to do with data.
func (rec *recorder) openValues(shards int) (err error) {
	if len(rec.header.Access) == 0 {
		return nil
	}
	rec.access = make([]bool, len(rec.header.Routes))
	for _, a := range rec.header.Access {
		rec.access[slices.Index(rec.header.Routes, a.Route)] = true
	}
	rec.values, err = made(rec.root, evidence.ValuesFile, func(f *os.File) (*evidence.ValueWriter, error) {
		return evidence.ValuesIn(f, shards, evidence.MaxFileSize)
	})
	return err
}

// keepValue is what the load tells of values: that of a request comes right before
// its sample.
func (rec *recorder) keepValue(shard int, _, key, value uint64) { rec.values.Keep(shard, key, value) }

// withRow gives a step the place of its own.
func (rec *recorder) withRow(s load.Sample) load.Sample {
	if rec.rows != nil {
		s.Route = rec.rows[s.Route] + s.Step
	}
	return s
}
