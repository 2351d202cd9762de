package arrivals

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// maxReplay is how long after the start an arrival of a file may be due: what is
// later is a mistake, like seconds since 1970.
const maxReplay = 366 * 24 * time.Hour

// Replay has its arrivals at given times, counted from the start of the load: in
// order, none negative. It keeps times, which must not change any more.
//
// Its rate is the number of arrivals in each second, and it lasts to the end of
// the second that has the last one.
func Replay(times []time.Duration) (Schedule, error) {
	for i, t := range times {
		if t < 0 || i > 0 && t < times[i-1] {
			return nil, fmt.Errorf("replay: arrival %d at %v is out of order", i, t)
		}
	}
	return replay(times), nil
}

type replay []time.Duration

func (r replay) Arrivals() iter.Seq[time.Duration] { return slices.Values(r) }

func (r replay) Duration() time.Duration {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].Truncate(time.Second) + time.Second
}

func (r replay) Rate(t time.Duration) rate.Limit {
	if t < 0 {
		return 0
	}
	before := func(t time.Duration) int { return sort.Search(len(r), func(i int) bool { return r[i] >= t }) }
	second := t.Truncate(time.Second)
	return rate.Limit(before(second+time.Second) - before(second))
}

func (r replay) stripe(k, n int) Cursor { return &replayCursor{times: r, i: k, n: n} }

type replayCursor struct {
	times []time.Duration
	i, n  int
}

func (c *replayCursor) Next() (time.Duration, bool) {
	if c.i >= len(c.times) {
		return 0, false
	}
	t := c.times[c.i]
	c.i += c.n
	return t, true
}

// ReadTimes reads the arrivals for Replay, one in a line and in order: seconds
// since the start (0.25), durations since the start (250ms), or timestamps (RFC
// 3339), of which the first is the start. A file has one of these kinds. Blank
// lines and lines that begin with # are left out. An error names the line.
func ReadTimes(r io.Reader) ([]time.Duration, error) {
	var times []time.Duration
	var parse func(string) (time.Duration, error)
	in := bufio.NewScanner(r)
	line := 0
	for in.Scan() {
		line++
		text := strings.TrimSpace(in.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if parse == nil {
			parse = timeParser(text)
		}
		t, err := parse(text)
		switch n := len(times); {
		case err != nil:
		case t < 0 && n == 0:
			err = fmt.Errorf("%q is before the start", text)
		case n > 0 && t < times[n-1]:
			err = fmt.Errorf("%q is before the line above it: times must be in order", text)
		case t > maxReplay:
			err = fmt.Errorf("%q is more than a year after the start; timestamps are written like 2026-11-24T03:00:00Z", text)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		times = append(times, t)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", line+1, err)
	}
	if len(times) == 0 {
		return nil, errors.New("there are no times")
	}
	return times, nil
}

// timeParser is what reads times of the same kind as the first.
func timeParser(first string) func(string) (time.Duration, error) {
	if start, err := time.Parse(time.RFC3339Nano, first); err == nil {
		return func(text string) (time.Duration, error) {
			t, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return 0, fmt.Errorf("%q is not a timestamp like that of the first line", text)
			}
			return t.Sub(start), nil
		}
	}
	if _, err := time.ParseDuration(first); err == nil && first != "0" {
		return func(text string) (time.Duration, error) {
			t, err := time.ParseDuration(text)
			if err != nil {
				return 0, fmt.Errorf("%q is not a duration like that of the first line", text)
			}
			return t, nil
		}
	}
	return func(text string) (time.Duration, error) {
		s, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(s) {
			return 0, fmt.Errorf("%q is neither seconds like 0.25, a duration like 250ms, nor a timestamp like 2026-11-24T03:00:00Z,"+
				" or not of the kind of the first line", text)
		}
		return time.Duration(math.Round(min(max(s, -1), 2*maxReplay.Seconds()) * 1e9)), nil
	}
}
