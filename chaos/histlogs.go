package chaos

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

const (
	// Tags of front.hlog beside the routes' names, which have no slash.
	lagTag        = "/send_lag"
	serviceSuffix = "/service"
)

// histLogs is what the histogram logs of a run directory have.
type histLogs struct {
	times *hist.Set                  // of the whole run, routes in their order; what it had not come to is nil
	view  *series.View               // nil if there were no seconds, or for why
	links map[string]*hist.Histogram // how long exchanges took, of a soak; nil otherwise
	why   error                      // a log of a link cannot be read, or one is in disorder; without the routes' there is no result
}

// readLogs reads each log once, in memory that does not grow with them.
func readLogs(dir string, run *evidence.Run, verdicts []judge.Verdict) (*histLogs, error) {
	path := filepath.Join(dir, routeLog)
	file, err := openLog(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	log, totals := hist.NewLogReader(file), map[string]*hist.Histogram{}
	var failed error
	routes := func(yield func(*hist.LogLine, error) bool) {
		for i, err := range log.Lines() {
			if err == nil {
				if totals[i.Tag] == nil {
					totals[i.Tag] = hist.New()
				}
				err = i.AddTo(totals[i.Tag])
			}
			if err != nil {
				failed = fmt.Errorf("read %s: %w", path, err)
			}
			if !yield(i, err) || err != nil {
				return
			}
		}
	}
	seen := &histLogs{}
	faults := run.Faults
	if run.Soak {
		faults, seen.links = run.Rounds, map[string]*hist.Histogram{}
	}
	seen.view, seen.why = series.Build(series.Source{
		Routes: run.Routes, Links: slices.Sorted(maps.Keys(run.Links)), Faults: faults, Gaps: run.Gaps, End: run.End,
		Proofs: proofs(run, verdicts),
		Ticks:  ticks(run), Unwell: run.Unwell, RouteTimes: routes,
		LinkTimes: func(link string) iter.Seq2[*hist.LogLine, error] {
			return seen.summed(link, logLines(filepath.Join(dir, linkLog(link))))
		},
	})
	if failed == nil {
		routes(func(*hist.LogLine, error) bool { return true }) // the rest, where series end before it
	}
	if failed != nil {
		return nil, failed
	}
	seen.times = &hist.Set{Lag: totals[lagTag]}
	for _, name := range run.Routes {
		seen.times.Response = append(seen.times.Response, totals[name])
		seen.times.Service = append(seen.times.Service, totals[name+serviceSuffix])
	}
	return seen, nil
}

// addTo puts the run over its length into a result.
func (l *histLogs) addTo(r *result.Result, dir string) {
	r.Dir, r.Series = dir, l.view
	if l.why != nil {
		r.Notes = append(r.Notes, "there is nothing to draw over time: "+l.why.Error())
	}
}

// summed adds up the intervals of a link, where that is wanted, as they go by.
func (l *histLogs) summed(link string, all iter.Seq2[*hist.LogLine, error]) iter.Seq2[*hist.LogLine, error] {
	if l.links == nil {
		return all
	}
	return func(yield func(*hist.LogLine, error) bool) {
		sum := hist.New()
		l.links[link] = sum
		for i, err := range all {
			if err == nil {
				err = i.AddTo(sum)
			}
			if !yield(i, err) {
				return
			}
		}
	}
}

// soakLog is what the names of the segments of a histogram log end in.
func soakLog(name string) string { return "-" + name }

func soakLogs(h evidence.Header) []string {
	all := []string{soakLog(routeLog)}
	for i := range h.Links {
		all = append(all, soakLog(linkLog(h.Links[i].Name)))
	}
	return all
}

// openLog opens a histogram log, or the segments that a soak has in its place. One that
// is not there is empty: the run was killed before its first interval.
func openLog(path string) (io.ReadCloser, error) {
	dir, name := filepath.Split(path)
	f, err := input.OpenBelow(dir, name)
	if !os.IsNotExist(err) {
		return f, err
	}
	names, err := evidence.Segments(filepath.Clean(dir), soakLog(name))
	if os.IsNotExist(err) {
		err = nil
	}
	return &segments{dir: dir, names: names}, err
}

// segments are those of a histogram log of a soak, one after the other; none is empty.
type segments struct {
	dir   string
	names []string // of those that were not opened yet
	open  io.ReadCloser
}

func (s *segments) Read(p []byte) (int, error) {
	for {
		if s.open == nil {
			if len(s.names) == 0 {
				return 0, io.EOF
			}
			f, err := input.OpenBelow(s.dir, s.names[0])
			if err != nil {
				return 0, err
			}
			s.open, s.names = f, s.names[1:]
		}
		n, err := s.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := s.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

func (s *segments) Close() error {
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	return err
}

// logLines are those of a log, which is opened for them.
func logLines(path string) iter.Seq2[*hist.LogLine, error] {
	return func(yield func(*hist.LogLine, error) bool) {
		f, err := openLog(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		for i, err := range hist.NewLogReader(f).Lines() {
			if err != nil {
				err = &fs.PathError{Op: "read", Path: path, Err: err}
			}
			if !yield(i, err) {
				return
			}
		}
	}
}

func ticks(run *evidence.Run) iter.Seq2[int, *evidence.Tick] {
	return func(yield func(int, *evidence.Tick) bool) {
		for i := range run.Ticks {
			if !yield(i, &run.Ticks[i]) {
				return
			}
		}
	}
}

// proofs are when the calls were due that prove a refutation.
func proofs(run *evidence.Run, verdicts []judge.Verdict) (due []time.Duration) {
	for _, v := range verdicts {
		if v.Ruling != judge.Refuted {
			continue
		}
		for _, id := range v.IDs {
			if s, ok := run.Sample(id); ok {
				due = append(due, s.Intended)
			}
		}
	}
	return due
}
