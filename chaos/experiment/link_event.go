package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/proxy"
)

// LinkEvent is the faults of links with protocol: tcp, which know connections
// and bytes. Latency and partition are there too, with the keys that mean
// something: see shared.
type LinkEvent struct {
	Direction string `yaml:"direction"` // Which way's bytes it is about, for a link with protocol: tcp: upstream (from the caller), downstream (to the caller) or both (the default).

	Bandwidth   *proxy.Bandwidth   `yaml:"bandwidth"`    // So many bytes a second pass.
	SlowClose   *proxy.SlowClose   `yaml:"slow_close"`   // The end of a connection comes late.
	Timeout     *proxy.Timeout     `yaml:"timeout"`      // Nothing passes, and the connection is closed after a while.
	ResetPeer   *proxy.ResetPeer   `yaml:"reset_peer"`   // The connection is reset to both sides.
	Slicer      *proxy.Slicer      `yaml:"slicer"`       // Bytes come in small pieces.
	LimitData   *proxy.LimitData   `yaml:"limit_data"`   // The connection is closed after so many bytes.
	Down        *proxy.Down        `yaml:"down"`         // Nobody listens: connections are closed, new ones refused; write down: {}.
	SlowConnect *proxy.SlowConnect `yaml:"slow_connect"` // New connections are usable late.
	HalfOpen    *proxy.HalfOpen    `yaml:"half_open"`    // Connections are lost, and neither side is told; write half_open: {}.
	Flap        *proxy.Flap        `yaml:"flap"`         // Nothing passes, then it does, again and again.
}

// streamKinds are the keys of which a LinkEvent has at most one.
var streamKinds = []string{"bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "down", "slow_connect", "half_open", "flap"}

// stream is its key and what the link does; "" and nil if it has none.
func (e LinkEvent) stream() (kind string, t proxy.Stream) {
	switch {
	case e.Bandwidth != nil:
		return "bandwidth", *e.Bandwidth
	case e.SlowClose != nil:
		return "slow_close", *e.SlowClose
	case e.Timeout != nil:
		return "timeout", *e.Timeout
	case e.ResetPeer != nil:
		return "reset_peer", *e.ResetPeer
	case e.Slicer != nil:
		return "slicer", *e.Slicer
	case e.LimitData != nil:
		return "limit_data", *e.LimitData
	case e.Down != nil:
		return "down", *e.Down
	case e.SlowConnect != nil:
		return "slow_connect", *e.SlowConnect
	case e.HalfOpen != nil:
		return "half_open", *e.HalfOpen
	case e.Flap != nil:
		return "flap", *e.Flap
	}
	return "", nil
}

// ways are the values of LinkEvent.Direction.
var ways = []string{proxy.Both.String(), proxy.Upstream.String(), proxy.Downstream.String()}

// Stream is what a link with protocol: tcp does while the event is in force; nil
// for what does not happen to one.
func (e Event) Stream() proxy.Stream {
	switch {
	case e.Latency != nil:
		return proxy.StreamLatency{Delay: e.Latency.Delay, Jitter: e.Latency.Jitter, Distribution: e.Latency.Distribution, Conns: connsOf(e.Latency.Select)}
	case e.Partition != nil:
		return proxy.StreamPartition{Conns: connsOf(e.Partition.Select)}
	}
	_, t := e.stream()
	return t
}

// connsOf is what is left of a Select where there are connections only.
func connsOf(s proxy.Select) proxy.Conns {
	c := proxy.Conns{Share: s.Share, First: s.First, Every: s.Every, Cycle: s.Cycle, Ramp: s.Ramp, MaxActive: s.MaxActive}
	if s.Match != nil {
		c.Match = &proxy.ConnMatch{Connection: s.Match.Connection}
	}
	return c
}

// Way is the direction that the event is about.
func (e LinkEvent) Way() proxy.Direction {
	d, _ := proxy.ParseDirection(e.Direction) // what cannot be parsed was refused, and "" is both
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
	if r.Has(direction) && r.Sound(direction) && r.among(direction, e.Direction, "directions", ways) && link.Protocol != proxy.ProtocolTCP {
		r.WrongKey(direction, fmt.Sprintf("direction: link %s passes exchanges, not bytes", strict.Quote(e.On)), "leave it out, or give the link protocol: tcp")
	}
	keys, both := shared[kind]
	isStream := slices.Contains(streamKinds, kind)
	switch {
	case both && link.Protocol == proxy.ProtocolTCP:
		r.only(at, keys, e.On)
		r.only(at.Child("match"), []string{"connection"}, e.On)
	case !both && isStream && link.Protocol != proxy.ProtocolTCP:
		r.Wrong(path.Child("on"), fmt.Sprintf("on: link %s passes exchanges, %s is about connections", strict.Quote(e.On), kind), "give the link protocol: tcp")
	case !both && !isStream && link.Protocol == proxy.ProtocolTCP:
		r.Wrong(path.Child("on"), fmt.Sprintf("on: link %s knows connections, %s is about exchanges", strict.Quote(e.On), kind), "take out protocol: tcp, or use one of latency, partition, "+strings.Join(streamKinds, ", "))
	}
}

// only refuses the keys of a map that mean nothing to a link that knows
// connections.
func (r *rules) only(path strict.Path, keys []string, link string) {
	for _, key := range r.Keys(path) {
		if !slices.Contains(keys, key) {
			r.WrongKey(path.Child(key), fmt.Sprintf("%s: link %s knows connections, not exchanges", key, strict.Quote(link)), "of "+path.Tail()+" it takes "+strings.Join(keys, ", "))
		}
	}
}
