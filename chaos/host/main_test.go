package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/lease"
)

// roleEnv makes the test binary a server: of TCP, or one that burns a core.
const roleEnv = "HOST_TEST_ROLE"

func TestMain(m *testing.M) {
	lease.Guard()
	switch os.Getenv(roleEnv) {
	case "tcp":
		playServer()
	case "hungry":
		playHungry()
	case "":
		os.Exit(m.Run())
	}
}

// playServer says "hello" to whoever connects, and what Accept says otherwise.
func playServer() {
	l, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Println("accept:", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_, _ = c.Write([]byte("hello"))
		c.Close()
	}
}

// playHungry maps 64 MiB when it is told to, and says whether it could.
func playHungry() {
	fmt.Println("ready")
	buf := make([]byte, 1)
	for {
		if _, err := os.Stdin.Read(buf); err != nil {
			return
		}
		m, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			fmt.Println("no")
			continue
		}
		_ = unix.Munmap(m)
		fmt.Println("yes")
	}
}

// held is a lease of this process, in a state folder of the test.
func held(t *testing.T) Leased {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := lease.Open(lease.Options{State: dir, Name: t.Name(), Dir: t.TempDir(), Guardian: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("journals are left: %v", left)
		}
	})
	return Leased{l, "a fault"}
}

// A child is a process of ours to break.
type child struct {
	lease.Process
	in  io.WriteCloser
	out *lines
}

func (c child) String() string { return "the child" }

// Process makes a child a Subject.
func (c subject) Process() (lease.Process, error) { return c.p, nil }
func (c subject) String() string                  { return "the child" }

type subject struct{ p lease.Process }

// lines reads what a child says.
type lines struct{ said chan string }

func (l *lines) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-l.said:
		return s
	case <-time.After(30 * time.Second):
		t.Fatal("the child says nothing")
		return ""
	}
}

// play starts the test binary in a role; prefix comes before its command.
func play(t *testing.T, role string, env []string, prefix ...string) child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return spawn(t, append(env, roleEnv+"="+role), append(prefix, exe)...)
}

func spawn(t *testing.T, env []string, argv ...string) child {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout = w
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &lines{make(chan string, 1000)}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			for s := range strings.Lines(string(buf[:n])) {
				select {
				case l.said <- strings.TrimSpace(s):
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // with its children, who would keep the output open
		_ = cmd.Wait()
		w.Close()
	})
	p, err := lease.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return child{p, in, l}
}

// inject injects a fault and returns its heal, which the test's end performs if
// the test has not.
func inject(t *testing.T, f Fault) func() {
	t.Helper()
	if err := f.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	heal, err := f.Inject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := false
	once := func() {
		if done {
			return
		}
		done = true
		if err := heal(context.Background()); err != nil {
			t.Errorf("heal %s: %v", f, err)
		}
	}
	t.Cleanup(once)
	return once
}

// netns makes two network namespaces with a wire between them, 10.77.0.1 to
// 10.77.0.2. A machine that does not allow it cannot show anything of networks.
func netns(t *testing.T) (a, b, device string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces take root: NOTHING IS SHOWN about network faults")
	}
	id := strings.ToLower(rand.Text()[:6])
	a, b = "sct-a-"+id, "sct-b-"+id
	device = "va" + id
	for _, line := range []string{
		"ip netns add " + a, "ip netns add " + b,
		"ip link add " + device + " netns " + a + " type veth peer name vb" + id + " netns " + b,
		"ip -n " + a + " addr add 10.77.0.1/24 dev " + device, "ip -n " + b + " addr add 10.77.0.2/24 dev vb" + id,
		"ip -n " + a + " link set " + device + " up", "ip -n " + b + " link set vb" + id + " up",
		"ip -n " + a + " link set lo up", "ip -n " + b + " link set lo up",
	} {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			_ = exec.Command("ip", "netns", "del", a).Run()
			_ = exec.Command("ip", "netns", "del", b).Run()
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	t.Cleanup(func() {
		for _, n := range []string{a, b} {
			if out, err := exec.Command("ip", "netns", "del", n).CombinedOutput(); err != nil {
				t.Errorf("ip netns del %s: %v: %s", n, err, out)
			}
		}
	})
	return a, b, device
}

// eventually waits for something that another process does. The bound only
// ends a test that has failed.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30s in vain: %s", what)
		}
	}
}

// greet reports whether the server there says hello.
func greet(addr string) error {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	text, err := io.ReadAll(c)
	if err == nil && string(text) != "hello" {
		err = errors.New("it said " + string(text))
	}
	return err
}
