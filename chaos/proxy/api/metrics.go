package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy"
)

// counters are counts that outlive what they count: a toxic has hit what it has
// hit after it is taken out, too.
type counters struct {
	mu      sync.Mutex
	toxics  map[counterKey]*counter
	expired map[expiry]uint64
}

// toxicCounts are what a toxic has done.
type toxicCounts struct {
	hits     uint64 // exchanges that it has hit, or connections
	overflow uint64 // exchanges that it let go because it had hold of enough
}

// countsOf is what all toxics with an index have done in a relay.
func countsOf(r proxy.Relay, index int) toxicCounts {
	return toxicCounts{r.Hit(index), r.Overflow(index)}
}

func (d toxicCounts) plus(e toxicCounts) toxicCounts {
	return toxicCounts{d.hits + e.hits, d.overflow + e.overflow}
}
func (d toxicCounts) minus(e toxicCounts) toxicCounts {
	return toxicCounts{d.hits - e.hits, d.overflow - e.overflow}
}

// counter adds up the counts of all toxics with one key.
type counter struct {
	key            counterKey
	hits, overflow atomic.Uint64
}

func (t *counter) add(d toxicCounts) {
	t.hits.Add(d.hits)
	t.overflow.Add(d.overflow)
}

func (t *counter) total() toxicCounts { return toxicCounts{t.hits.Load(), t.overflow.Load()} }

// counterKey is what toxics are counted by.
type counterKey struct{ proxy, toxic, typ, stream string }

// expiry is what leases that ran out are counted by.
type expiry struct{ proxy, of string }

// maxCounters bounds what is remembered of names that are made up anew all the
// time. What comes when it is full counts together, without names.
const maxCounters = 10_000

// of is the counter with that key.
func (t *counters) of(key counterKey) *counter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.toxics == nil {
		t.toxics = map[counterKey]*counter{}
	}
	if t.toxics[key] == nil && len(t.toxics) >= maxCounters {
		key = counterKey{typ: key.typ}
	}
	if t.toxics[key] == nil {
		t.toxics[key] = &counter{key: key}
	}
	return t.toxics[key]
}

// expire counts a lease that has run out.
func (t *counters) expire(key expiry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expired == nil {
		t.expired = map[expiry]uint64{}
	}
	if _, known := t.expired[key]; !known && len(t.expired) >= maxCounters {
		key = expiry{of: key.of}
	}
	t.expired[key]++
}

// totals is a copy of all there is.
func (t *counters) totals() (toxics map[counterKey]toxicCounts, expired map[expiry]uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	toxics = make(map[counterKey]toxicCounts, len(t.toxics))
	for key, n := range t.toxics {
		toxics[key] = n.total()
	}
	return toxics, maps.Clone(t.expired)
}

// reading is what a proxy has counted up to a moment.
type reading struct {
	settings
	name    string
	enabled bool
	traffic
	open     int // connections of callers
	inFlight int
	endings  [endings]uint64
	refusals uint64
	active   []counterKey               // toxics in force
	toxics   map[counterKey]toxicCounts // of those there are, up to now
}

// read reads the counts of e.
func (e *entry) read() reading {
	r := reading{name: e.name, toxics: map[counterKey]toxicCounts{}, refusals: e.refusals.Load()}
	for i := range e.endings {
		r.endings[i] = e.endings[i].Load()
	}
	e.mu.Lock()
	relay := e.relay
	r.settings, r.enabled, r.traffic = e.settings, relay != nil, e.past
	if relay != nil {
		r.traffic = r.plus(trafficOf(relay))
		for _, t := range e.toxics {
			if e.key(t) == t.counter.key {
				r.toxics[t.counter.key] = t.counter.total().plus(t.done(relay))
			}
			if !t.idle() {
				r.active = append(r.active, e.key(t))
			}
		}
	}
	e.mu.Unlock()
	if relay != nil {
		r.open, r.inFlight = relay.Connections(), relay.InFlight()
	}
	return r
}

// metrics is all that is counted, in Prometheus's text format.
func (s *Server) metrics() []byte {
	var reads []reading
	for _, e := range s.shown() {
		reads = append(reads, e.read())
	}
	// Afterwards: what a toxic had done that has gone meanwhile is in its counter
	// by now, and no count goes back.
	toxics, expired := s.counters.totals()
	for _, r := range reads {
		maps.Copy(toxics, r.toxics)
	}

	var x exposition
	x.family("stormctl_proxy_enabled", "gauge", "1 if the proxy listens, 0 if it is disabled.")
	for _, r := range reads {
		x.sample(count(r.enabled), "proxy", r.name, "protocol", r.protocol)
	}
	each := func(name, kind, help string, of func(reading) uint64) {
		x.family(name, kind, help)
		for _, r := range reads {
			x.sample(of(r), "proxy", r.name)
		}
	}
	each("stormctl_proxy_connections_total", "counter",
		"Connections that callers have made.", func(r reading) uint64 { return r.connections })
	each("stormctl_proxy_open_connections", "gauge",
		"Connections of callers that are open.", func(r reading) uint64 { return uint64(r.open) })
	each("stormctl_proxy_exchanges_in_flight", "gauge", "Exchanges in progress; of tcp, connections.",
		func(r reading) uint64 { return uint64(r.inFlight) })
	x.family("stormctl_proxy_exchanges_total", "counter", "Exchanges that have ended, by how; of tcp, connections.")
	for _, r := range reads {
		for i, n := range r.endings {
			x.sample(n, "proxy", r.name, "ending", evidence.Ending(i).String())
		}
	}
	each("stormctl_proxy_refused_dials_total", "counter", "Dials to addresses that are not allowed; nothing was sent.",
		func(r reading) uint64 { return r.refusals })
	each("stormctl_proxy_unread_connections_total", "counter", "Connections that passed as bytes because they could not be read.",
		func(r reading) uint64 { return r.unread })
	bytes := func(name, help string, of func(byteCounts) uint64) {
		x.family(name, "counter", help)
		for _, r := range reads {
			for i, d := range directions {
				x.sample(of(r.bytes[i]), "direction", d.String(), "listener", r.listen, "proxy", r.name, "upstream", r.upstream)
			}
		}
	}
	bytes("toxiproxy_proxy_received_bytes_total", "Bytes that came from callers (direction upstream) and from the upstream (downstream).",
		func(w byteCounts) uint64 { return w.received })
	bytes("toxiproxy_proxy_sent_bytes_total", "Bytes given to the upstream (direction upstream) and to callers (downstream).",
		func(w byteCounts) uint64 { return w.sent })
	x.family("stormctl_toxic_active", "gauge", "1 for each toxic in force.")
	for _, r := range reads {
		for _, key := range r.active {
			x.sample(1, key.labels()...)
		}
	}
	x.family("stormctl_toxic_hits_total", "counter",
		"Exchanges that the toxic has hit; of tcp, connections. It stays when the toxic is taken out.")
	keys := slices.SortedFunc(maps.Keys(toxics), counterKey.compare)
	for _, key := range keys {
		x.sample(toxics[key].hits, key.labels()...)
	}
	x.family("stormctl_toxic_overflow_total", "counter", "Exchanges that the toxic let go, because it had hold of max_active others.")
	for _, key := range keys {
		x.sample(toxics[key].overflow, key.labels()...)
	}
	x.family("stormctl_lease_expiries_total", "counter", "Toxics and proxies whose lease has run out.")
	for _, key := range slices.SortedFunc(maps.Keys(expired), expiry.compare) {
		x.sample(expired[key], "of", key.of, "proxy", key.proxy)
	}
	return x.text
}

func count(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (k counterKey) labels() []string {
	return []string{"proxy", k.proxy, "stream", k.stream, "toxic", k.toxic, "type", k.typ}
}

func (k counterKey) compare(l counterKey) int {
	return cmp.Or(cmp.Compare(k.proxy, l.proxy), cmp.Compare(k.toxic, l.toxic), cmp.Compare(k.typ, l.typ), cmp.Compare(k.stream, l.stream))
}

func (k expiry) compare(l expiry) int {
	return cmp.Or(cmp.Compare(k.of, l.of), cmp.Compare(k.proxy, l.proxy))
}

// exposition is Prometheus's text format, version 0.0.4. The library for it
// costs more than these lines and counts what is counted already.
type exposition struct {
	text []byte
	name string // of the family
}

// family begins the samples of one name.
func (x *exposition) family(name, kind, help string) {
	x.name = name
	x.text = fmt.Appendf(x.text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample adds one of the family. labels are names and values in turn.
func (x *exposition) sample(value uint64, labels ...string) {
	x.text = append(x.text, x.name...)
	for i := 0; i < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		x.text = fmt.Appendf(x.text, `%s%s="%s"`, separator, labels[i], labelValue.Replace(strings.ToValidUTF8(labels[i+1], "\ufffd")))
	}
	x.text = fmt.Appendf(x.text, "} %d\n", value)
}

var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
