package experiment

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// LinkEvent is the faults of links with protocol: tcp, which know connections
// and bytes. Latency and partition are there too, with the keys that mean
// something: see shared.
type LinkEvent struct {
	// Which way's bytes it is about, for a link with protocol: tcp: upstream (from the caller), downstream (to the
	// caller) or both (the default).
	Direction string `yaml:"direction"`

	Bandwidth   *toxic.Bandwidth   `yaml:"bandwidth"`    // So many bytes a second pass.
	SlowClose   *toxic.SlowClose   `yaml:"slow_close"`   // The end of a connection comes late.
	Timeout     *toxic.Timeout     `yaml:"timeout"`      // Nothing passes, and the connection is closed after a while.
	ResetPeer   *toxic.ResetPeer   `yaml:"reset_peer"`   // The connection is reset to both sides.
	Slicer      *toxic.Slicer      `yaml:"slicer"`       // Bytes come in small pieces.
	LimitData   *toxic.LimitData   `yaml:"limit_data"`   // The connection is closed after so many bytes.
	Down        *toxic.Down        `yaml:"down"`         // Nobody listens: connections are closed, new ones refused; write down: {}.
	SlowConnect *toxic.SlowConnect `yaml:"slow_connect"` // New connections are usable late.
	HalfOpen    *toxic.HalfOpen    `yaml:"half_open"`    // Connections are lost, and neither side is told; write half_open: {}.
	Flap        *toxic.Flap        `yaml:"flap"`         // Nothing passes, then it does, again and again.
}

// connKinds are the keys of which a LinkEvent has at most one.
var connKinds = kindsOf(reflect.TypeFor[LinkEvent]())

// ways are the values of LinkEvent.Direction.
var ways = []string{toxic.Both.String(), toxic.Upstream.String(), toxic.Downstream.String()}

// ToxicDirection is Direction as its toxic has it.
func (e LinkEvent) ToxicDirection() toxic.Direction {
	d, _ := toxic.ParseDirection(e.Direction) // what cannot be parsed was refused, and "" is both
	return d
}

// shared are the kinds that happen to links of every protocol, with the keys
// that mean something on one with protocol: tcp.
var shared = map[string][]string{"latency": append([]string{"delay", "jitter", "distribution"}, narrows...), "partition": narrows}

// narrows are the keys of what faults of links have in common.
var narrows = []string{"share", "match", "first", "every", "cycle", "ramp", "max_active"}

// onProtocol checks that the link speaks what the fault is about.
func (r *rules) onProtocol(path strict.Path, e *Event, kind string) {
	link, at := r.x.Links[e.On], path.Child(kind)
	spoken := strict.Path("links").Child(e.On, "protocol")
	if link == nil || !r.Sound(path.Child("on")) || r.Has(spoken) && !r.Sound(spoken) {
		return
	}
	direction := path.Child("direction")
	if r.Has(direction) && r.Sound(direction) && r.among(direction, e.Direction, "directions", ways) && link.Protocol != toxic.ProtocolTCP {
		r.WrongKey(direction, fmt.Sprintf("direction: link %s passes exchanges, not bytes", strict.Quote(e.On)),
			"leave it out, or give the link protocol: tcp")
	}
	keys, both := shared[kind]
	isConn := slices.Contains(connKinds, kind)
	switch {
	case link.Protocol == toxic.ProtocolTCP && (both || isConn):
		if both {
			r.only(at, keys, e.On)
		}
		r.only(at.Child("match"), []string{"connection"}, e.On)
	case !both && isConn && link.Protocol != toxic.ProtocolTCP:
		r.Wrong(path.Child("on"), fmt.Sprintf("on: link %s passes exchanges, %s is about connections", strict.Quote(e.On), kind),
			"give the link protocol: tcp")
	case !both && !isConn && link.Protocol == toxic.ProtocolTCP:
		r.Wrong(path.Child("on"), fmt.Sprintf("on: link %s knows connections, %s is about exchanges", strict.Quote(e.On), kind),
			"take out protocol: tcp, or use one of latency, partition, "+strings.Join(connKinds, ", "))
	}
}

// only refuses the keys of a map that mean nothing to a link that knows
// connections.
func (r *rules) only(path strict.Path, keys []string, link string) {
	for _, key := range r.Keys(path) {
		if !slices.Contains(keys, key) {
			r.WrongKey(path.Child(key), fmt.Sprintf("%s: link %s knows connections, not exchanges", key, strict.Quote(link)),
				"of "+path.Tail()+" it takes "+strings.Join(keys, ", "))
		}
	}
}
