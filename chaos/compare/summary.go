package compare

import (
	"math"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// Summary is one run in a few figures, over all of its routes.
type Summary struct {
	Dir      string            `json:"dir"`
	Started  time.Time         `json:"started"`
	Seed     uint64            `json:"seed"`
	Seconds  Number            `json:"duration_s"`
	Requests uint64            `json:"requests"`
	Healthy  bool              `json:"harness_healthy"`
	Pressure Number            `json:"cpu_pressure"`  // of the worst second; -1 is unknown
	Metrics  map[string]Number `json:"metrics"`       // by name, in their units
	CPU      map[string]Number `json:"cpu,omitempty"` // by target, in ms per request
}

func summary(r Run) Summary {
	s := Summary{Dir: r.Dir, Started: r.Started, Seed: r.Seed, Seconds: Number(r.Length.Seconds()), Healthy: len(r.Unwell) == 0,
		Pressure: Number(r.Pressure), Metrics: map[string]Number{}}
	all := Block{Times: hist.New()}
	for _, route := range r.Routes {
		all.add(route.whole())
	}
	s.Requests = all.Requests
	for _, m := range ofRoutes {
		s.Metrics[m.name] = Number(m.of(all, r.Length))
	}
	for target, used := range r.CPU {
		if s.CPU == nil {
			s.CPU = map[string]Number{}
		}
		s.CPU[target] = Number(math.NaN())
		if n := r.requests(); n > 0 {
			s.CPU[target] = Number(float64(used) / float64(time.Millisecond) / float64(n))
		}
	}
	return s
}
