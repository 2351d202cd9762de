package host

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/lease"
)

// hierarchies is where the kernel shows cgroups: /proc, elsewhere in tests.
type hierarchies string

const cgroups hierarchies = "/proc"

// A place is where a group for a process can be made.
type place struct {
	parent string // folder in which the group is made
	home   string // folder of the group that the process is in
	v1     bool
}

// find looks for a place with a controller for a process: in version 2 below
// the nearest group above the process's own that hands the controller to its
// children, because a group with processes in it may have no such children; in
// version 1, where a controller may still be bound, below the process's own.
func (h hierarchies) find(pid int, controller string) (place, error) {
	mounts, err := h.mounts()
	if err != nil {
		return place{}, err
	}
	paths, err := h.paths(pid)
	if err != nil {
		return place{}, err
	}
	for _, m := range mounts {
		if m.kind == "cgroup" && slices.Contains(m.options, controller) {
			home := m.folder(paths[controller])
			return place{home, home, true}, usable(home, home)
		}
	}
	i := slices.IndexFunc(mounts, func(m mount) bool { return m.kind == "cgroup2" })
	if i < 0 {
		return place{}, fmt.Errorf("no cgroup file system is mounted (mount -t cgroup2 none /sys/fs/cgroup)")
	}
	root := mounts[i].at
	if !lists(filepath.Join(root, "cgroup.controllers"), controller) {
		return place{}, fmt.Errorf("cgroup v2 at %s has no %s controller: the kernel lacks it, or keeps it from this container",
			root, controller)
	}
	home := mounts[i].folder(paths[""])
	for parent := filepath.Dir(home); strings.HasPrefix(parent, root); parent = filepath.Dir(parent) {
		if lists(filepath.Join(parent, "cgroup.subtree_control"), controller) {
			return place{parent, home, false}, usable(parent, home)
		}
	}
	if home == root && lists(filepath.Join(root, "cgroup.subtree_control"), controller) {
		return place{root, home, false}, usable(root, home)
	}
	return place{}, fmt.Errorf("no cgroup above %s hands the %s controller to its children (echo +%s > %s/cgroup.subtree_control)",
		home, controller, controller, root)
}

func usable(parent, home string) error {
	for _, path := range []string{parent, filepath.Join(home, "cgroup.procs")} {
		if err := writable(path); err != nil {
			return fmt.Errorf("cgroup %s: %w: run as root, or have the cgroup delegated", path, err)
		}
	}
	return nil
}

// lists reports whether a file of words has one.
func lists(file, word string) bool {
	text, err := os.ReadFile(file)
	return err == nil && slices.Contains(strings.Fields(string(text)), word)
}

// A mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	root, at, kind string
	options        []string // of the file system
}

// folder is where a group's path is seen.
func (m mount) folder(path string) string {
	rest, below := strings.CutPrefix(path, strings.TrimSuffix(m.root, "/"))
	if !below {
		rest = path
	}
	return filepath.Join(m.at, rest)
}

func (h hierarchies) mounts() ([]mount, error) {
	f, err := os.Open(filepath.Join(string(h), "self/mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []mount
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if len(b) < 5 || len(a) < 3 || !strings.HasPrefix(a[0], "cgroup") {
			continue
		}
		all = append(all, mount{root: b[3], at: b[4], kind: a[0], options: strings.Split(a[2], ",")})
	}
	return all, lines.Err()
}

// paths are the groups that a process is in: by controller in version 1, under
// "" in version 2 (cgroups(7)).
func (h hierarchies) paths(pid int) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(string(h), fmt.Sprint(pid), "cgroup"))
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			paths[controller] = parts[2]
		}
	}
	return paths, nil
}

// A setting is a file of a group and what is written to it.
type setting struct{ file, value string }

// limit puts the processes of a subject into a new group with these settings.
func (l Leased) limit(ctx context.Context, s Subject, controller string, settings func(v1 bool) ([]setting, error)) (Heal, error) {
	p, err := s.Process()
	if err != nil {
		return nil, err
	}
	where, err := cgroups.find(p.Pid, controller)
	if err != nil {
		return nil, err
	}
	values, err := settings(where.v1)
	if err != nil {
		return nil, err
	}
	group := filepath.Join(where.parent, "stormctl-"+mark())
	undo := lease.Undo{Kind: lease.Regroup, Group: group, Home: where.home}
	return l.underLease(ctx, []lease.Undo{undo}, func(context.Context, *lease.Injection) error {
		if err := os.Mkdir(group, 0o755); err != nil {
			return err
		}
		for _, v := range values {
			if err := os.WriteFile(filepath.Join(group, v.file), []byte(v.value), 0); err != nil {
				return err
			}
		}
		return gather(p, group)
	})
}

// gather moves a process and its descendants, until none is left that was
// forked meanwhile.
func gather(p lease.Process, group string) error {
	moved := map[lease.Process]bool{}
	for {
		more := false
		for _, q := range p.Family() {
			if moved[q] {
				continue
			}
			if err := lease.MoveTo(group, q.Pid); err != nil {
				return fmt.Errorf("move process %d: %w", q.Pid, err)
			}
			moved[q], more = true, true
		}
		if !more {
			break
		}
	}
	if len(moved) == 0 {
		return fmt.Errorf("%s has ended", p)
	}
	return nil
}

// checkLimit finds out whether a group could be made: for a process that does
// not run yet, as for ourselves, because it will be our child.
func checkLimit(s Subject, controller string) error {
	if err := checkSubject(s); err != nil {
		return err
	}
	pid := os.Getpid()
	if f, ok := s.(PidFile); ok {
		p, err := f.Process()
		if err != nil {
			return err
		}
		pid = p.Pid
	}
	_, err := cgroups.find(pid, controller)
	return err
}

func planLimit(s Subject, what, controller string) Plan {
	where := "a cgroup"
	if p, err := cgroups.find(os.Getpid(), controller); err == nil {
		where = "a cgroup below " + p.parent
	}
	return Plan{s.String() + " and its children: moved into " + where + " with " + what, "moved back, and the cgroup removed"}
}
