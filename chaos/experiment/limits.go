package experiment

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Limits is the blast radius.
type Limits struct {
	Allow []string `yaml:"allow"` // CIDRs that may be touched; absent means loopback: 127.0.0.0/8 and ::1/128.
	// Programs, by path or by name like nginx, whose processes faults may touch though stormctl did not start them;
	// absent means none.
	Processes []string `yaml:"processes"`
	// Unix sockets that load may go to, by path, relative to the experiment file; absent means those beside the experiment file
	// and below, but through links. Behind one may be a service that does what it is asked as root, like Docker's.
	Sockets []string `yaml:"sockets"`
	Netns   []string `yaml:"netns"` // Network namespaces that faults may touch; absent means none.
	// A file that ends the run early, everything healed, as soon as it is there; relative to the experiment file,
	// absolute once read.
	StopFile string `yaml:"stop_file"`
	StopIf   []Stop `yaml:"stop_if"` // Conditions that end the run early, everything healed.
}

func (l *Limits) Defaults() { l.Allow = slices.Clone(allow.Loopback) }

// Stop ends the run when something has been worse than this for a while.
// Exactly one condition is given: of a route, of a link, or of the harness.
type Stop struct {
	Route string        `yaml:"route"` // With success_below; absent means all routes together.
	Link  string        `yaml:"link"`  // With errors_above, p99_above and in_flight_above; they need it.
	For   time.Duration `yaml:"for"`   // For this long, in whole seconds; absent means 1s.

	SuccessBelow  unit.Share    `yaml:"success_below"`   // Share of a route's responses below status 400.
	ErrorsAbove   unit.Share    `yaml:"errors_above"`    // Share of a link's exchanges with status 500 or more, or with no response.
	P99Above      time.Duration `yaml:"p99_above"`       // 99th percentile of the time that a link's exchanges took.
	InFlightAbove int           `yaml:"in_flight_above"` // Exchanges in progress on a link at the end of a second.
	SendLagAbove  time.Duration `yaml:"send_lag_above"`  // 99th percentile of the send lag: the harness sends late.
	CPUAbove      float64       `yaml:"cpu_above"`       // Cores that the harness uses.
}

func (s *Stop) Defaults() { s.For = time.Second }

// stopKinds are the keys of which a condition has exactly one.
var stopKinds = []string{"success_below", "errors_above", "p99_above", "in_flight_above", "send_lag_above", "cpu_above"}

// Kind is the key of the condition.
func (s Stop) Kind() string {
	switch {
	case s.SuccessBelow > 0:
		return "success_below"
	case s.ErrorsAbove > 0:
		return "errors_above"
	case s.P99Above > 0:
		return "p99_above"
	case s.InFlightAbove > 0:
		return "in_flight_above"
	case s.SendLagAbove > 0:
		return "send_lag_above"
	}
	return "cpu_above"
}

// String is the condition for people, without how long it must last.
func (s Stop) String() string { return s.said("is", "are", "uses", "all routes together") }

// Past is a condition that was met.
func (s Stop) Past() string { return s.said("was", "were", "used", "all routes") }

func (s Stop) said(is, are, uses, all string) string {
	switch s.Kind() {
	case "success_below":
		who := fmt.Sprintf("route %q", s.Route)
		if s.Route == "" {
			who = all
		}
		return fmt.Sprintf("success of %s %s below %v", who, is, s.SuccessBelow)
	case "errors_above":
		return fmt.Sprintf("errors of link %q %s above %v", s.Link, are, s.ErrorsAbove)
	case "p99_above":
		return fmt.Sprintf("p99 of link %q %s above %v", s.Link, is, s.P99Above)
	case "in_flight_above":
		return fmt.Sprintf("more than %d exchanges of link %q %s in flight", s.InFlightAbove, s.Link, are)
	case "send_lag_above":
		return fmt.Sprintf("p99 of the send lag %s above %v", is, s.SendLagAbove)
	}
	return fmt.Sprintf("the harness %s more than %v cores", uses, s.CPUAbove)
}

func (r *rules) limits() {
	l := &r.x.Limits
	if r.Sound("limits.allow") && len(l.Allow) == 0 {
		r.Wrong("limits.allow", "allow: is empty", "nothing could be touched; leave it out for loopback")
	}
	for i, cidr := range l.Allow {
		r.cidr(strict.Path("limits.allow").Item(i), "allow", cidr)
	}
	for i, program := range l.Processes {
		r.program(strict.Path("limits.processes").Item(i), program)
	}
	for i, socket := range l.Sockets {
		if at := strict.Path("limits.sockets").Item(i); r.Sound(at) && (socket == "" || strings.Contains(socket, "\x00")) {
			r.Wrong(at, fmt.Sprintf("sockets: %s is not the path of a socket", strict.Quote(socket)), "write it like /run/app.sock")
		}
	}
	for i, netns := range l.Netns {
		if at := strict.Path("limits.netns").Item(i); r.Sound(at) && !plainName(netns) {
			r.Wrong(at, fmt.Sprintf("netns: %s is not the name of a network namespace", strict.Quote(netns)),
				"write it as `ip netns list` shows it")
		}
	}
}

// socketAllowed reports whether load may go to a unix socket.
func (r *rules) socketAllowed(socket string) bool {
	whole := filepath.Clean(r.beside(socket))
	folder := filepath.Dir(r.File)
	below, err := filepath.Rel(folder, whole)
	if err == nil && filepath.IsLocal(below) && !throughLink(folder, below) {
		return true
	}
	return slices.ContainsFunc(r.x.Limits.Sockets, func(allowed string) bool { return filepath.Clean(r.beside(allowed)) == whole })
}

// throughLink reports whether a part of a path below a folder is a link: it may have come
// with the folder, and lead anywhere.
func throughLink(folder, below string) bool {
	for part := range strings.SplitSeq(below, string(filepath.Separator)) {
		folder = filepath.Join(folder, part)
		if info, err := os.Lstat(folder); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

func (r *rules) stops() {
	for i, s := range r.x.Limits.StopIf {
		path := strict.Path("limits.stop_if").Item(i)
		kind := r.OneOf(path, stopKinds)
		route, link := path.Child("route"), path.Child("link")
		switch kind {
		case "":
		case "success_below":
			if r.Has(link) {
				r.WrongKey(link, "link: does not go with "+kind, "it is a figure of routes")
			}
			r.toRoute(route, s.Route)
		case "errors_above", "p99_above", "in_flight_above":
			if r.Has(route) {
				r.WrongKey(route, "route: does not go with "+kind, "it is a figure of links")
			}
			if !r.Has(link) {
				r.Missing(path, "link", "add link: NAME")
			} else {
				r.toLink(link, s.Link)
			}
		default:
			for _, at := range []strict.Path{route, link} {
				if r.Has(at) {
					r.WrongKey(at, at.Tail()+": does not go with "+kind, "it is a figure of the harness")
				}
			}
		}
		r.positive(path.Child(kind), map[string]bool{
			"success_below": s.SuccessBelow > 0, "errors_above": s.ErrorsAbove > 0, "p99_above": s.P99Above > 0,
			"in_flight_above": s.InFlightAbove > 0, "send_lag_above": s.SendLagAbove > 0, "cpu_above": s.CPUAbove > 0}[kind])
		if at := path.Child("for"); r.Sound(at) && (s.For < time.Second || s.For%time.Second != 0) {
			r.Wrong(at, fmt.Sprintf("for: %s is not in whole seconds", unit.FormatDuration(s.For)), "it is looked at once a second")
		}
	}
}
