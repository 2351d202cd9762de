package experiment

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// MaxEvents is how many events an experiment may have, those of a game day's
// palette that are injected by hand included. A file has no longer lists (strict).
const MaxEvents = evidence.MaxFaults

// Event injects one fault at a time and heals it after a while. Exactly one
// kind is given.
type Event struct {
	At  time.Duration `yaml:"at"`  // When, counted from the start of the load.
	For time.Duration `yaml:"for"` // How long it stays; it must be healed before the load ends. Not for restart.
	// Again after this, for as long as the load lasts; all events that repeat have the same, and at: counts from the beginning of each
	// chapter, which is as long (docs/soak.md).
	Every time.Duration `yaml:"every"`
	On    string        `yaml:"on"`   // The link, or (from restart on; exec takes either) the target, that it happens to.
	Name  string        `yaml:"name"` // For reports; absent means a description.

	Latency      *toxic.Latency      `yaml:"latency"`       // Exchanges take longer.
	Errors       *toxic.Errors       `yaml:"errors"`        // The link answers in the dependency's place.
	Hang         *toxic.Hang         `yaml:"hang"`          // Requests are accepted and not answered.
	Reset        *toxic.Reset        `yaml:"reset"`         // The caller's connection is reset.
	DropResponse *toxic.DropResponse `yaml:"drop_response"` // The dependency does the work, and the caller never hears of it.
	Truncate     *toxic.Truncate     `yaml:"truncate"`      // The response ends in the middle of its body.
	Corrupt      *toxic.Corrupt      `yaml:"corrupt"`       // Bytes of the body are changed.
	SlowBody     *toxic.SlowBody     `yaml:"slow_body"`     // The body of the response trickles.
	Duplicate    *toxic.Duplicate    `yaml:"duplicate"`     // The dependency gets the request twice.
	Partition    *toxic.Partition    `yaml:"partition"`     // Nothing passes: connections hang, new ones too.
	Restart      *Restart            `yaml:"restart"`       // kill -9, then start again; for: is not used, it heals when ready.
	Pause        *Pause              `yaml:"pause"`         // SIGSTOP, then SIGCONT; write pause: {}.

	Kill         *Kill         `yaml:"kill"`          // kill -9; started again when it is healed; write kill: {}.
	CPU          *CPU          `yaml:"cpu"`           // The target's processes get less of the processor.
	Memory       *Memory       `yaml:"memory"`        // The target's processes get no more than a little more memory.
	FD           *FD           `yaml:"fd"`            // The target's processes run out of file descriptors; write fd: {}.
	DiskFull     *DiskFull     `yaml:"disk_full"`     // A file system of the target is full.
	Exec         *Exec         `yaml:"exec"`          // A command injects, another heals.
	NetPartition *NetPartition `yaml:"net_partition"` // Packets are lost in a network namespace.
	NetRate      *NetRate      `yaml:"net_rate"`      // A device of a network namespace is slow.
	RegionLoss   *RegionLoss   `yaml:"region_loss"`   // All that is labelled with a region is lost at once; on: is not used.
	LinkEvent    `yaml:",inline"`
}

func (Event) Required() []string { return []string{"at"} }

// eventKinds are the keys of which an event has exactly one.
var eventKinds = kindsOf(reflect.TypeFor[Event]())

// Kind is the key of the fault, like latency or restart.
func (e Event) Kind() string {
	kind, _ := given(e)
	return kind
}

// Lasts is how long the fault is meant to be in force: For, and the downtime of
// a restart.
func (e Event) Lasts() time.Duration {
	if e.Restart != nil {
		return e.Restart.Downtime
	}
	return e.For
}

// Toxic is what a link does while the event is in force; nil for what does not
// happen to a link.
func (e Event) Toxic() toxic.Toxic {
	_, fault := given(e)
	t, _ := fault.(toxic.Toxic)
	return t
}

// Effects is what the fault may do to calls that it happens to. What a command
// does is not known: calls may take longer.
func (e Event) Effects() toxic.Effects {
	if t := e.Toxic(); t != nil {
		return toxic.EffectsOf(t)
	}
	switch {
	case e.Pause != nil, e.NetPartition != nil, e.RegionLoss != nil:
		return toxic.Effects{Holds: true}
	case e.Restart != nil, e.Kill != nil:
		return toxic.Effects{Slows: true, Ends: true, Strikes: true}
	case e.CPU != nil, e.Memory != nil, e.FD != nil, e.DiskFull != nil, e.NetRate != nil, e.Exec != nil:
		return toxic.Effects{Slows: true}
	}
	return toxic.Effects{}
}

// String names the event for people: its name, or like "errors 503 to 100% on
// payments".
func (e Event) String() string {
	switch {
	case e.Name != "":
		return e.Name
	case e.RegionLoss != nil:
		return "loss of region " + e.RegionLoss.Region
	}
	return e.What() + " on " + e.On
}

func (r *rules) events() {
	names := map[string]bool{}
	for i := range r.x.Chaos {
		e, path := &r.x.Chaos[i], strict.Path("chaos").Item(i)
		if at := path.Child("name"); r.Sound(at) {
			if names[e.Name] {
				r.Wrong(at, fmt.Sprintf("name: event %s is given twice", strict.Quote(e.Name)), "")
			}
			names[e.Name] = true
		}
		kind := r.OneOf(path, eventKinds)
		r.times(path, e, kind)
		r.repeats(i)
		r.fault(path, e, kind)
		r.apart(i, kind)
	}
}

// fault checks what an event injects, and where.
func (r *rules) fault(path strict.Path, e *Event, kind string) {
	if kind != "region_loss" && !r.Has(path.Child("on")) {
		r.Missing(path, "on", "add on: NAME")
	}
	switch kind {
	case "region_loss":
		r.loss(path, e)
	case "": // several are too many, and where they are meant to happen may be wrong too
		if given := r.Given(path, eventKinds); len(given) > 1 && e.hostKind() == "" && r.x.Targets[e.On] == nil {
			r.onLink(path, e, given[0])
		}
	case e.hostKind():
		if kind != "exec" || r.x.Links[e.On] == nil {
			r.onTarget(path.Child("on"), e.On, kind)
		}
		r.hostFault(path, e, kind)
	default:
		r.onLink(path, e, kind)
		r.selects(path.Child(kind), e)
		r.recording(path.Child(kind), e.Latency)
		r.answers(path.Child(kind), e.Errors)
		r.onProtocol(path, e, kind)
	}
}

// times checks that an event begins and ends while the load is there to show
// what it does: a healing after it could not be judged.
func (r *rules) times(path strict.Path, e *Event, kind string) {
	at, length, until := path.Child("at"), path.Child("for"), e.For
	switch {
	case kind == "restart":
		if r.Has(length) {
			r.WrongKey(length, "for: does not go with restart",
				"it is healed when the target is ready again; restart: {downtime: 2s} keeps it away longer")
		}
		length, until = path.Child("restart", "downtime"), e.Restart.Downtime
	case kind == "kill" && e.Kill.ForGood:
		if r.Has(length) {
			r.WrongKey(length, "for: does not go with for_good", "it stays dead to the end of the run")
		}
		until = 0
	case kind != "" && !r.Has(length):
		r.Missing(path, "for", "add for: 10s")
	default:
		r.positive(length, e.For > 0)
	}
	if r.length == 0 || !r.Sound(at) {
		return
	}
	switch {
	case e.At >= r.length:
		r.Wrong(at, fmt.Sprintf("at: %s is too late", unit.FormatDuration(e.At)), r.end())
	case r.Sound(length) && until > r.length-e.At:
		r.Wrong(length, fmt.Sprintf("%s: it is not healed before the end", length.Tail()),
			fmt.Sprintf("%s, so this is at most %s", r.end(), unit.FormatDuration(r.length-e.At)))
	}
}

func (r *rules) onLink(path strict.Path, e *Event, kind string) {
	at := path.Child("on")
	if t := r.x.Targets[e.On]; t != nil && r.x.Links[e.On] == nil && r.Sound(at) {
		r.Wrong(at, fmt.Sprintf("on: %s is a target, %s takes a link", strict.Quote(e.On), kind), strict.Suggest("", "links", r.links))
		return
	}
	r.toLink(at, e.On)
}

// recording reads what a latency is drawn from.
func (r *rules) recording(path strict.Path, l *toxic.Latency) {
	if l == nil || l.Recorded == "" || !r.opts.Here || !r.Sound(path.Child("recorded")) {
		return
	}
	err := loadRecording(l, filepath.Dir(r.File))
	if err == nil {
		return
	}
	key, _, _ := strings.Cut(err.Error(), ":")
	if at := path.Child(key); r.Sound(at) {
		r.Wrong(at, err.Error(), "")
	} else {
		r.Wrong(path, "latency: "+err.Error(), "")
	}
}

// answers checks that an answer in the dependency's place is one that a caller
// could take for an error.
func (r *rules) answers(path strict.Path, e *toxic.Errors) {
	at := path.Child("status")
	if e == nil || e.GRPC != 0 || e.Body != "" || len(e.Headers) > 0 || !r.Sound(at) {
		return
	}
	for _, status := range e.Status {
		if status < 300 {
			r.Wrong(at, fmt.Sprintf("status: %d by itself is no error", status),
				"give the body: or headers: that make it one, or a status from 300 on")
			return
		}
	}
}

// selects checks that a count that is given means something, and that what
// grows comes to its full size.
func (r *rules) selects(path strict.Path, e *Event) {
	t := e.Toxic()
	if t == nil {
		return
	}
	s := t.Selection()
	r.positive(path.Child("first"), s.First != 0)
	r.positive(path.Child("every"), s.Every != 0)
	r.positive(path.Child("max_active"), s.MaxActive != 0)
	if s.Match != nil {
		r.positive(path.Child("match", "connection"), s.Match.Connection != 0)
	}
	if on := path.Child("cycle", "on"); s.Cycle != nil && r.Sound(on) && s.Cycle.On >= e.For && e.For > 0 {
		r.Wrong(on, fmt.Sprintf("on: it does not go again in %s", unit.FormatDuration(e.For)),
			"make it shorter than for:, or leave out cycle:")
	}
	ramp := path.Child("ramp")
	r.positive(ramp, s.Ramp != 0)
	if r.Sound(ramp) && s.Ramp > e.For && e.For > 0 {
		r.Wrong(ramp, fmt.Sprintf("ramp: it does not come to its full size in %s", unit.FormatDuration(e.For)), "make it shorter than for:")
	}
}

func (r *rules) onTarget(at strict.Path, name, kind string) {
	t := r.x.Targets[name]
	switch {
	case !r.Sound(at):
	case t == nil && r.x.Links[name] != nil:
		r.Wrong(at, fmt.Sprintf("%s: %s is a link, %s takes a target", at.Tail(), strict.Quote(name), kind),
			strict.Suggest("", "targets", slices.Sorted(maps.Keys(r.x.Targets))))
	case t == nil:
		r.toTarget(at, name)
	case r.Has(strict.Path("targets").Child(name, "url")):
		r.byPidFile(at, t, name, kind)
	}
}

// apart checks that one fault at a time happens to a target's process: what
// would be healed first is undefined.
func (r *rules) apart(i int, kind string) {
	e := &r.x.Chaos[i]
	if kind == "" || !e.onProcess() {
		return
	}
	for j := range r.x.Chaos[:i] {
		o := &r.x.Chaos[j]
		if !r.x.Clash(*e, *o) || !r.Sound(strict.Path("chaos").Item(j)) || !r.Sound(strict.Path("chaos").Item(i)) {
			continue
		}
		if e.At <= r.until(o) && o.At <= r.until(e) {
			r.Wrong(strict.Path("chaos").Item(i).Child("at"), fmt.Sprintf("at: this %s overlaps %s", kind, strict.Path("chaos").Item(j)),
				"one fault at a time happens to a target's process")
			return
		}
	}
}

// until is when an event is over.
func (r *rules) until(e *Event) time.Duration {
	if e.Kill != nil && e.Kill.ForGood {
		return r.length
	}
	return e.At + e.Lasts()
}
