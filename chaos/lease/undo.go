package lease

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Kinds of Undo.
const (
	Continue = "continue" // SIGCONT to Process
	Kill     = "kill"     // SIGKILL to all that carry Mark
	Rlimit   = "rlimit"   // Resource of Process, and of its descendants, from Set back to Was
	Regroup  = "regroup"  // all of cgroup Group back into Home, and Group removed
	Table    = "table"    // nftables table inet Name in Netns deleted
	Qdisc    = "qdisc"    // root queueing discipline with handle Name of Device in Netns deleted
	Netns    = "netns"    // network namespace Netns deleted, and what is in it with the end of its processes
	Device   = "device"   // network device Device deleted
	Remove   = "remove"   // File deleted
	Exec     = "exec"     // Command run
)

// Undo is one thing to do so that a fault is gone. Kind says which of the other
// fields are set. It can be performed before its fault was made, and again.
type Undo struct {
	Kind     string        `json:"kind"`
	Process  *Process      `json:"process,omitempty"`
	Mark     string        `json:"mark,omitempty"`
	Resource string        `json:"resource,omitempty"` // as prlimit(1) names it
	Was      uint64        `json:"was,omitempty"`      // soft limit before
	Set      uint64        `json:"set,omitempty"`      // soft limit that the fault sets
	Group    string        `json:"group,omitempty"`    // folder of the cgroup that the fault makes
	Home     string        `json:"home,omitempty"`     // folder of the cgroup that the process came from
	Netns    string        `json:"netns,omitempty"`
	Name     string        `json:"name,omitempty"`
	Device   string        `json:"device,omitempty"`
	File     string        `json:"file,omitempty"`
	Command  []string      `json:"command,omitempty"`
	Dir      string        `json:"dir,omitempty"`     // where Command runs
	Output   string        `json:"output,omitempty"`  // file that its output is added to; "" discards it
	Timeout  time.Duration `json:"timeout,omitempty"` // of Command, in nanoseconds; 0 means 10s
}

const commandWithin = 10 * time.Second

// String says what is done, for people.
func (u Undo) String() string {
	if u.Check() != nil {
		return "an undo that cannot be read, of kind " + u.Kind
	}
	switch u.Kind {
	case Continue:
		return "continue " + u.Process.String()
	case Kill:
		return "kill the command that carries " + markEnv + "=" + u.Mark
	case Rlimit:
		return fmt.Sprintf("set the soft limit %s of process %d back to %s", u.Resource, u.Process.Pid, limitText(u.Was))
	case Regroup:
		return fmt.Sprintf("move the processes of cgroup %s back to %s and remove it", u.Group, u.Home)
	case Table:
		return fmt.Sprintf("delete nftables table inet %s in network namespace %s", u.Name, u.Netns)
	case Qdisc:
		return fmt.Sprintf("delete the queueing discipline %s of %s in network namespace %s", u.Name, u.Device, u.Netns)
	case Netns:
		return "delete network namespace " + u.Netns
	case Device:
		return "delete network device " + u.Device
	case Remove:
		return "remove " + u.File
	case Exec:
		return "run " + strings.Join(u.Command, " ")
	}
	return ""
}

// ByHand is the command line that does the same, for a user to run.
func (u Undo) ByHand() string {
	if u.Check() != nil {
		return "# see the journal"
	}
	switch u.Kind {
	case Continue:
		if u.Process.Group {
			return fmt.Sprintf("kill -CONT -- -%d", u.Process.Pid)
		}
		return fmt.Sprintf("kill -CONT %d", u.Process.Pid)
	case Kill:
		return fmt.Sprintf("grep -lsz '^%s=%s$' /proc/[0-9]*/environ  # then kill -KILL what it lists", markEnv, u.Mark)
	case Rlimit:
		return fmt.Sprintf("prlimit --pid %d --%s=%s:", u.Process.Pid, u.Resource, limitText(u.Was))
	case Regroup:
		g, h := quoteShell(u.Group), quoteShell(u.Home)
		return fmt.Sprintf("while read p; do echo $p > %s/cgroup.procs; done < %s/cgroup.procs; rmdir %s", h, g, g)
	case Table:
		return shellLine(nftDelete(u.Netns, u.Name))
	case Qdisc:
		return shellLine(tcDelete(u.Netns, u.Device))
	case Netns:
		return shellLine(netnsDelete(u.Netns))
	case Device:
		return shellLine(deviceDelete(u.Device))
	case Remove:
		return "rm " + quoteShell(u.File)
	case Exec:
		line := shellLine(u.Command)
		if u.Dir != "" {
			line = "cd " + quoteShell(u.Dir) + " && " + line
		}
		return line
	}
	return ""
}

// Check refuses an undo that could not be performed.
func (u Undo) Check() error {
	var ok bool
	switch u.Kind {
	case Continue:
		ok = u.Process != nil
	case Kill:
		ok = u.Mark != ""
	case Rlimit:
		known := knownLimit(u.Resource)
		ok = u.Process != nil && known
	case Regroup:
		ok = u.Group != "" && u.Home != ""
	case Table:
		ok = u.Netns != "" && u.Name != ""
	case Qdisc:
		ok = u.Netns != "" && u.Name != "" && u.Device != ""
	case Netns:
		ok = u.Netns != ""
	case Device:
		ok = u.Device != ""
	case Remove:
		ok = u.File != ""
	case Exec:
		ok = len(u.Command) > 0
	default:
		return fmt.Errorf("undo of unknown kind %q: it was written by another version of stormctl", u.Kind)
	}
	if !ok {
		return fmt.Errorf("undo %s lacks what it is about", u.Kind)
	}
	return nil
}

// ofBoot reports whether a restart of the machine undoes it as well.
func (u Undo) ofBoot() bool { return u.Kind != Exec && u.Kind != Remove }

func limitText(v uint64) string {
	if v == ^uint64(0) {
		return "unlimited"
	}
	return strconv.FormatUint(v, 10)
}

func shellLine(words []string) string {
	return unit.List(words, " ", quoteShell)
}

// quoteShell writes a word so that a shell takes it as it is.
func quoteShell(w string) string {
	plain := w != "" && strings.IndexFunc(w, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r))
	}) < 0
	if plain {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
