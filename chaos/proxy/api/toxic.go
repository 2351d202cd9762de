package api

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// toxicInput is a toxic as it is asked for, and what an update of one says.
// What is absent, or null, has a default or stays as it is.
type toxicInput struct {
	Name       *string         `json:"name"`
	Type       *string         `json:"type"`
	Stream     *string         `json:"stream"`
	Toxicity   *float32        `json:"toxicity"`
	Attributes json.RawMessage `json:"attributes"`
	TTL        *ttl            `json:"ttl"`
}

// toxicView is a toxic as it is answered.
type toxicView struct {
	Attributes attributes `json:"attributes"`
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Stream     string     `json:"stream"`
	Toxicity   float32    `json:"toxicity"`
	leaseView
}

// proxyToxic is a toxic of a proxy. What it is told does not change: an update makes
// another one that takes its place.
type proxyToxic struct {
	name, typ  string
	stream     string // as it was sent
	toxicity   float32
	attributes attributes
	behaviour  toxic.Toxic // nil if it does nothing

	lease  *lease // nil if it stays until it is taken out
	index  int    // among the proxy's toxics; an update keeps it
	remove func() // takes it out of the relay; nil while it is in none

	// counter is what it did in relays that there are no more; since is what the
	// relay had counted for its index before it came.
	counter *counter
	since   toxicCounts
}

// newToxic is a toxic for a proxy that speaks protocol. It is checked in the
// order in which toxiproxy does it.
func newToxic(protocol string, in toxicInput) (*proxyToxic, error) {
	t := &proxyToxic{stream: toxic.Downstream.String(), toxicity: 1}
	set(&t.stream, in.Stream)
	set(&t.typ, in.Type)
	set(&t.toxicity, in.Toxicity)
	t.name = t.typ + "_" + t.stream
	if in.Name != nil && *in.Name != "" {
		t.name = *in.Name
	}
	if _, ok := t.direction(); !ok {
		return nil, errStream
	}
	a, err := newAttributes(protocol, t.typ)
	if err != nil {
		return nil, err
	}
	t.attributes = a
	return t, t.tell(protocol, in.Attributes)
}

// updated is the toxic with what an update says: attributes and toxicity. Its
// place in the chain, its lease and what it did are those of t.
func (t *proxyToxic) updated(protocol string, in toxicInput) (*proxyToxic, error) {
	told, err := json.Marshal(t.attributes)
	if err != nil {
		return nil, err
	}
	u := &proxyToxic{name: t.name, typ: t.typ, stream: t.stream, toxicity: t.toxicity,
		lease: t.lease, index: t.index, counter: t.counter, since: t.since}
	set(&u.toxicity, in.Toxicity)
	if u.attributes, err = newAttributes(protocol, t.typ); err != nil {
		return nil, err
	}
	if err := decodeAttributes(told, u.attributes); err != nil {
		return nil, err
	}
	return u, u.tell(protocol, in.Attributes)
}

// tell reads attributes over those that are there.
func (t *proxyToxic) tell(protocol string, data json.RawMessage) error {
	if err := decodeAttributes(data, t.attributes); err != nil {
		return err
	}
	var err error
	if t.behaviour, err = t.attributes.behave(t.share()); err != nil || t.behaviour == nil || protocol != tcp {
		return err
	}
	if _, err := toxic.OnConns(t.behaviour); err != nil {
		return badRequest("%v", err)
	}
	return nil
}

// share is the toxicity as a part of the whole; toxiproxy takes any number.
func (t *proxyToxic) share() unit.Share {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(t.toxicity), 'g', -1, 32), 64)
	if err != nil || v <= 0 || v > 1 {
		return 1 // what takes nothing is not put in force, see idle
	}
	return unit.Share(v)
}

// idle reports whether it does nothing: for now, or by its type.
func (t *proxyToxic) idle() bool {
	return t.toxicity <= 0 || t.behaviour == nil
}

// direction is which way the bytes go that it works on.
func (t *proxyToxic) direction() (toxic.Direction, bool) {
	d, err := toxic.ParseDirection(strings.ToLower(t.stream))
	return d, err == nil
}

// install puts it in force.
func (t *proxyToxic) install(protocol string, r proxy.Relay) error {
	if t.idle() {
		return nil
	}
	d := toxic.Both
	if protocol == tcp {
		d, _ = t.direction()
	}
	var err error
	t.remove, err = r.Add(t.index, t.behaviour, d)
	return err
}

// uninstall takes it out of force.
func (t *proxyToxic) uninstall() {
	if t.remove != nil {
		t.remove()
		t.remove = nil
	}
}

func (t *proxyToxic) view() toxicView {
	return toxicView{t.attributes, t.name, t.typ, t.stream, t.toxicity, t.lease.view()}
}

// set sets what was given.
func set[T any](at *T, given *T) {
	if given != nil {
		*at = *given
	}
}

// done is what it has done in r.
func (t *proxyToxic) done(r proxy.Relay) toxicCounts {
	return countsOf(r, t.index).minus(t.since)
}

// settle takes over what r has counted.
func (t *proxyToxic) settle(r proxy.Relay) {
	t.counter.add(t.done(r))
	t.since = toxicCounts{}
}
