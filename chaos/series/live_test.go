package series

import (
	"fmt"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// live gives the seconds of a run to a Live.
func (r *run) live(length time.Duration) *View {
	l := NewLive(r.routes, length)
	from := time.Duration(0)
	for i := range r.ticks {
		tick := r.ticks[i]
		outcomes := make([][load.Outcomes]uint64, len(r.routes))
		times := hist.NewSet(len(r.routes))
		for k, name := range r.routes {
			outcomes[k] = tick.Routes[name]
			times.Response[k].Merge(r.times[i][name])
		}
		l.Add(from, &tick, i%97 == 96, outcomes, times)
		from = tick.At
	}
	return l.View()
}

// A load's columns are what its seconds come to, as those of a run are, whether its
// length is known or comes out.
func TestLive(t *testing.T) {
	for _, row := range []struct {
		seconds int
		length  time.Duration
		step    int
	}{
		{3, 3 * time.Second, 1}, {3, 0, 1}, {1201, 1250 * time.Second, 2},
		{1200, 0, 1}, {1201, 0, 2}, {2500, 0, 4},
	} {
		t.Run(fmt.Sprintf("%d s of %v", row.seconds, row.length), func(t *testing.T) {
			r := randomRun(row.seconds, []string{"pay", "browse"}, nil)
			v := r.live(row.length)
			if n := len(v.Whole.Ended); v.Whole.Step != row.step || n > MaxColumns || v.Whole.To.Duration() != r.ticks[row.seconds-1].At {
				t.Errorf("%d columns of %d s to %v", n, v.Whole.Step, v.Whole.To)
			}
			checkColumns(t, r, v.Whole, 0, row.seconds)
		})
	}
}

// A load that goes on for longer than it should has no column more, and what it did
// is in the last.
func TestLiveThatGoesOn(t *testing.T) {
	r := randomRun(1300, []string{"pay"}, nil)
	s := r.live(1200 * time.Second).Whole
	var want uint64
	for _, tick := range r.ticks {
		want += tick.Ended
	}
	if len(s.Ended) != MaxColumns || total(s.Ended) != want {
		t.Errorf("%d columns with %d requests, want %d with %d", len(s.Ended), total(s.Ended), MaxColumns, want)
	}
}

// Routes beyond those that have rows are counted.
func TestLiveOfManyRoutes(t *testing.T) {
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprint("r", i))
	}
	r := randomRun(5, names, nil)
	for length, rows := range map[time.Duration]int{0: 0, 5 * time.Second: MaxRoutes} {
		if s := r.live(length).Whole; len(s.Routes) != rows || s.OtherRoutes != 60-rows || total(s.Ended) == 0 {
			t.Errorf("length %v: %d routes, %d others", length, len(s.Routes), s.OtherRoutes)
		}
	}
	if v := NewLive(names, 0).View(); v != nil {
		t.Errorf("of no second: %+v", v)
	}
}
