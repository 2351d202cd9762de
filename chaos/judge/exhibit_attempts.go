package judge

import "fmt"

// attemptCounts counts calls by their attempts. A bound of nil was not claimed.
func attemptCounts(all *calls, link, part string, allowed *Bound) Exhibit {
	if all.len() == 0 {
		return Exhibit{}
	}
	shown := Attempts{Link: link, Requests: []int{}, Allowed: allowed}
	most := 0
	from := int32(0)
	for _, end := range all.ends {
		n := int(end - from)
		from, most = end, max(most, n)
		if n > MaxBins {
			shown.More++
			continue
		}
		for len(shown.Requests) < n {
			shown.Requests = append(shown.Requests, 0)
		}
		shown.Requests[n-1]++
	}
	shown.PerCall = float64(len(all.attempts)) / float64(all.len())
	return Exhibit{Kind: KindAttempts, Part: part, Attempts: &shown,
		Title: fmt.Sprintf("%s on %q took %.2f attempts on average, %d at the most", were(all.len(), "call", "calls"), link,
			shown.PerCall, most)}
}

// attemptCounts is about the first of the keys that bound them.
func (c Retry) attemptCounts(all *calls) Exhibit {
	var allowed *Bound
	if c.Attempts > 0 {
		allowed = counted.inFile(atMost(c.Attempts))
	}
	part := "retried"
	for _, of := range []struct {
		part    string
		claimed bool
	}{{"attempts", c.Attempts > 0}, {"at_least", c.AtLeast > 0}, {"budget", c.Budget > 0}, {"amplification", c.Amplification > 0}} {
		if of.claimed {
			part = of.part
			break
		}
	}
	return attemptCounts(all, c.Link.String(), part, allowed)
}
