package experiment

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Limits is the blast radius.
type Limits struct {
	Allow  []string `yaml:"allow"`   // CIDRs that may be touched; absent means loopback: 127.0.0.0/8 and ::1/128.
	StopIf []Stop   `yaml:"stop_if"` // Conditions that end the run early, everything healed.
}

func (l *Limits) Defaults() { l.Allow = []string{"127.0.0.0/8", "::1/128"} }

// Stop ends the run when a route has been worse than this for a while.
type Stop struct {
	Route        string        `yaml:"route"`         // Absent means all routes together.
	SuccessBelow unit.Share    `yaml:"success_below"` // Share of responses below status 400.
	For          time.Duration `yaml:"for"`           // For this long, in whole seconds; absent means 1s.
}

func (s *Stop) Defaults() { s.For = time.Second }

func (Stop) Required() []string { return []string{"success_below"} }

func (r *rules) limits() {
	l := &r.x.Limits
	if r.sound("limits.allow") && len(l.Allow) == 0 {
		r.wrong("limits.allow", "allow: is empty", "nothing could be touched; leave it out for loopback")
	}
	for i, cidr := range l.Allow {
		at := item("limits.allow", i)
		if !r.sound(at) {
			continue
		}
		p, err := netip.ParsePrefix(cidr)
		if addr, e := netip.ParseAddr(cidr); e == nil {
			r.wrong(at, fmt.Sprintf("allow: %s is one address", quote(cidr)), fmt.Sprintf("write it as a CIDR: %s/%d", addr, addr.BitLen()))
		} else if err != nil {
			r.wrong(at, fmt.Sprintf("allow: %s is not a CIDR", quote(cidr)), "write it like 10.0.0.0/8 or ::1/128")
		} else if p != p.Masked() {
			r.wrong(at, fmt.Sprintf("allow: %s has bits behind its mask", quote(cidr)), fmt.Sprintf("write %s", p.Masked()))
		}
	}
}

func (r *rules) stops() {
	for i, s := range r.x.Limits.StopIf {
		path := item("limits.stop_if", i)
		r.toRoute(child(path, "route"), s.Route)
		r.positive(child(path, "success_below"), s.SuccessBelow > 0)
		if at := child(path, "for"); r.sound(at) && (s.For < time.Second || s.For%time.Second != 0) {
			r.wrong(at, fmt.Sprintf("for: %s is not in whole seconds", unit.FormatDuration(s.For)), "it is looked at once a second")
		}
	}
}
