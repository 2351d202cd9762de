package evidence

import (
	"slices"
	"strings"
)

// Where arrivals come from several regions, each kind of request is recorded as a route
// of each of them: buy@eu, buy@us. So whatever is counted, timed or drawn by route is so
// by region too. No name that a file gives has the mark in it.
const regionMark = "@"

// FromRegion is the route that requests of a kind from a region are recorded as.
func FromRegion(route, region string) string { return route + regionMark + region }

// SplitRoute is the kind of a route's requests and the region that they are from; ""
// where there are no regions.
func SplitRoute(name string) (kind, region string) {
	kind, region, _ = strings.Cut(name, regionMark)
	return kind, region
}

// Selects reports whether a claim or a limit on one name is about a route: the route's
// own name, buy@eu; its kind, buy, from all regions; or its region, @eu, of every kind.
func Selects(name, route string) bool {
	kind, region := SplitRoute(route)
	switch {
	case name == "":
		return false
	case name == route:
		return true
	case region == "":
		return false
	}
	return name == kind || name == regionMark+region
}

// Regions are those that arrivals came from, in the order of the routes; nil if it was
// one place.
func (r *Run) Regions() (all []string) {
	for _, route := range r.Routes {
		if _, region := SplitRoute(route); region != "" && !slices.Contains(all, region) {
			all = append(all, region)
		}
	}
	return all
}

// Owns returns whether the requests of the route with an index are meant by a name, as
// Selects has it.
func (r *Run) Owns(name string) func(route int) bool {
	owned := make([]bool, len(r.Routes))
	for i, route := range r.Routes {
		owned[i] = Selects(name, route)
	}
	return func(route int) bool { return route >= 0 && route < len(owned) && owned[route] }
}

// severalRoutes is the key of what several routes have in Samples.
type severalRoutes struct{ name string }

// merged is where in Samples the requests of several routes are, in their order there.
func (r *Run) merged(name string, lists [][]int32) []int32 {
	type of struct {
		first *int32
		n     int
	}
	total := of{}
	for _, list := range lists {
		if len(list) > 0 {
			total = of{&list[0], total.n + len(list)}
		}
	}
	return Memoized(r, severalRoutes{name}, total, func() []int32 {
		all := slices.Concat(lists...)
		slices.Sort(all)
		return all
	})
}
