package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/targets/proc"
)

func TestPidFileNamesOnlyWhatIsAllowed(t *testing.T) {
	c := spawn(t, nil, "sleep", "600")
	program, err := proc.Program(c.Pid)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	for _, row := range []struct {
		content string
		allow   []string
		want    string // part of the error; "" is none
	}{
		{strconv.Itoa(c.Pid) + "\n", []string{"nginx", program}, ""},
		{strconv.Itoa(c.Pid), []string{filepath.Base(program)}, ""},
		{strconv.Itoa(c.Pid), nil, "outside limits.processes"},
		{strconv.Itoa(c.Pid), []string{"/somewhere/" + filepath.Base(program)}, "outside limits.processes"},
		{strconv.Itoa(os.Getpid()), []string{"host.test"}, "never touched"},
		{strconv.Itoa(os.Getppid()), []string{"go"}, "never touched"},
		{"1", []string{"systemd", "init"}, "never touched"},
		{"4194999", []string{"sleep"}, "has ended and left its file"},
		{"-1", []string{"sleep"}, "is not a pid"},
		{"0", []string{"sleep"}, "is not a pid"},
		{"", []string{"sleep"}, "is not a pid"},
	} {
		if err := os.WriteFile(file, []byte(row.content), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := PidFile{file, row.allow}.Process()
		if row.want == "" {
			if err != nil || p != c.Process {
				t.Errorf("%q, allowed %v: %v, %v", row.content, row.allow, p, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q, allowed %v: %v, want %s", row.content, row.allow, err, row.want)
		}
	}
}

// The file is read in the middle of a run: whatever has taken its place by then
// must not keep the run from ending.
func TestPidFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	fifo, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, 8<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{fifo: "it is a FIFO", "/dev/zero": "it is a device", large: "it is larger than 4 KiB", dir: "it is a directory"} {
		if _, err := (PidFile{file, []string{"sleep"}}).Process(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}

func TestPauseStopsAndContinuesWithChildren(t *testing.T) {
	c := spawn(t, nil, "sh", "-c", "sleep 600 & wait")
	eventually(t, "the shell has its child", func() bool { return len(c.Family()) == 2 })
	all := c.Family()
	heal := inject(t, Pause{held(t), subject{c.Process}})
	for _, p := range all {
		if !p.Stopped() {
			t.Errorf("%s does not stand", p)
		}
	}
	heal()
	for _, p := range all {
		eventually(t, "it goes on", func() bool { return !p.Stopped() })
	}
}

func TestSlowStandsPartOfTheTime(t *testing.T) {
	c := spawn(t, nil, "sleep", "600")
	heal := inject(t, DutyCycle{held(t), subject{c.Process}, 0.5})
	for range 3 { // it changes, again and again
		eventually(t, "it is stopped", c.Stopped)
		eventually(t, "it runs", func() bool { return !c.Stopped() })
	}
	heal()
	for range 100 {
		if c.Stopped() {
			t.Fatal("it is stopped after the heal")
		}
	}
}

// A server that has run out of descriptors accepts nobody, and does again.
func TestDescriptorsRunOut(t *testing.T) {
	c := play(t, "tcp", []string{"ADDR=127.0.0.1:0"})
	addr := c.out.next(t)
	if err := greet(addr); err != nil {
		t.Fatal(err)
	}
	before := soft(t, c, "nofile")
	heal := inject(t, Descriptors{held(t), subject{c.Process}, 0})
	if err := greet(addr); err == nil {
		t.Error("it accepts though it has no descriptor left")
	}
	if got := c.out.next(t); !strings.Contains(got, "too many open files") {
		t.Errorf("the server saw %q", got)
	}
	heal()
	eventually(t, "it accepts again", func() bool { return greet(addr) == nil })
	if after := soft(t, c, "nofile"); after != before {
		t.Errorf("limit %d after, %d before", after, before)
	}
}

func TestLimitForDescriptors(t *testing.T) {
	for _, row := range []struct {
		open []int
		free int
		want uint64
	}{
		{[]int{0, 1, 2}, 0, 3},
		{[]int{0, 1, 2}, 2, 5},
		{[]int{0, 1, 2, 9}, 0, 3}, // 9 stays open; the gap below it must not be had
		{[]int{9, 2, 1, 0}, 3, 6}, // of the gap's six, three
		{[]int{0, 1, 2, 9}, 6, 10},
		{[]int{0, 1, 2, 9}, 8, 12},
		{[]int{5}, 0, 0},
		{nil, 2, 2},
	} {
		if got := limitFor(row.open, row.free); got != row.want {
			t.Errorf("open %v, %d free: limit %d, want %d", row.open, row.free, got, row.want)
		}
	}
}

func TestAddressSpaceRunsOut(t *testing.T) {
	c := play(t, "hungry", nil)
	ask := func() string {
		if _, err := c.in.Write([]byte{'?'}); err != nil {
			t.Fatal(err)
		}
		return c.out.next(t)
	}
	c.out.next(t)
	if got := ask(); got != "yes" {
		t.Fatalf("before: %s", got)
	}
	before := soft(t, c, "as")
	heal := inject(t, AddressSpace{held(t), subject{c.Process}, 40 << 20}) // the child's own threads have stacks of 8 MiB
	if got := ask(); got != "no" {
		t.Errorf("64 MiB where 40 MiB are free: %s", got)
	}
	heal()
	if got := ask(); got != "yes" || soft(t, c, "as") != before {
		t.Errorf("after: %s, limit %d, before %d", got, soft(t, c, "as"), before)
	}
}

func soft(t *testing.T, c child, resource string) uint64 {
	t.Helper()
	now, err := lease.ReadLimit(c.Pid, resource)
	if err != nil {
		t.Fatal(err)
	}
	return now.Soft
}

func TestKillIsForGood(t *testing.T) {
	c := spawn(t, nil, "sleep", "600")
	file := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(file, []byte(strconv.Itoa(c.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := proc.Program(c.Pid)
	if err != nil {
		t.Fatal(err)
	}
	inject(t, Kill{PidFile{file, []string{program}}})
	eventually(t, "it is dead", func() bool { return len(c.Family()) == 0 })
}
