package reports

import (
	"math"
	"strings"

	"github.com/stormctl/stormctl/chaos/series"
)

// sparkColumns is how many characters a line is drawn in at most.
const sparkColumns = 60

// marks are the heights of a column. They are those that look alike in the fonts
// of browsers: the others of the row stand off the line in some.
var marks = []rune("▁▂▃▅▇")

// nothing stands where there was nothing to measure.
const nothing = '·'

// Sparkline draws values, of which NaN is none, from 0 to the largest. What is
// more than 0 never looks like 0.
func Sparkline(values []float64) string {
	_, most := extremes(values)
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			b.WriteRune(nothing)
		case v <= 0:
			b.WriteRune(marks[0])
		default:
			b.WriteRune(marks[min(len(marks)-1, 1+int(v/most*float64(len(marks)-1)))])
		}
	}
	return b.String()
}

// extremes are the least and the most of values that are any; NaN if none is.
func extremes(values []float64) (least, most float64) {
	least, most = math.NaN(), math.NaN()
	for _, v := range values {
		switch {
		case math.IsNaN(v):
		case math.IsNaN(least):
			least, most = v, v
		default:
			least, most = math.Min(least, v), math.Max(most, v)
		}
	}
	return least, most
}

// course is a series in few enough columns to be drawn as lines. Rates are those of
// all that a column is of; the p99 is the highest of the percentiles in it, which
// are not averaged.
type course struct {
	rate   []float64 // requests that ended, per second
	errors []float64 // of them not ok, per second
	p99    []float64 // milliseconds; NaN where nothing ended
}

// courseOf is nil where nothing was kept over the length of the run.
func courseOf(view *series.View) *course {
	if view == nil || view.Whole == nil || len(view.Whole.Ended) == 0 {
		return nil
	}
	s := view.Whole
	n := len(s.Ended)
	each := (n + sparkColumns - 1) / sparkColumns
	c := &course{}
	for from := 0; from < n; from += each {
		to := min(n, from+each)
		var ended, ok uint64
		p99 := math.NaN()
		for i := from; i < to; i++ {
			ended += s.Ended[i]
			ok += countAt(s.Outcomes["ok"], i)
			if i < len(s.Response.P99) && s.Response.P99[i] != nil && !(*s.Response.P99[i] <= p99) {
				p99 = *s.Response.P99[i]
			}
		}
		begin := s.From.Duration().Seconds() + float64(from*s.Step)
		length := math.Min(float64((to-from)*s.Step), s.To.Duration().Seconds()-begin)
		if length <= 0 {
			break // nothing of it is within the run
		}
		c.rate = append(c.rate, float64(ended)/length)
		c.errors = append(c.errors, float64(ended-min(ok, ended))/length)
		c.p99 = append(c.p99, p99)
	}
	return c
}

func countAt(list []uint64, i int) uint64 {
	if i < len(list) {
		return list[i]
	}
	return 0
}
