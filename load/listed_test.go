package load

import (
	"iter"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/load/arrivals"
)

// together is n arrivals that are all due at once.
func together(n int) arrivals.Schedule { return listed(make([]time.Duration, n)) }

type listed []time.Duration

func (l listed) Arrivals() iter.Seq[time.Duration] { return slices.Values(l) }

func (l listed) Rate(time.Duration) rate.Limit { return 0 }

func (l listed) Duration() time.Duration { return l[len(l)-1] + 1 }
