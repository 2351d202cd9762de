package rollup

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

// beside is the end of the name of a file that is written anew.
const beside = ".new"

// rollTicks merges the seconds of a segment into steps.
func rollTicks(folder *os.Root, name string, step time.Duration) error {
	return replace(folder, name, func(in *os.File, w io.Writer) error {
		var open *evidence.Tick
		var last, bucket time.Duration
		var wrong error
		put := func() {
			if open == nil || wrong != nil {
				return
			}
			line, err := json.Marshal(evidence.Event{At: evidence.Seconds(open.At), Kind: evidence.KindTick, Tick: open})
			if err == nil {
				_, err = w.Write(append(line, '\n'))
			}
			wrong, open = err, nil
		}
		err := evidence.ReadTicks(in, func(e evidence.Event) {
			if e.Kind != evidence.KindTick || e.Tick == nil {
				return
			}
			t, at := *e.Tick, e.At.Duration()
			t.At = at
			length := t.Longest.Duration()
			if length == 0 {
				length = min(at-last, at) // since the one before, the first of all at 0
				if last == 0 {
					length = min(at, time.Second)
				}
			}
			last = at
			if b := middle(at) / step; open == nil || b != bucket {
				put()
				t.Longest = evidence.Seconds(length)
				open, bucket = &t, b
			} else {
				open.Merge(&t, length)
			}
		})
		put()
		return errors.Join(err, wrong)
	})
}

// middle is in the second that ends at a time: it ends some milliseconds late.
func middle(at time.Duration) time.Duration { return max(0, at-time.Second/2) }

// rollLog merges the intervals of a segment's histogram log into steps.
func rollLog(folder *os.Root, name string, started time.Time, step time.Duration) error {
	return replace(folder, name, func(in *os.File, w io.Writer) error {
		out, err := hist.NewLogWriter(w, started, "stormctl")
		if err != nil {
			return err
		}
		m := merging{sums: map[string]*hist.Histogram{}}
		for i, err := range hist.NewLogReader(in).Lines() {
			if err != nil {
				return err
			}
			if b := middle(i.To) / step; b != m.bucket {
				if err := m.put(out); err != nil {
					return err
				}
				m.bucket = b
			}
			if err := m.add(i); err != nil {
				return err
			}
		}
		return m.put(out)
	})
}

// merging is what comes together in one step of a log.
type merging struct {
	bucket   time.Duration
	from, to time.Duration
	tags     []string // in the order in which they came
	sums     map[string]*hist.Histogram
	any      bool
}

func (m *merging) add(i *hist.LogLine) error {
	if !m.any {
		m.any, m.from = true, i.From
	}
	m.from, m.to = min(m.from, i.From), max(m.to, i.To)
	sum := m.sums[i.Tag]
	if sum == nil {
		sum = hist.New()
		m.sums[i.Tag] = sum
		m.tags = append(m.tags, i.Tag)
	}
	return i.AddTo(sum)
}

func (m *merging) put(out *hist.LogWriter) error {
	var all []hist.Tagged
	for _, tag := range m.tags {
		if h := m.sums[tag]; h.Count() > 0 {
			all = append(all, hist.Tagged{Tag: tag, Histogram: h})
		}
	}
	var err error
	if len(all) > 0 {
		err = out.Write(m.from, m.to, all...)
	}
	for _, h := range m.sums {
		h.Reset()
	}
	m.any, m.to = false, 0
	return err
}

// replace writes a file of the folder anew beside, of what is in it, and puts it in its
// place once it is whole and on the disk. A file that is not there stays so.
func replace(folder *os.Root, name string, write func(*os.File, io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("roll up %s: %w", name, err)
		}
	}()
	in, err := input.OpenIn(folder, name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := input.OpenIn(folder, name+beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 1<<16)
	err = write(in, w)
	if err = errors.Join(err, w.Flush(), out.Sync(), out.Close()); err == nil {
		err = folder.Rename(name+beside, name)
	}
	if err != nil {
		_ = folder.Remove(name + beside) // the old one is still there
	}
	return err
}

// tidy removes what a roll-up that was killed left behind.
func tidy(folder *os.Root) {
	left, _ := fs.ReadDir(folder.FS(), ".") // one that is not seen keeps its file from being rolled up, which is told
	for _, e := range left {
		if strings.HasSuffix(e.Name(), beside) {
			_ = folder.Remove(e.Name())
		}
	}
}
