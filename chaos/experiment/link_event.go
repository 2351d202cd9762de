package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// LinkEvent is the faults of links with protocol: tcp, which know connections
// and bytes. Latency and partition are there too, with the keys that mean
// something: see shared.
type LinkEvent struct {
	Direction string `yaml:"direction"` // Which way's bytes it is about, for a link with protocol: tcp: upstream (from the caller), downstream (to the caller) or both (the default).

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
var connKinds = []string{"bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "down", "slow_connect", "half_open", "flap"}

// ways are the values of LinkEvent.Direction.
var ways = []string{toxic.Both.String(), toxic.Upstream.String(), toxic.Downstream.String()}

// Way is the direction that the event is about.
func (e LinkEvent) Way() toxic.Direction {
	d, _ := toxic.ParseDirection(e.Direction) // what cannot be parsed was refused, and "" is both
	return d
}

// shared are the kinds that happen to links of every protocol, with the keys
// that mean something on one with protocol: tcp.
var shared = map[string][]string{"latency": append([]string{"delay", "jitter", "distribution"}, narrows...), "partition": narrows}

// narrows are the keys of what faults of links have in common.
var narrows = []string{"share", "match", "first", "every", "cycle", "ramp", "max_active"}

// onProtocol checks that the link speaks what the fault is about.
func (r *rules) onProtocol(path string, e *Event, kind string) {
	link, at := r.x.Links[e.On], child(path, kind)
	spoken := child(child("links", e.On), "protocol")
	if link == nil || !r.sound(child(path, "on")) || r.has(spoken) && !r.sound(spoken) {
		return
	}
	direction := child(path, "direction")
	if r.has(direction) && r.sound(direction) && r.among(direction, e.Direction, "directions", ways) && link.Protocol != toxic.ProtocolTCP {
		r.wrongKey(direction, fmt.Sprintf("direction: link %s passes exchanges, not bytes", quote(e.On)), "leave it out, or give the link protocol: tcp")
	}
	keys, both := shared[kind]
	isConn := slices.Contains(connKinds, kind)
	switch {
	case link.Protocol == toxic.ProtocolTCP && (both || isConn):
		if both {
			r.only(at, keys, e.On)
		}
		r.only(child(at, "match"), []string{"connection"}, e.On)
	case !both && isConn && link.Protocol != toxic.ProtocolTCP:
		r.wrong(child(path, "on"), fmt.Sprintf("on: link %s passes exchanges, %s is about connections", quote(e.On), kind), "give the link protocol: tcp")
	case !both && !isConn && link.Protocol == toxic.ProtocolTCP:
		r.wrong(child(path, "on"), fmt.Sprintf("on: link %s knows connections, %s is about exchanges", quote(e.On), kind), "take out protocol: tcp, or use one of latency, partition, "+strings.Join(connKinds, ", "))
	}
}

// only refuses the keys of a map that mean nothing to a link that knows
// connections.
func (r *rules) only(path string, keys []string, link string) {
	for _, key := range r.keysOf(path) {
		if !slices.Contains(keys, key) {
			r.wrongKey(child(path, key), fmt.Sprintf("%s: link %s knows connections, not exchanges", key, quote(link)), "of "+tail(path)+" it takes "+strings.Join(keys, ", "))
		}
	}
}

// keysOf are the keys that stand in a map.
func (r *rules) keysOf(path string) []string {
	var keys []string
	for at := range r.places {
		if key, ok := strings.CutPrefix(at, path+"."); ok && !strings.ContainsAny(key, ".[") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
