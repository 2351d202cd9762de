package experiment

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// RegionLoss takes away everything that is labelled with a region, at once: links let
// nothing pass, and the targets' processes stand still, as those of a machine that is
// gone do to whoever calls them.
type RegionLoss struct {
	Region string `yaml:"region"` // As targets and links have it in region:.
}

func (RegionLoss) Required() []string { return []string{"region"} }

// Where is the link or target that the event happens to, or like "region eu", which is
// no name of either.
func (e Event) Where() string {
	if e.RegionLoss != nil {
		return "region " + e.RegionLoss.Region
	}
	return e.On
}

// Destination is the target that a route goes to: the same for all arrivals, then it is under
// the empty name, or one for each region that they come from.
type Destination map[string]string

// Of is the target of arrivals from a region.
func (d Destination) Of(region string) string {
	if all, is := d[""]; is {
		return all
	}
	return d[region]
}

// Targets are those that there are, sorted and each once.
func (d Destination) Targets() []string {
	return slices.Compact(slices.Sorted(maps.Values(d)))
}

// One is the target that all arrivals go to; "" if there are several, or none.
func (d Destination) One() string {
	if all := d.Targets(); len(all) == 1 {
		return all[0]
	}
	return ""
}

// String is like "lb", or "lb-eu from eu, lb-us from us".
func (d Destination) String() string {
	if one := d.One(); one != "" {
		return one
	}
	return unit.List(slices.Sorted(maps.Keys(d)), ", ", func(region string) string { return d[region] + " from " + region })
}

// Regions are those that arrivals come from, sorted; nil if it is one place.
func (l Load) Regions() []string { return slices.Sorted(maps.Keys(l.From)) }

// regionParts is how finely a region's share is told: to a thousandth of a percent.
const regionParts = 100_000

// Parts are those that the regions have of the arrivals, in the order of Regions.
func (l Load) Parts() (parts load.Regions) {
	for _, region := range l.Regions() {
		parts = append(parts, uint64(math.Round(float64(l.From[region])*regionParts)))
	}
	return parts
}

// Sent are the routes as they are sent and recorded: those of the file or, where arrivals
// come from several regions, each of them once for every region, next to each other in the
// order of Regions, with its weight of the arrivals from there.
func (l Load) Sent() []Route {
	if len(l.From) == 0 {
		return l.Routes
	}
	var all []Route
	for _, r := range l.Routes {
		for _, region := range l.Regions() {
			one := r
			one.Name, one.To = evidence.FromRegion(r.Name, region), Destination{"": r.To.Of(region)}
			one.Weight *= float64(l.From[region])
			one.Then = slices.Clone(r.Then)
			for i := range one.Then {
				one.Then[i].Name = evidence.FromRegion(one.Then[i].Name, region)
			}
			all = append(all, one)
		}
	}
	return all
}

// InRegion is what is labelled with a region: targets, and links, which are where the
// target is that they lead to unless they say otherwise. Both are sorted.
func (x *Experiment) InRegion(region string) (targets, links []string) {
	for name, t := range x.Targets {
		if t.Region == region {
			targets = append(targets, name)
		}
	}
	for name, l := range x.Links {
		of := l.Region
		if t := x.Targets[l.To]; of == "" && t != nil {
			of = t.Region
		}
		if of == region {
			links = append(links, name)
		}
	}
	slices.Sort(targets)
	slices.Sort(links)
	return targets, links
}

// AffectedTargets lists the targets that an event happens to: if it is a region_loss, all targets
// of the region.
func (x *Experiment) AffectedTargets(e Event) []string {
	if e.RegionLoss == nil {
		return e.Targets()
	}
	targets, _ := x.InRegion(e.RegionLoss.Region)
	return targets
}

// Clash reports whether two events happen to one target's process, so that they must
// not be in force together: what would be healed first is undefined.
func (x *Experiment) Clash(e, o Event) bool {
	others := x.AffectedTargets(o)
	shared := slices.ContainsFunc(x.AffectedTargets(e), func(name string) bool { return slices.Contains(others, name) })
	return shared && e.onProcess() && o.onProcess()
}

// mostRegions bounds what a result tells apart.
const mostRegions = 32

// from checks where arrivals come from.
func (r *rules) from(l *Load) {
	const at = strict.Path("load.from")
	if !r.Sound(at) {
		return
	}
	switch {
	case len(l.From) == 0:
		r.Wrong(at, "from: is empty", "write it like {eu: 60%, us: 40%}, or remove the key")
		return
	case len(l.From) > mostRegions:
		r.Wrong(at, fmt.Sprintf("from: has %d regions", len(l.From)), fmt.Sprintf("at most %d are told apart", mostRegions))
		return
	}
	sum, readable := 0.0, true
	for _, region := range l.Regions() {
		share := at.Child(region)
		r.name(share, region, r.WrongKey)
		r.positive(share, l.From[region] > 0)
		if !r.Sound(share) || l.From[region] <= 0 {
			readable = false
			continue
		}
		part := float64(l.From[region]) * regionParts
		if math.Abs(part-math.Round(part)) > 1e-6 {
			r.Wrong(share, fmt.Sprintf("%s: a share of arrivals is told to a thousandth of a percent", region), "")
			readable = false
		}
		sum += float64(l.From[region])
	}
	if readable && math.Abs(sum-1) > 1e-9 {
		r.Wrong(at, fmt.Sprintf("from: the shares come to %s", unit.Share(math.Round(sum*regionParts)/regionParts)),
			"every arrival comes from somewhere: they must come to 100%")
	}
}

// destination checks where a route leads to.
func (r *rules) destination(path strict.Path, to Destination) {
	if all, is := to[""]; is || !r.Sound(path) {
		r.toTarget(path, all)
		return
	}
	if len(to) == 0 {
		r.Wrong(path, "to: is empty", "name a target, or one for each region like {eu: lb-eu, us: lb-us}")
		return
	}
	from := r.x.Load.From
	if !r.Has("load.from") {
		r.Wrong(path, "to: names a target for each region, and arrivals come from one place",
			"add from: {eu: 60%, us: 40%} to load, with your regions")
		return
	}
	var first *Target
	for _, region := range slices.Sorted(maps.Keys(to)) {
		at := path.Child(region)
		if _, known := from[region]; !known && !r.Bad("load.from") {
			r.WrongKey(at, fmt.Sprintf("to: no arrivals come from %s", strict.Quote(region)),
				strict.Suggest(region, "regions", r.x.Load.Regions()))
		}
		r.toTarget(at, to[region])
		t := r.x.Targets[to[region]]
		if first == nil {
			first = t
		} else if t != nil && (t.settled() != first.settled() || t.Protoset != first.Protoset) {
			r.Wrong(at, fmt.Sprintf("to: %s speaks otherwise than the target of another region", strict.Quote(to[region])),
				"what is sent is the same from everywhere: make it two routes")
		}
	}
	for _, region := range r.x.Load.Regions() {
		if _, there := to[region]; !there {
			r.Wrong(path, fmt.Sprintf("to: says nothing of arrivals from %s", strict.Quote(region)), fmt.Sprintf("add %s: TARGET", region))
		}
	}
}

// region checks a label.
func (r *rules) region(at strict.Path, label string) {
	if r.Sound(at) {
		r.name(at, label, r.Wrong)
	}
}

// labels are the regions of targets and links, sorted.
func (x *Experiment) labels() []string {
	var all []string
	for _, t := range x.Targets {
		all = append(all, t.Region)
	}
	for _, l := range x.Links {
		all = append(all, l.Region)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(label string) bool { return label == "" })
}

// loss checks that there is something to lose, and that all of it can be lost and be
// given back.
func (r *rules) loss(event strict.Path, e *Event) {
	if on := event.Child("on"); r.Has(on) {
		r.WrongKey(on, "on: does not go with region_loss", "it happens to all that have the label, region: says which")
	}
	at := event.Child("region_loss", "region")
	if !r.Sound(at) || !r.refers(at, e.RegionLoss.Region, "region", r.x.labels()) {
		return
	}
	targets, _ := r.x.InRegion(e.RegionLoss.Region)
	for _, name := range targets {
		switch t := r.x.Targets[name]; {
		case t.URL == "":
		case t.PidFile == "":
			r.Wrong(at, fmt.Sprintf("region: target %s of it is a url: stormctl did not start it, so it cannot stop it",
				strict.Quote(name)), "make it a process, name its process by pid_file, or label the links to it in its place")
		case len(r.x.Limits.Processes) == 0 && !r.Bad("limits.processes"):
			r.Wrong(at, fmt.Sprintf("region: the process of target %s of it is not stormctl's own, and limits.processes allows none",
				strict.Quote(name)), "name its program: limits: {processes: [/usr/sbin/nginx]}")
		}
	}
}

// regional checks what a claim says of a region.
func (r *rules) regional(path strict.Path, region string) {
	at := path.Child("region")
	if !r.Sound(at) {
		return
	}
	if !r.Has("load.from") {
		r.Wrong(at, "region: arrivals come from one place", "add from: {eu: 60%, us: 40%} to load, with your regions")
		return
	}
	r.refers(at, region, "region", r.x.Load.Regions())
}
