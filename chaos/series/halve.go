package series

import "github.com/stormctl/stormctl/load/hist"

// halve makes one column of each two, in columns whose spreads keep what they saw: of
// a load that nobody knows the length of.
func (c *columns) halve() {
	c.step *= 2
	c.series.Step *= 2
	c.count = (c.count + 1) / 2
	s := c.series
	sums := []*[]uint64{&s.Offered, &s.Ended, &s.Unsent}
	for o := range c.outcomes {
		sums = append(sums, &c.outcomes[o])
	}
	spreads := []*spread{&c.response}
	for i := range s.Routes {
		sums = append(sums, &s.Routes[i].Ended, &s.Routes[i].Bad)
		spreads = append(spreads, &c.routes[i])
	}
	for _, list := range sums {
		*list = halved(*list, func(a, b uint64) uint64 { return a + b })
	}
	h := &s.Harness
	for _, list := range []*[]float64{&h.LagP99, &h.LagMax, &h.Hiccup, &h.Pressure, &h.CPU} {
		*list = halved(*list, func(a, b float64) float64 { return max(a, b) })
	}
	h.Lost = halved(h.Lost, func(a, b uint64) uint64 { return max(a, b) })
	h.Unwell = halved(h.Unwell, func(a, b bool) bool { return a || b })
	for _, s := range spreads {
		s.halve()
	}
}

func (s *spread) halve() {
	s.close()
	s.at /= 2
	s.kept = halved(s.kept, func(a, b *hist.Histogram) *hist.Histogram {
		switch {
		case a == nil:
			return b
		case b != nil:
			a.Merge(b)
		}
		return a
	})
	*s.into = Percentiles{}
	for i, h := range s.kept {
		if h != nil {
			s.set(i, h)
		}
	}
}

func halved[T any](list []T, join func(a, b T) T) []T {
	for i, v := range list {
		if i%2 == 0 {
			list[i/2] = v
		} else {
			list[i/2] = join(list[i/2], v)
		}
	}
	return list[:(len(list)+1)/2]
}
