package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/lease"
)

// tree is a made-up /proc and /sys/fs/cgroup.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T, mountinfo, cgroup string) tree {
	tr := tree{t, t.TempDir()}
	tr.write("proc/self/mountinfo", strings.ReplaceAll(mountinfo, "SYS", filepath.Join(tr.dir, "sys")))
	tr.write("proc/7/cgroup", cgroup)
	return tr
}

func (tr tree) write(path, text string) {
	tr.t.Helper()
	full := filepath.Join(tr.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func TestWhereAGroupCanBeMade(t *testing.T) {
	const (
		v2 = "30 20 0:26 / SYS rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		v1 = "31 20 0:27 / SYS/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
	)
	for _, row := range []struct {
		name, mounts, cgroup string
		files                map[string]string // path below sys: content; cgroup.procs is everywhere
		parent, home         string
		v1                   bool
		err                  string
	}{
		{"a service of systemd: below the slice, which hands cpu on", v2, "0::/system.slice/shop.service\n",
			map[string]string{"cgroup.controllers": "cpu memory", "cgroup.subtree_control": "cpu memory", "system.slice/cgroup.subtree_control": "cpu memory", "system.slice/shop.service/cgroup.procs": ""},
			"system.slice", "system.slice/shop.service", false, ""},
		{"the slice hands on memory alone: below the root", v2, "0::/system.slice/shop.service\n",
			map[string]string{"cgroup.controllers": "cpu memory", "cgroup.subtree_control": "cpu memory", "system.slice/cgroup.subtree_control": "memory", "system.slice/shop.service/cgroup.procs": ""},
			"", "system.slice/shop.service", false, ""},
		{"the process is in the root", v2, "0::/\n",
			map[string]string{"cgroup.controllers": "cpu", "cgroup.subtree_control": "cpu", "cgroup.procs": ""}, "", "", false, ""},
		{"nobody hands it on", v2, "0::/a/b\n",
			map[string]string{"cgroup.controllers": "cpu", "cgroup.subtree_control": "", "a/b/cgroup.procs": ""}, "", "", false,
			"no cgroup above SYS/a/b hands the cpu controller to its children (echo +cpu > SYS/cgroup.subtree_control)"},
		{"there is none", v2, "0::/a\n", map[string]string{"cgroup.controllers": "hugetlb"}, "", "", false,
			"cgroup v2 at SYS has no cpu controller: the kernel lacks it, or keeps it from this container"},
		{"bound to version 1", v2 + v1, "4:cpu,cpuacct:/jobs/7\n0::/\n", map[string]string{"cpu/jobs/7/cgroup.procs": ""},
			"cpu/jobs/7", "cpu/jobs/7", true, ""},
		{"nothing is mounted", "20 1 0:20 / / rw - ext4 /dev/vda rw\n", "", nil, "", "", false, "no cgroup file system is mounted (mount -t cgroup2 none /sys/fs/cgroup)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tr := newTree(t, row.mounts, row.cgroup)
			sys := filepath.Join(tr.dir, "sys")
			for path, text := range row.files {
				tr.write("sys/"+path, text)
			}
			got, err := hierarchies(filepath.Join(tr.dir, "proc")).find(7, "cpu")
			if row.err != "" {
				if want := strings.ReplaceAll(row.err, "SYS", sys); err == nil || err.Error() != want {
					t.Errorf("error %v, want %s", err, want)
				}
				return
			}
			if want := (place{filepath.Join(sys, row.parent), filepath.Join(sys, row.home), row.v1}); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// The real thing: a loop that takes a core gets a fifth of one. The bounds are
// wide because the machine may be busy: it can get less for that, never more.
func TestCPUIsBounded(t *testing.T) {
	c := spawn(t, nil, "sh", "-c", "while :; do :; done")
	f := CPU{held(t), subject{c.Process}, 0.2}
	if err := f.Check(t.Context()); err != nil {
		t.Skipf("NOTHING IS SHOWN about cpu by cgroup: %v", err)
	}
	where, err := cgroups.find(c.Pid, "cpu")
	if err != nil {
		t.Fatal(err)
	}
	heal := inject(t, f)
	groups, err := filepath.Glob(filepath.Join(where.parent, "stormctl-*"))
	if err != nil || len(groups) == 0 {
		t.Fatalf("no group below %s: %v", where.parent, err)
	}
	before, begin := cpuTime(t, c.Pid), time.Now()
	time.Sleep(2 * time.Second)
	used, took := cpuTime(t, c.Pid)-before, time.Since(begin)
	if share := used.Seconds() / took.Seconds(); share > 0.3 {
		t.Errorf("it used %.2f cores, of 0.2", share)
	}
	heal()
	for _, g := range groups {
		if _, err := os.Stat(g); err == nil && strings.Contains(readAll(t, g+"/cgroup.procs"), strconv.Itoa(c.Pid)) {
			t.Errorf("it is still in %s", g)
		}
	}
	if now, err := cgroups.find(c.Pid, "cpu"); err != nil || now.home != where.home {
		t.Errorf("it is in %s, was in %s, %v", now.home, where.home, err)
	}
	eventually(t, "it gets more than it did", func() bool {
		before, begin := cpuTime(t, c.Pid), time.Now()
		time.Sleep(500 * time.Millisecond)
		return float64(cpuTime(t, c.Pid)-before)/float64(time.Since(begin)) > 0.3
	})
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// cpuTime is what a process has used, in ticks of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text := readAll(t, fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// On cgroup v2, whatever controllers this kernel has there: processes are moved
// into a group and back, those that fork meanwhile too, and the group goes.
func TestGroupsComeAndGo(t *testing.T) {
	mounts, err := cgroups.mounts()
	if err != nil {
		t.Fatal(err)
	}
	root := ""
	for _, m := range mounts {
		if m.kind == "cgroup2" {
			root = m.at
		}
	}
	if root == "" || writable(filepath.Join(root, "cgroup.procs")) != nil {
		t.Skip("no writable cgroup v2 here: NOTHING IS SHOWN about moving processes")
	}
	c := spawn(t, nil, "sh", "-c", "while :; do sleep 0.01; done")
	paths, err := cgroups.paths(c.Pid)
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(root, paths[""])
	group := filepath.Join(root, "stormctl-test-"+mark())
	h := held(t)
	heal, err := h.underLease(t.Context(), []lease.Undo{{Kind: lease.Regroup, Group: group, Home: home}}, func(_ context.Context, _ *lease.Injection) error {
		if err := os.Mkdir(group, 0o755); err != nil {
			return err
		}
		return gather(c.Process, group)
	})
	if err != nil {
		t.Fatal(err)
	}
	if now, err := cgroups.paths(c.Pid); err != nil || filepath.Join(root, now[""]) != group {
		t.Errorf("it is in %v, %v, want %s", now, err, group)
	}
	if err := heal(t.Context()); err != nil {
		t.Error(err)
	}
	if now, err := cgroups.paths(c.Pid); err != nil || filepath.Join(root, now[""]) != home {
		t.Errorf("it is in %v, %v, want %s", now, err, home)
	}
	if _, err := os.Stat(group); err == nil {
		t.Error("the group is left")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := spawn(t, nil, "sh", "-c", "read x; exec python3 -c 'b = bytearray(200 << 20); print(\"had it\")'")
	f := Memory{Leased: held(t), Subject: subject{c.Process}, Free: 32 << 20}
	if err := f.Check(t.Context()); err != nil {
		t.Skipf("NOTHING IS SHOWN about memory by cgroup: %v", err)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 to take memory")
	}
	inject(t, f)
	if _, err := c.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kernel ends it", func() bool { return len(c.Family()) == 0 })
	select {
	case said := <-c.out.said:
		t.Errorf("200 MiB where 32 MiB are allowed: %s", said)
	default:
	}
}

// Past high nobody is killed: who takes more is held up, and goes on once it is
// healed.
func TestMemoryHighHoldsUp(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 to take memory")
	}
	c := spawn(t, nil, "sh", "-c", "read x; exec python3 -c 'b = bytearray(100 << 20); print(\"had it\")'")
	f := Memory{Leased: held(t), Subject: subject{c.Process}, Free: 32 << 20, High: true}
	if err := f.Check(t.Context()); err != nil {
		if p, e := cgroups.find(c.Pid, "memory"); e == nil && p.v1 && !strings.Contains(err.Error(), "which has no memory.high") {
			t.Errorf("on version 1: %v", err)
		}
		t.Skipf("NOTHING IS SHOWN about memory.high: %v", err)
	}
	where, err := cgroups.find(c.Pid, "memory")
	if err != nil {
		t.Fatal(err)
	}
	heal := inject(t, f)
	groups, err := filepath.Glob(filepath.Join(where.parent, "stormctl-*"))
	if err != nil || len(groups) != 1 {
		t.Fatalf("groups %v, %v", groups, err)
	}
	if _, err := c.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is held up", func() bool {
		return strings.Contains(readAll(t, groups[0]+"/memory.events"), "high ") && !strings.Contains(readAll(t, groups[0]+"/memory.events"), "high 0")
	})
	if len(c.Family()) == 0 {
		t.Error("it was killed")
	}
	heal()
	if got := c.out.next(t); got != "had it" {
		t.Errorf("it said %q", got)
	}
}
