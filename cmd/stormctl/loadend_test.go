package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// Whatever ends a load, what was seen until then is there: in the summary after
// a signal, and in the files after a kill, but for the last second.
func TestLoadThatIsEnded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			record, hlog := filepath.Join(dir, "record.csv"), filepath.Join(dir, "all.hlog")
			cmd := exec.Command(program, "load", server.URL, "--rate", "100/s", "-d", "10m", "--record", record, "--hlog", hlog)
			var out strings.Builder
			cmd.Stdout = &out
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			told := bufio.NewScanner(stderr)
			for told.Scan() && !strings.HasPrefix(told.Text(), "2s load") {
			}
			_ = cmd.Process.Signal(s)
			for told.Scan() { // until it ends
			}
			_ = cmd.Wait()
			if s == syscall.SIGKILL {
				if out.Len() > 0 {
					t.Errorf("after a kill it says %q", out.String())
				}
			} else if code := cmd.ProcessState.ExitCode(); code != int(exitStopped) || !strings.Contains(out.String(), "STOPPED EARLY") || !strings.Contains(out.String(), "\n    requests    ") {
				t.Errorf("%v: exit %d\n%s", s, code, out.String())
			}
			// It ran for two seconds at least, of which one may be lost.
			text, err := os.ReadFile(record)
			if lines := strings.Count(string(text), "\n") - 1; err != nil || lines < 100 {
				t.Errorf("%v: %d requests recorded, %v", s, lines, err)
			}
			file, err := os.Open(hlog)
			if err != nil {
				t.Fatal(err)
			}
			log, err := hist.ReadLog(file)
			if err != nil || log.Histograms["response"].Count() < 100 {
				t.Errorf("%v: histogram log: %+v, %v", s, log, err)
			}
			_ = file.Close()
		})
	}
}

// A signal in the warm-up leaves nothing to summarise but that.
func TestLoadThatIsEndedInItsWarmup(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "load", server.URL, "--rate", "100/s", "--warmup", "10m", "-q")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != int(exitStopped) || !strings.Contains(out.String(), "    requests    0 in ") || !strings.Contains(out.String(), "    warm-up     ") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
}
