package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// timeline is the chaos of the experiment on what runs, or will.
func (s *services) timeline() timeline.Timeline {
	var t timeline.Timeline
	for i, e := range s.x.Chaos {
		event := timeline.Event{Index: i, At: e.At, For: e.Lasts(), Fault: s.fault(i, e)}
		if e.Kill != nil && e.Kill.ForGood {
			event.For = max(0, s.length-e.At)
		}
		t = append(t, event)
	}
	return t
}

// fault is what an event injects.
func (s *services) fault(i int, e experiment.Event) timeline.Fault {
	held := host.Held{Lease: s.lease, Name: e.String()}
	switch {
	case e.Restart != nil && e.Restart.Rolling:
		return rolling{s.startables(e.Everybody()), e.Everybody(), e.Restart.Downtime}
	case e.Restart != nil:
		return restart{s.startables(e.Everybody()), e.Everybody()}
	case e.Kill != nil && s.x.Targets[e.On].PidFile != "":
		return host.Kill{Subject: s.pidFile(e.On)}
	case e.Kill != nil:
		return kill{started{s, e.On}, e.Kill.ForGood}
	case e.Pause != nil:
		return host.Pause{Held: held, Subject: s.subject(e.On)}
	case e.CPU != nil && e.CPU.By == "stop":
		return host.Slow{Held: held, Subject: s.subject(e.On), Runs: e.CPU.Cores}
	case e.CPU != nil:
		return host.CPU{Held: held, Subject: s.subject(e.On), Cores: e.CPU.Cores}
	case e.Memory != nil && e.Memory.By == "rlimit":
		return host.Space{Held: held, Subject: s.subject(e.On), Free: e.Memory.Free}
	case e.Memory != nil:
		return host.Memory{Held: held, Subject: s.subject(e.On), Free: e.Memory.Free, High: e.Memory.By == "high"}
	case e.FD != nil:
		return host.Descriptors{Held: held, Subject: s.subject(e.On), Free: e.FD.Free}
	case e.DiskFull != nil:
		return host.Disk{Held: held, Dir: e.DiskFull.Dir, Leave: e.DiskFull.Leave, AtMost: e.DiskFull.AtMost, Own: s.ownFolders()}
	case e.Exec != nil:
		return host.Command{Held: held, InjectWith: e.Exec.Inject, HealWith: e.Exec.Heal, Dir: e.Exec.Dir, Within: e.Exec.Within, Output: s.outputOf(i)}
	case e.NetPartition != nil:
		n := e.NetPartition
		return host.Partition{Held: held, Netns: n.Netns, Peers: prefixes(n.Peers), In: n.Direction != "out", Out: n.Direction != "in"}
	case e.NetRate != nil:
		return host.Rate{Held: held, Netns: e.NetRate.Netns, Device: e.NetRate.Device, Limit: e.NetRate.Limit}
	}
	return onLink{s.relays[e.On], i, e.Toxic(), e.Way()}
}

// onLink is a toxic in a link's relay.
type onLink struct {
	relay     proxy.Relay
	index     int
	toxic     toxic.Toxic
	direction toxic.Direction
}

func (f onLink) Inject(context.Context) (timeline.Heal, error) {
	remove, err := f.relay.Add(f.index, f.toxic, f.direction)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { remove(); return nil }, nil
}

// Counts is what the link counted of the fault: exchanges that it took, and
// those it let go because it had hold of as many as it may.
func (f onLink) Counts() (hit, overflow uint64) {
	return f.relay.Hit(f.index), f.relay.Overflow(f.index)
}

func (f onLink) String() string { return f.toxic.String() }

// outputOf is where the commands of an event write; "" in a plan.
func (s *services) outputOf(i int) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, "targets", fmt.Sprintf("exec-%d.log", i))
}

// ownFolders are those whose file systems must not be filled.
func (s *services) ownFolders() []string {
	folders := []string{s.dir}
	if s.lease != nil {
		folders = append(folders, filepath.Dir(s.lease.Journal()))
	}
	return folders
}

func prefixes(cidrs []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range cidrs {
		p, _ := netip.ParsePrefix(text) // it was tried when the file was read
		all = append(all, p)
	}
	return all
}

// subject is the process of a target.
func (s *services) subject(target string) host.Subject {
	if s.x.Targets[target].PidFile != "" {
		return s.pidFile(target)
	}
	return started{s, target}
}

func (s *services) pidFile(target string) host.PidFile {
	return host.PidFile{Path: s.x.Targets[target].PidFile, Allow: s.x.Limits.Processes}
}

func (s *services) startables(names []string) []startable {
	var all []startable
	for _, name := range names {
		all = append(all, started{s, name})
	}
	return all
}

// started is a target that we start, before and after we have.
type started struct {
	s    *services
	name string
}

func (t started) Kill() error                       { return t.s.running[t.name].Kill() }
func (t started) Restart(ctx context.Context) error { return t.s.running[t.name].Restart(ctx) }

// Process is that of the present incarnation, for its group.
func (t started) Process() (lease.Process, error) {
	r := t.s.running[t.name]
	if r == nil {
		return lease.Process{}, fmt.Errorf("target %s was not started", t.name)
	}
	p, err := lease.Identify(r.Pid())
	if err != nil {
		return p, fmt.Errorf("target %s does not run: %w", t.name, err)
	}
	p.Group = true
	return p, nil
}

func (t started) String() string {
	target := t.s.x.Targets[t.name]
	if target.Process != nil {
		return fmt.Sprintf("the process of %s (%s)", t.name, strings.Join(target.Process.Command, " "))
	}
	return fmt.Sprintf("the process of %s (reference %s)", t.name, target.Reference)
}

// check asks every fault whether it could be made, before anything is started.
// The error names each event that could not, and what is missing.
func check(ctx context.Context, x *experiment.Experiment, t timeline.Timeline) error {
	var errs []error
	for _, e := range t {
		if f, ok := e.Fault.(host.Fault); ok {
			if err := f.Check(ctx); err != nil {
				errs = append(errs, fmt.Errorf("chaos[%d] (%s at %s): %w", e.Index, x.Chaos[e.Index], unit.FormatDuration(e.At), err))
			}
		}
	}
	return errors.Join(errs...)
}

// outlives reports whether some fault could outlive us, and needs a guardian.
func outlives(t timeline.Timeline) bool {
	for _, e := range t {
		switch e.Fault.(type) {
		case host.Kill:
		case host.Fault:
			return true
		}
	}
	return false
}
