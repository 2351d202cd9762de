package experiment

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Restart kills a target that stormctl started with SIGKILL and starts it again.
type Restart struct {
	Downtime time.Duration `yaml:"downtime"` // Between death and the new start; absent means none.
	Others   []string      `yaml:"others"`   // Further targets that are restarted as well: all at once, unless rolling.
	Rolling  bool          `yaml:"rolling"`  // One after another: the next is killed when the one before is ready again.
}

// Pause stops a target's process with SIGSTOP and continues it with SIGCONT.
type Pause struct{}

// Kill ends a target's process with SIGKILL. A target that stormctl started is
// started again when the fault is healed.
type Kill struct {
	// It stays dead to the end of the run; for: is not used. A process from a pid_file can only be killed so.
	ForGood bool `yaml:"for_good"`
}

// mostCores is more than any machine has. The kernel counts what a cgroup may
// use in microseconds, and far above it there is no such number.
const mostCores = 10_000

// CPU leaves a target's processes less of the processor.
type CPU struct {
	Cores float64 `yaml:"cores"` // How many cores' worth they may use together, like 0.5.
	// cgroup (default: the kernel's bandwidth control), or stop: they stand still for the rest of every 100 ms; then
	// cores is below 1, and the part of the time in which all of them run.
	By string `yaml:"by"`
}

func (c *CPU) Defaults() { c.By = "cgroup" }

func (CPU) Required() []string { return []string{"cores"} }

// Memory leaves a target's processes only so much more memory than they have.
type Memory struct {
	Free unit.Size `yaml:"free"` // How much more they may take; what they have already does not count.
	// max (default: memory of a cgroup; past it the kernel kills), high (past it they are slowed down), or rlimit:
	// address space per process; past it allocations fail.
	By string `yaml:"by"`
}

func (m *Memory) Defaults() { m.By = "max" }

func (Memory) Required() []string { return []string{"free"} }

// DiskFull fills a file system of bounded size with a file, which is removed
// when it is healed. The root file system, and those that stormctl itself
// writes to, are refused.
type DiskFull struct {
	// A folder on that file system, which is a mount of its own; relative to the experiment file, absolute once
	// read.
	Dir    string    `yaml:"dir"`
	Leave  unit.Size `yaml:"leave"`   // What stays free; absent means nothing does.
	AtMost unit.Size `yaml:"at_most"` // Refuse to write more than this; absent means 1GiB.
}

func (d *DiskFull) Defaults() { d.AtMost = 1 << 30 }

func (DiskFull) Required() []string { return []string{"dir"} }

// FD leaves a target's processes few file descriptors (RLIMIT_NOFILE): what is
// open stays so, and opening and accepting more fails.
type FD struct {
	Free int `yaml:"free"` // How many more each process can open; absent means none.
}

// Exec runs a command to inject and another to heal, for whatever stormctl has
// no fault of its own for. Neither goes through a shell.
type Exec struct {
	Inject []string `yaml:"inject"` // Program and arguments; the fault is in force when it has ended with status 0.
	// Program and arguments; also run if inject failed, and after our death: it must be right to run it when there
	// is nothing to heal, and twice.
	Heal []string `yaml:"heal"`
	// Working folder, relative to the experiment file; absent means the file's folder. Absolute once read.
	Dir    string        `yaml:"dir"`
	Within time.Duration `yaml:"within"` // How long each of them may take before it is killed; absent means 10s.
}

func (e *Exec) Defaults() { e.Within = 10 * time.Second }

func (Exec) Required() []string { return []string{"inject", "heal"} }

// NetPartition drops packets with nftables: between targets, or in a network
// namespace. on: names the target that it concerns.
type NetPartition struct {
	// Targets with host: own, in groups like [[n1], [n2, n3]]: no packet goes from one group to another; who is in none,
	// and the load, reach all. Instead of netns.
	Between [][]string `yaml:"between"`
	Netns   string     `yaml:"netns"` // The network namespace, as ip-netns names it; limits: {netns: [...]} must allow it.
	Peers   []string   `yaml:"peers"` // With netns: CIDRs that are cut off; absent means everybody but the namespace's own loopback.
	// With netns: both (default), in (what comes from them is lost) or out (what goes to them is lost).
	Direction string `yaml:"direction"`
}

func (n *NetPartition) Defaults() { n.Direction = "both" }

// partitionForms are the keys of which a NetPartition has exactly one.
var partitionForms = []string{"between", "netns"}

// NetRate bounds what leaves a device of a network namespace, with tc's token
// bucket. on: names the target that it concerns.
type NetRate struct {
	Netns  string    `yaml:"netns"`  // The network namespace, as ip-netns names it; limits: {netns: [...]} must allow it.
	Device string    `yaml:"device"` // The device in it, like eth0.
	Limit  unit.Size `yaml:"limit"`  // Bytes per second.
}

func (NetRate) Required() []string { return []string{"netns", "device", "limit"} }

// The words that some keys take.
var (
	cpuWays    = []string{"cgroup", "stop"}
	memoryWays = []string{"max", "high", "rlimit"}
	directions = []string{"both", "in", "out"}
)

// processKinds are the faults that happen to a target's process.
var processKinds = []string{"restart", "pause", "kill", "cpu", "memory", "fd"}

// hostKind returns the key of a fault that is not a link's; "" if it is one.
func (e Event) hostKind() string {
	if e.Toxic() != nil {
		return ""
	}
	return e.Kind()
}

// hostFigure is what a fault that is not a link's has for a figure, or names;
// "" if nothing.
func (e Event) hostFigure() string {
	switch {
	case e.CPU != nil && e.CPU.By == "stop":
		return fmt.Sprintf("%v of the time", e.CPU.Cores)
	case e.CPU != nil:
		return fmt.Sprintf("%v cores", e.CPU.Cores)
	case e.Memory != nil:
		return fmt.Sprintf("%v more", e.Memory.Free)
	case e.FD != nil:
		return fmt.Sprintf("%d free", e.FD.Free)
	case e.DiskFull != nil:
		return e.DiskFull.Dir
	case e.Exec != nil:
		return strings.Join(e.Exec.Inject, " ")
	case e.NetPartition != nil && len(e.NetPartition.Between) > 0:
		return "between " + sides(e.NetPartition.Between)
	case e.NetPartition != nil:
		return "of " + e.NetPartition.Netns
	case e.NetRate != nil:
		return fmt.Sprintf("%v/s", e.NetRate.Limit)
	case e.RegionLoss != nil:
		return e.RegionLoss.Region
	case e.Kill != nil && e.Kill.ForGood:
		return "for good"
	}
	return ""
}

// What is the fault with its figures, like "errors 503 to 100%" or "cpu 0.5
// cores".
func (e Event) What() string {
	if t := e.Toxic(); t != nil {
		return t.String()
	}
	return strings.TrimSpace(e.Kind() + " " + e.hostFigure())
}

// onProcess reports whether it happens to a target's process.
func (e Event) onProcess() bool {
	return e.RegionLoss != nil || slices.Contains(processKinds, e.hostKind())
}

// Targets is the target that it happens to and, with a restart, the others.
func (e Event) Targets() []string {
	if e.Restart != nil {
		return append([]string{e.On}, e.Restart.Others...)
	}
	return []string{e.On}
}

// resolve makes the paths of a fault absolute.
func (e *Event) resolve(folder string) error {
	if e.Latency != nil {
		return absolute(folder, &e.Latency.Recorded)
	}
	if e.DiskFull != nil {
		return absolute(folder, &e.DiskFull.Dir)
	}
	if e.Exec != nil {
		e.Exec.Dir = cmp.Or(e.Exec.Dir, ".")
		return absolute(folder, &e.Exec.Dir)
	}
	return nil
}

// hostFault checks what a fault that is not a link's says.
func (r *rules) hostFault(path strict.Path, e *Event, kind string) {
	at := path.Child(kind)
	if r.Bad(at) {
		return
	}
	switch kind {
	case "restart":
		for i, other := range e.Restart.Others {
			o := at.Child("others").Item(i)
			r.onTarget(o, other, kind)
			if other == e.On || slices.Index(e.Restart.Others, other) < i {
				r.Wrong(o, fmt.Sprintf("others[%d]: %s is restarted already", i, strict.Quote(other)), "remove it")
			}
		}
		if rolling := at.Child("rolling"); r.Sound(rolling) && e.Restart.Rolling && len(e.Restart.Others) == 0 && !r.several(e.On) {
			r.Wrong(rolling, "rolling: there is one target alone", "add others: [...], which follow it")
		}
	case "kill":
		if t := r.x.Targets[e.On]; t != nil && t.PidFile != "" && !e.Kill.ForGood {
			r.WrongKey(at, fmt.Sprintf("kill: stormctl did not start target %s, so it cannot start it again", strict.Quote(e.On)),
				"write kill: {for_good: true} without for:, or use exec")
		}
	case "cpu":
		r.among(at.Child("by"), e.CPU.By, "ways", cpuWays)
		cores := at.Child("cores")
		r.positive(cores, e.CPU.Cores > 0)
		if r.Sound(cores) && e.CPU.Cores > mostCores {
			r.Wrong(cores, fmt.Sprintf("cores: must be at most %d", mostCores), "give less than the processes use, like 0.5")
		}
		if r.Sound(cores) && e.CPU.By == "stop" && e.CPU.Cores >= 1 {
			r.Wrong(cores, fmt.Sprintf("cores: %v is not less than 1", e.CPU.Cores),
				"with by: stop it is the part of the time in which the processes run")
		}
	case "memory":
		r.among(at.Child("by"), e.Memory.By, "ways", memoryWays)
		r.positive(at.Child("free"), e.Memory.Free > 0)
	case "fd":
		if free := at.Child("free"); r.Sound(free) && e.FD.Free < 0 {
			r.Wrong(free, "free: must be 0 or more", "")
		}
	case "disk_full":
		r.positive(at.Child("at_most"), e.DiskFull.AtMost > 0)
	case "exec":
		for key, command := range map[string][]string{"inject": e.Exec.Inject, "heal": e.Exec.Heal} {
			if c := at.Child(key); r.Sound(c) && (len(command) == 0 || command[0] == "") {
				r.Wrong(c, key+": names no program", "write it like [docker, pause, shop]")
			}
		}
		if within := at.Child("within"); r.Sound(within) && (e.Exec.Within <= 0 || e.Exec.Within > 25*time.Second) {
			r.Wrong(within, fmt.Sprintf("within: %s is not more than 0 and at most 25s", unit.FormatDuration(e.Exec.Within)),
				"a heal has 30s in all")
		}
	case "net_partition":
		r.netPartition(path, e)
	case "net_rate":
		r.netns(at.Child("netns"), e.NetRate.Netns)
		if device := at.Child("device"); r.Sound(device) && !plainName(e.NetRate.Device) {
			r.Wrong(device, fmt.Sprintf("device: %s is not the name of a network device", strict.Quote(e.NetRate.Device)),
				"write it like eth0")
		}
		r.positive(at.Child("limit"), e.NetRate.Limit > 0)
	}
}

func (r *rules) netPartition(event strict.Path, e *Event) {
	at := event.Child("net_partition")
	switch r.OneOf(at, partitionForms) {
	case "between":
		r.between(event, e)
		const hint = "the groups say who is cut off from whom, both ways"
		if peers := at.Child("peers"); r.Has(peers) {
			r.WrongKey(peers, "peers: does not go with between", hint)
		}
		if direction := at.Child("direction"); r.Sound(direction) && e.NetPartition.Direction != "both" {
			r.Wrong(direction, "direction: does not go with between", hint)
		}
		return
	case "netns":
		r.netns(at.Child("netns"), e.NetPartition.Netns)
	}
	r.among(at.Child("direction"), e.NetPartition.Direction, "directions", directions)
	for i, cidr := range e.NetPartition.Peers {
		r.cidr(at.Child("peers").Item(i), "peers", cidr)
	}
}

// netns checks that a network namespace may be touched.
func (r *rules) netns(path strict.Path, name string) {
	switch {
	case !r.Sound(path):
	case !plainName(name):
		r.Wrong(path, fmt.Sprintf("netns: %s is not the name of a network namespace", strict.Quote(name)),
			"write it as `ip netns list` shows it")
	case r.Bad("limits.netns"):
	case !slices.Contains(r.x.Limits.Netns, name):
		r.Wrong(path, fmt.Sprintf("netns: %s is outside limits.netns", strict.Quote(name)),
			fmt.Sprintf("it may be touched only if limits: {netns: [%s]} says so", name))
	}
}

// plainName is what names a network namespace or device: it becomes an argument
// of other programs, and part of a path.
func plainName(name string) bool {
	return nameSyntax.MatchString(name) && len(name) <= 64
}

// cidr checks a prefix of a list.
func (r *rules) cidr(at strict.Path, key, cidr string) {
	if !r.Sound(at) {
		return
	}
	p, err := netip.ParsePrefix(cidr)
	if addr, e := netip.ParseAddr(cidr); e == nil {
		r.Wrong(at, fmt.Sprintf("%s: %s is one address", key, strict.Quote(cidr)),
			fmt.Sprintf("write it as a CIDR: %s/%d", addr, addr.BitLen()))
	} else if err != nil {
		r.Wrong(at, fmt.Sprintf("%s: %s is not a CIDR", key, strict.Quote(cidr)), "write it like 10.0.0.0/8 or ::1/128")
	} else if p != p.Masked() {
		r.Wrong(at, fmt.Sprintf("%s: %s has bits behind its mask", key, strict.Quote(cidr)), fmt.Sprintf("write %s", p.Masked()))
	}
}

// byPidFile checks a fault on the process of a target that stormctl did not
// start: it is named by a file, and limits allow its program.
func (r *rules) byPidFile(at strict.Path, t *Target, name, kind string) {
	switch {
	case !slices.Contains(processKinds, kind):
		return // its process is left alone
	case t.PidFile == "":
		hint := "make it a process"
		if kind != "restart" {
			hint += ", or name its process by pid_file"
		}
		r.Wrong(at, fmt.Sprintf("on: target %s is a url: stormctl did not start it, so it cannot %s", strict.Quote(name), verbs[kind]),
			hint)
	case kind == "restart":
		r.Wrong(at, fmt.Sprintf("on: target %s is a url: stormctl did not start it, so it cannot start it again", strict.Quote(name)),
			"make it a process, or use exec")
	case len(r.x.Limits.Processes) == 0 && !r.Bad("limits.processes"):
		r.Wrong(at, fmt.Sprintf("on: the process of target %s is not stormctl's own, and limits.processes allows none", strict.Quote(name)),
			"name its program: limits: {processes: [/usr/sbin/nginx]}")
	}
}

// verbs say what a process fault does to its target.
var verbs = map[string]string{"restart": "restart it", "pause": "pause it", "kill": "kill it", "cpu": "slow it down",
	"memory": "limit it", "fd": "limit it"}

// program checks an entry of limits.processes.
func (r *rules) program(at strict.Path, text string) {
	if r.Sound(at) && (text == "" || strings.Contains(text, "/") && !filepath.IsAbs(text)) {
		r.Wrong(at, fmt.Sprintf("processes: %s is neither a path nor a name", strict.Quote(text)),
			"write the program like /usr/sbin/nginx or nginx")
	}
}
