package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Ready is how a process shows that it is ready: one text, or a command.
type Ready struct {
	Probe string `yaml:"-"` // an HTTP path or tcp; "" where there is a command
	// Program and arguments, run again and again until it ends with exit status 0, as the user of the process, in its
	// folder and network namespace; variables are replaced as in command. Each try has 5s, and all of them ready_within.
	Command []string `yaml:"command"`
}

// Short is where `ready: /healthz` goes.
func (r *Ready) Short() *string { return &r.Probe }

func (Ready) Required() []string { return []string{"command"} }

// String is for people.
func (r Ready) String() string {
	if r.Probe != "" {
		return r.Probe
	}
	return strings.Join(r.Command, " ")
}

// hosts are the values of Process.Host.
var hosts = []string{"own"}

// ready checks how a process shows that it is ready.
func (r *rules) ready(path strict.Path, ready Ready) {
	if !r.Sound(path) {
		return
	}
	if p := ready.Probe; p != "" && p != "tcp" && !strings.HasPrefix(p, "/") {
		r.Wrong(path, fmt.Sprintf("ready: %s is neither a path nor tcp", strict.Quote(p)), "write it like /healthz")
	}
	at := path.Child("command")
	if r.Sound(at) && (len(ready.Command) == 0 || ready.Command[0] == "") {
		r.Wrong(at, "command: names no program", "write it like [pg_isready, --port, \"${port}\"]")
	}
	for i, arg := range ready.Command {
		r.variables(at.Item(i), arg)
	}
}

// processHost checks the user and the network of a process.
func (r *rules) processHost(path strict.Path, p *Process) {
	if at := path.Child("user"); r.Sound(at) && strings.ContainsAny(p.User, ":\x00/ ") {
		r.Wrong(at, fmt.Sprintf("user: %s is not the name of a user", strict.Quote(p.User)), "write it like postgres")
	}
	if at := path.Child("host"); r.Has(at) {
		r.among(at, p.Host, "hosts", hosts)
		if listen := path.Child("listen"); r.Has(listen) {
			r.WrongKey(listen, "listen: does not go with host: own", "its address is chosen: the command learns it from ${addr}")
		}
	}
}

// mostInstances bounds what one line starts.
const mostInstances = 100

// instances checks that there can be several of a target.
func (r *rules) instances(name string, at strict.Path, kind string, t *Target) {
	if !r.Sound(at) {
		return
	}
	if t.Instances < 1 || t.Instances > mostInstances {
		r.Wrong(at, fmt.Sprintf("instances: %d is not 1 to %d", t.Instances, mostInstances), "")
	}
	switch {
	case kind == "url":
		r.WrongKey(at, "instances: does not go with url", "it is for targets that stormctl starts")
	case kind == "process" && t.Process.Listen != "":
		r.WrongKey(at, "instances: does not go with listen", "each has an address of its own: the command learns it from ${addr}")
	case kind == "process" && t.Process.Host != "":
		r.WrongKey(at, "instances: does not go with host", "members of a network are targets of their own, which faults can name")
	}
	for _, link := range r.links {
		if l := r.x.Links[link]; l.To == name && t.Instances > 1 {
			r.Wrong(strict.Path("links").Child(link, "to"), fmt.Sprintf("to: there are %d instances of %s", t.Instances,
				strict.Quote(name)), "a link leads to one: make it a target of its own")
		}
	}
	for i := range r.x.Chaos {
		e := &r.x.Chaos[i]
		if kind := e.hostKind(); t.Instances > 1 && e.On == name && e.onProcess() && kind != "restart" && kind != "kill" {
			r.Wrong(strict.Path("chaos").Item(i).Child("on"), fmt.Sprintf("on: there are %d instances of %s", t.Instances,
				strict.Quote(name)), "what happens to all of them is restart or kill: make the one that it is about a target of its own")
		}
	}
}

// several reports whether a target has more than one instance.
func (r *rules) several(name string) bool {
	t := r.x.Targets[name]
	return t != nil && t.Instances > 1
}

// OwnHosts are the targets that have a network namespace of their own, by name,
// sorted.
func (x *Experiment) OwnHosts() []string {
	var names []string
	for name, t := range x.Targets {
		if t.Process != nil && t.Process.Host == "own" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sides are the groups of a partition, for people.
func sides(groups [][]string) string {
	return unit.List(groups, " and ", func(g []string) string { return strings.Join(g, ", ") })
}

// between checks that a partition is one of targets that can be parted.
func (r *rules) between(event strict.Path, e *Event) {
	path := event.Child("net_partition", "between")
	if !r.Sound(path) {
		return
	}
	groups := e.NetPartition.Between
	if len(groups) < 2 {
		r.Wrong(path, "between: names one side", "write it like [[n1], [n2, n3]]")
		return
	}
	own, seen := r.x.OwnHosts(), map[string]bool{}
	for i, group := range groups {
		side := path.Item(i)
		if r.Sound(side) && len(group) == 0 {
			r.Wrong(side, fmt.Sprintf("%s: is empty", side.Tail()), "name the targets of each side")
		}
		for k, name := range group {
			at := side.Item(k)
			switch {
			case !r.Sound(at) || !r.toTarget(at, name):
			case seen[name]:
				r.Wrong(at, fmt.Sprintf("%s: %s is named already", at.Tail(), strict.Quote(name)), "a target is on one side")
			case !slices.Contains(own, name):
				r.Wrong(at, fmt.Sprintf("%s: %s has no host of its own: its packets cannot be told from others'", at.Tail(),
					strict.Quote(name)), "give its process host: own")
			}
			seen[name] = true
		}
	}
	if on := event.Child("on"); r.Sound(on) && len(seen) > 0 && !seen[e.On] {
		r.Wrong(on, fmt.Sprintf("on: %s is on neither side", strict.Quote(e.On)), "name one of those that are parted")
	}
}
