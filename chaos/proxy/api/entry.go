package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// entry is a proxy of the API: what it is told, and the relay that does it
// while it is enabled.
type entry struct {
	server *Server
	name   string

	// ops orders the changes. It is held while a listener is bound or a relay
	// closed and never while a body is read or an upstream looked up. Readers
	// do not take it.
	ops  sync.Mutex
	gone bool // deleted; guarded by ops

	mu sync.Mutex // guards what follows; writers hold ops as well; held for a few assignments
	settings
	shown  bool          // it is there for readers
	relay  proxy.Relay   // nil while it is disabled
	toxics []*proxyToxic // in the order of their creation
	lease  *lease
	past   traffic // of relays that there are no more

	refusals atomic.Uint64
	refusal  atomic.Pointer[string] // why the last dial was refused
	endings  [endings]atomic.Uint64 // exchanges by how they ended
}

// endings is how many values evidence.Ending has.
const endings = int(evidence.Unread) + 1

// settings are what makes a proxy another one: its relay begins anew when they
// change.
type settings struct {
	listen   string // as asked for, until it is bound
	upstream string
	protocol string
}

// traffic is what has passed through a relay.
type traffic struct {
	connections uint64        // that callers have made
	unread      uint64        // connections that could not be read
	bytes       [2]byteCounts // to the upstream, and back
}

// way is what has gone one way, in bytes.
type byteCounts struct{ received, sent uint64 }

func trafficOf(r proxy.Relay) traffic {
	t := traffic{connections: r.Accepted()}
	t.unread, _ = r.Unread()
	for i, d := range directions {
		t.bytes[i] = byteCounts{r.Received(d), r.Bytes(d)}
	}
	return t
}

// directions are those of traffic.ways.
var directions = [2]toxic.Direction{toxic.Upstream, toxic.Downstream}

func (t traffic) plus(u traffic) traffic {
	t.connections += u.connections
	t.unread += u.unread
	for i := range t.bytes {
		t.bytes[i].received += u.bytes[i].received
		t.bytes[i].sent += u.bytes[i].sent
	}
	return t
}

// proxyView is a proxy as it is answered.
type proxyView struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Enabled  bool   `json:"enabled"`
	Protocol string `json:"protocol,omitempty"` // absent for tcp
	Refused  string `json:"refused,omitempty"`  // why the last dial to the upstream was
	leaseView
	Toxics []toxicView `json:"toxics"`
}

func (e *entry) isShown() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown
}

// view is e as it is answered.
func (e *entry) view() proxyView {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := proxyView{Name: e.name, Listen: e.listen, Upstream: e.upstream, Enabled: e.relay != nil,
		leaseView: e.lease.view(), Toxics: e.toxicViews()}
	if e.protocol != tcp {
		v.Protocol = e.protocol
	}
	if why := e.refusal.Load(); why != nil {
		v.Refused = *why
	}
	return v
}

// toxicViews lists the toxics as toxiproxy does, by direction; those of both
// come last. e.mu is held.
func (e *entry) toxicViews() []toxicView {
	views := make([]toxicView, 0, len(e.toxics))
	for _, d := range []toxic.Direction{toxic.Upstream, toxic.Downstream, toxic.Both} {
		for _, t := range e.toxics {
			if at, _ := t.direction(); at == d {
				views = append(views, t.view())
			}
		}
	}
	return views
}

// toxic is the toxic with that name, nil if there is none. e.ops or e.mu is
// held.
func (e *entry) toxic(name string) *proxyToxic {
	for _, t := range e.toxics {
		if t.name == name {
			return t
		}
	}
	return nil
}

// change does one thing to e at a time. It fails if e has been deleted.
func (e *entry) change(act func() error) error {
	e.ops.Lock()
	defer e.ops.Unlock()
	if e.gone {
		return errProxyNotFound
	}
	return act()
}

// become makes e what was asked for, whatever it was before. If that cannot be
// started, e stays as it is. e.ops is held.
func (e *entry) become(c checked) error {
	var r proxy.Relay
	if c.enabled {
		var err error
		if r, err = e.swap(c.settings, c.toxics); err != nil {
			return err
		}
		c.listen = r.Addr()
	} else {
		e.stop()
	}
	e.dropAll()
	for i, t := range c.toxics {
		t.counter = e.server.counters.of(e.key(t))
		t.lease = e.server.renewed(nil, c.lease[i], func(l *lease) { e.expire(t.name, l) })
	}
	e.lease.end()
	lasts := e.server.renewed(nil, c.lasts, func(l *lease) { e.expire("", l) })
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settings, e.toxics, e.relay, e.lease, e.shown = c.settings, c.toxics, r, lasts, true
	return nil
}

// swap launches a relay in the place of the one there is, if there is one.
// That serves until the new one is bound, and goes on serving if that fails.
// Only if the two cannot be bound at a time it is stopped before, and started
// again if need be: its connections are lost then. What was e.relay is nil
// afterwards if the new one serves; the caller puts it there. e.ops is held.
func (e *entry) swap(to settings, toxics []*proxyToxic) (proxy.Relay, error) {
	had, was := e.relay != nil, e.settings
	if had && overlap(was.listen, to.listen) {
		e.stop()
	}
	r, err := e.launch(to, toxics)
	if err == nil || !had || e.relay != nil {
		return r, err
	}
	again, err2 := e.launch(was, e.toxics)
	if err2 != nil {
		return nil, errors.Join(err, fmt.Errorf("and as it was before: %w: it is disabled", err2))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.relay = again
	return nil, err
}

// overlap reports whether one of two addresses to listen on, in the form of
// resolveListen, keeps the other from being bound.
func overlap(a, b string) bool {
	x, errX := netip.ParseAddrPort(a)
	y, errY := netip.ParseAddrPort(b)
	if errX != nil || errY != nil {
		return true // not to be told: take the way that always works
	}
	return x.Port() != 0 && x.Port() == y.Port() &&
		(x.Addr() == y.Addr() || x.Addr().IsUnspecified() || y.Addr().IsUnspecified())
}

// launch binds and serves, with the toxics in force. Once it is bound, the relay
// that e had before is stopped.
func (e *entry) launch(to settings, toxics []*proxyToxic) (proxy.Relay, error) {
	var unfit error
	r, err := e.server.listen(proxy.Config{
		Name: e.name, Listen: to.listen, Upstream: to.upstream, Protocol: to.protocol, Seed: e.server.config.Seed, Allow: e.allow,
		UnreachableFIN: true, // as toxiproxy: its clients take a proxy for up if they can connect
	}, func(r proxy.Relay) {
		e.stop()
		e.refusal.Store(nil)
		r.Record(time.Now(), func(x evidence.Exchange) { e.endings[x.Ending].Add(1) })
		for _, t := range toxics {
			t.since = toxicCounts{}
			unfit = errors.Join(unfit, t.install(to.protocol, r))
		}
	})
	if err == nil && unfit != nil {
		return nil, errors.Join(unfit, r.Close())
	}
	return r, err
}

// start enables e, if it is not enabled already. e.ops is held.
func (e *entry) start(ctx context.Context) error {
	if e.relay != nil {
		return nil
	}
	to := e.settings
	var err error
	if to.listen, err = e.server.allow.listenAt(ctx, to.listen); err != nil {
		return err
	}
	r, err := e.launch(to, e.toxics)
	if err != nil {
		return err
	}
	to.listen = r.Addr()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settings, e.relay = to, r
	return nil
}

// stop closes the listener and every connection; the toxics stay for the next
// start. e.ops is held.
func (e *entry) stop() {
	r := e.relay
	if r == nil {
		return
	}
	e.server.retire(r)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.toxics {
		t.remove = nil
		t.settle(r)
	}
	e.past = e.past.plus(trafficOf(r))
	e.relay = nil
}

// allow is asked before each dial.
func (e *entry) allow(addr netip.AddrPort) error {
	err := e.server.allow.check(addr)
	if err != nil {
		why := err.Error()
		e.refusals.Add(1)
		e.refusal.Store(&why)
	}
	return err
}

// add puts a new toxic in force. e.ops is held.
func (e *entry) add(t *proxyToxic, lasts *ttl) error {
	if e.toxic(t.name) != nil {
		return errToxicExists
	}
	if len(e.toxics) >= maxToxics {
		return errTooManyToxics
	}
	t.index = e.freeIndex()
	t.counter = e.server.counters.of(e.key(t))
	t.lease = e.server.renewed(nil, lasts, func(l *lease) { e.expire(t.name, l) })
	if e.relay != nil {
		t.since = countsOf(e.relay, t.index)
		if err := t.install(e.protocol, e.relay); err != nil {
			t.lease.end()
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.toxics = append(e.toxics, t)
	return nil
}

// key is what t is counted by.
func (e *entry) key(t *proxyToxic) counterKey { return counterKey{e.name, t.name, t.typ, t.stream} }

// maxToxics is how many toxics a proxy has at most: each has an index of its
// own in the relay.
const maxToxics = proxy.MaxIndex + 1

var errTooManyToxics = badRequest("a proxy has at most %d toxics", maxToxics)

// freeIndex is the lowest that no toxic has. There are fewer than maxToxics.
func (e *entry) freeIndex() (i int) {
	for slices.ContainsFunc(e.toxics, func(t *proxyToxic) bool { return t.index == i }) {
		i++
	}
	return i
}

// replace puts the updated toxic u in the place of t. Both are in force for a
// moment rather than none. e.ops is held.
func (e *entry) replace(t, u *proxyToxic) error {
	if e.relay != nil {
		if err := u.install(e.protocol, e.relay); err != nil {
			return err
		}
	}
	t.uninstall()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.toxics[slices.Index(e.toxics, t)] = u
	return nil
}

// drop takes a toxic out. e.ops is held.
func (e *entry) drop(t *proxyToxic) {
	t.lease.end()
	t.uninstall()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.toxics = slices.DeleteFunc(slices.Clone(e.toxics), func(u *proxyToxic) bool { return u == t })
	if e.relay != nil {
		t.settle(e.relay)
	}
}

// dropAll takes all toxics out. e.ops is held.
func (e *entry) dropAll() {
	for _, t := range slices.Clone(e.toxics) {
		e.drop(t)
	}
}

// expire ends what has not been renewed: the toxic with that name, or the proxy
// itself if it is "".
func (e *entry) expire(name string, l *lease) {
	_ = e.change(func() error { // fails only if e is gone, which is what it is for
		if name == "" {
			if e.lease == l {
				e.server.counters.expire(expiry{e.name, "proxy"})
				e.server.tell("the lease of proxy %s has run out: it is deleted", e.name)
				e.delete()
			}
			return nil
		}
		if t := e.toxic(name); t != nil && t.lease == l {
			e.server.counters.expire(expiry{e.name, "toxic"})
			e.server.tell("the lease of toxic %s of proxy %s has run out: it is taken out", name, e.name)
			e.drop(t)
		}
		return nil
	})
}

// delete ends e for good. e.ops is held.
func (e *entry) delete() {
	e.mu.Lock()
	e.shown = false
	e.mu.Unlock()
	e.gone = true
	e.lease.end()
	e.stop()
	e.dropAll()
	e.server.forget(e)
}
