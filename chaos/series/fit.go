package series

import (
	"encoding/json"
	"slices"
)

// windowBytes is what the whole run leaves of MaxBytes to its windows, if they need it.
const windowBytes = MaxBytes / 10 * 4

// fit takes rows away until a view has at most MaxBytes: first those of the whole run,
// of whichever list is longer; then those of the windows, which the whole has too; then
// windows from the end. Of rows the one with the least goes.
func fit(v *View, on func(fault int) string) {
	room := MaxBytes - bytesOf(v.Phases)
	total := 0
	sizes := make([]int, len(v.Windows))
	for i := range v.Windows {
		sizes[i] = bytesOf(&v.Windows[i]) + 1
		total += sizes[i]
	}
	for size := bytesOf(v.Whole); size > room-min(total, windowBytes) && len(v.Whole.Routes)+len(v.Whole.Links) > 0; {
		if len(v.Whole.Routes) >= len(v.Whole.Links) {
			size -= v.Whole.dropRoute()
		} else {
			size -= v.Whole.dropLink("")
		}
	}
	room -= bytesOf(v.Whole)
	for rows := WindowRows; rows > 0; rows-- {
		for i := range v.Windows {
			if w := v.Windows[i].Series; len(w.Routes) >= rows && total > room {
				dropped := w.dropRoute()
				sizes[i], total = sizes[i]-dropped, total-dropped
			}
		}
		for i := range v.Windows {
			if w := v.Windows[i].Series; len(w.Links) >= rows && total > room {
				dropped := w.dropLink(on(v.Windows[i].Index))
				sizes[i], total = sizes[i]-dropped, total-dropped
			}
		}
	}
	for n := len(v.Windows); n > 0 && total > room; n-- {
		total -= sizes[n-1]
		v.Windows = v.Windows[:n-1]
	}
}

func bytesOf(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return 0 // what writes it says so
	}
	return len(text)
}

// dropRoute takes away the route with the fewest requests, and returns the bytes that
// it had, give or take a comma.
func (s *Series) dropRoute() int {
	at := fewest(len(s.Routes), func(i int) []uint64 { return s.Routes[i].Ended })
	bytes := bytesOf(&s.Routes[at])
	s.Routes = slices.Delete(s.Routes, at, at+1)
	s.OtherRoutes++
	return bytes
}

// dropLink does the same of links, and keeps the one that a fault is on until there is
// no other.
func (s *Series) dropLink(on string) int {
	at := fewest(len(s.Links), func(i int) []uint64 {
		if s.Links[i].Name == on {
			return nil
		}
		return s.Links[i].Ended
	})
	bytes := bytesOf(&s.Links[at])
	s.Links = slices.Delete(s.Links, at, at+1)
	s.OtherLinks++
	return bytes
}

// fewest is the last of n rows of the smallest sum; a nil one is more than any.
func fewest(n int, row func(i int) []uint64) (at int) {
	least := ^uint64(0)
	for i := range n {
		sum := ^uint64(0)
		if list := row(i); list != nil {
			sum = 0
			for _, v := range list {
				sum += v
			}
		}
		if sum <= least {
			at, least = i, sum
		}
	}
	return at
}
