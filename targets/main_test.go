package targets

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// roleEnv makes the test binary play another part than that of the tests.
const roleEnv = "TARGETS_TEST_ROLE"

func TestMain(m *testing.M) {
	Supervise()
	switch os.Getenv(roleEnv) {
	case "server":
		playServer()
	case "owner":
		playOwner()
	default:
		os.Exit(m.Run())
	}
}

// playServer answers /healthz with 200 and all else with 500 on $ADDR.
func playServer() {
	l, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		fmt.Println("listen:", err)
		os.Exit(3)
	}
	fmt.Println("serving on", l.Addr())
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
}

// playOwner starts the shell script in $SCRIPT as a target, says so on stdout
// and waits to be killed.
func playOwner() {
	r, err := Start(context.Background(), Process{Name: "family", Command: []string{"sh", "-c", os.Getenv("SCRIPT")}})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	if os.Getenv("PAUSED") != "" {
		for file := range strings.SplitSeq(os.Getenv("FILES"), " ") {
			awaitFile(file)
		}
		if err := stand(r.Pid()); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	fmt.Println("started", r.Pid())
	select {}
}

// server is a target that plays playServer on a free port.
func server(t *testing.T, ready func(addr string) Probe) (Process, string) {
	t.Helper()
	addr := freeAddr(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Process{
		Name: "server", Command: []string{exe}, Env: []string{roleEnv + "=server", "ADDR=" + addr},
		Output: filepath.Join(t.TempDir(), "out.log"), Ready: ready(addr),
	}, addr
}

func byHTTP(addr string) Probe { return Probe{URL: "http://" + addr + "/healthz", Within: time.Minute} }
func byTCP(addr string) Probe  { return Probe{Addr: addr, Within: time.Minute} }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a target that the test's end stops.
func start(t *testing.T, p Process) *Running {
	t.Helper()
	r, err := Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
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

func awaitFile(path string) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), "\n") {
			return
		}
	}
}

// pidIn reads the pid that a script wrote to a file.
func pidIn(t *testing.T, path string) int {
	t.Helper()
	awaitFile(path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	st, err := proc.Read(pid)
	return err == nil && st.State != 'Z'
}

// stand stops a process group, as a pause does, and returns when its leader
// stands.
func stand(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st, err := proc.Read(pid); err != nil || st.State == 'T' {
			return err
		}
	}
	return fmt.Errorf("process %d does not stand", pid)
}

// family is a script that leaves a child in its group, one in a session of its
// own, and an orphan of the latter kind; each writes its pid to a file in dir.
func family(dir string) (script string, files []string) {
	for _, name := range []string{"child", "session", "orphan"} {
		files = append(files, filepath.Join(dir, name))
	}
	sleeper := func(file string) string { return fmt.Sprintf(`sh -c 'echo $$ > %s; exec sleep 600'`, file) }
	script = fmt.Sprintf("%s & setsid %s & (setsid %s & ) & wait",
		sleeper(files[0]), sleeper(files[1]), strings.ReplaceAll(sleeper(files[2]), "exec ", ""))
	return script, files
}
