package testbed

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// Timeline is the chaos of the experiment on what runs, or will, beside a load of
// such a length, the warm-up apart; 0 if that is not known yet.
func (b *Testbed) Timeline(length time.Duration) timeline.Timeline {
	var t timeline.Timeline
	for i, e := range b.x.Chaos {
		event := timeline.Event{Index: i, At: e.At, For: e.Lasts(), Every: e.Every, Until: length, Fault: b.fault(i, e)}
		if e.Kill != nil && e.Kill.ForGood {
			event.For = max(0, length-e.At)
		}
		t = append(t, event)
	}
	return t
}

// ByHand is the fault of an event that somebody injects while the run goes on. i is its
// index in the run: the events of the experiment have the lower ones. It may be called
// beside Watch, and its faults may act beside each other where no two of them happen to
// one process.
func (b *Testbed) ByHand(i int, e experiment.Event) timeline.Fault { return b.fault(i, e) }

// palette is what may be injected by hand, numbered behind the events.
func (b *Testbed) palette() (t timeline.Timeline) {
	if b.x.GameDay == nil {
		return nil
	}
	for i, c := range b.x.GameDay.Palette {
		n := len(b.x.Chaos) + i
		t = append(t, timeline.Event{Index: n, For: c.Lasts(), Fault: b.fault(n, c.Event)})
	}
	return t
}

// fault is what an event injects.
func (b *Testbed) fault(i int, e experiment.Event) timeline.Fault {
	leased := host.Leased{Lease: b.lease, Name: e.String()}
	switch {
	case e.Restart != nil && e.Restart.Rolling:
		return rolling{b.startables(e.Targets()), b.everyInstance(e.Targets()), e.Restart.Downtime}
	case e.Restart != nil:
		return restart{b.startables(e.Targets()), b.everyInstance(e.Targets())}
	case e.Kill != nil && b.x.Targets[e.On].PidFile != "":
		return host.Kill{Subject: b.pidFile(e.On)}
	case e.Kill != nil:
		return kill{together(b.startables([]string{e.On})), e.Kill.ForGood}
	case e.Pause != nil:
		return host.Pause{Leased: leased, Subject: b.subject(e.On)}
	case e.CPU != nil && e.CPU.By == "stop":
		return host.DutyCycle{Leased: leased, Subject: b.subject(e.On), Runs: e.CPU.Cores}
	case e.CPU != nil:
		return host.CPU{Leased: leased, Subject: b.subject(e.On), Cores: e.CPU.Cores}
	case e.Memory != nil && e.Memory.By == "rlimit":
		return host.AddressSpace{Leased: leased, Subject: b.subject(e.On), Free: e.Memory.Free}
	case e.Memory != nil:
		return host.Memory{Leased: leased, Subject: b.subject(e.On), Free: e.Memory.Free, High: e.Memory.By == "high"}
	case e.FD != nil:
		return host.Descriptors{Leased: leased, Subject: b.subject(e.On), Free: e.FD.Free}
	case e.DiskFull != nil:
		return host.Disk{Leased: leased, Dir: e.DiskFull.Dir, Leave: e.DiskFull.Leave, AtMost: e.DiskFull.AtMost, Own: b.ownFolders()}
	case e.Exec != nil:
		return host.Command{Leased: leased, InjectWith: e.Exec.Inject, HealWith: e.Exec.Heal,
			Dir: e.Exec.Dir, Within: e.Exec.Within, Output: b.outputOf(i)}
	case e.RegionLoss != nil:
		return b.regionLoss(i, leased, e.RegionLoss.Region)
	case e.NetPartition != nil && len(e.NetPartition.Between) > 0:
		return b.between(leased, e.NetPartition.Between)
	case e.NetPartition != nil:
		n := e.NetPartition
		return host.Partition{Leased: leased, Netns: n.Netns, Peers: prefixes(n.Peers), In: n.Direction != "out", Out: n.Direction != "in"}
	case e.NetRate != nil:
		return host.Rate{Leased: leased, Netns: e.NetRate.Netns, Device: e.NetRate.Device, Limit: e.NetRate.Limit}
	}
	return onLink{b.Relays[e.On], i, e.Toxic(), e.ToxicDirection()}
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
func (b *Testbed) outputOf(i int) string {
	if b.opts.Dir == "" {
		return ""
	}
	return filepath.Join(b.opts.Dir, "targets", fmt.Sprintf("exec-%d.log", i))
}

// ownFolders are those whose file systems must not be filled.
func (b *Testbed) ownFolders() []string {
	folders := []string{b.opts.Dir}
	if b.lease != nil {
		folders = append(folders, filepath.Dir(b.lease.Journal()))
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
func (b *Testbed) subject(target string) host.Subject {
	if b.x.Targets[target].PidFile != "" {
		return b.pidFile(target)
	}
	return ownTarget{b, target}
}

func (b *Testbed) pidFile(target string) host.PidFile {
	return host.PidFile{Path: b.x.Targets[target].PidFile, Allow: b.x.Limits.Processes}
}

func (b *Testbed) startables(names []string) []startable {
	var all []startable
	for _, name := range names {
		for _, one := range b.instances(name) {
			all = append(all, ownTarget{b, one})
		}
	}
	return all
}

// ownTarget is a target that we start, before and after we have.
type ownTarget struct {
	bed  *Testbed
	name string
}

func (t ownTarget) Kill() error                       { return t.bed.running[t.name].Kill() }
func (t ownTarget) Restart(ctx context.Context) error { return t.bed.running[t.name].Restart(ctx) }

// Process is that of the present incarnation, for its group.
func (t ownTarget) Process() (lease.Process, error) {
	r := t.bed.running[t.name]
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

func (t ownTarget) String() string {
	target := t.bed.x.Targets[t.bed.targetOf(t.name)]
	if target.Process != nil {
		return fmt.Sprintf("the process of %s (%s)", t.name, strings.Join(target.Process.Command, " "))
	}
	return fmt.Sprintf("the process of %s (reference %s)", t.name, target.Reference)
}
