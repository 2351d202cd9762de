package judge

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// recordedRun is a run directory that was kept, in testdata.
func recordedRun(t *testing.T, name string) *evidence.Run {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "evidence"), 0o700); err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(plain); ; {
		head, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.FromSlash(head.Name)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run, err := evidence.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// A sound breaker on a machine with far too much to do. It opened a second time before
// the load was seen to flow again, and six calls that it had let through before reached
// the link 3 ms after: they are no probes.
func TestAdmittedBeforeItOpenedAgain(t *testing.T) {
	b := Breaker{Link: "payments", Route: "pay", Failures: 5, OpensWithin: time.Second, Waits: 2 * time.Second, Probes: 1,
		RejectsWithin: 50 * ms, ClosesWithin: 3 * time.Second, Ignores: []int{404}}
	v := b.Judge(recordedRun(t, "admitted-before"))
	for _, p := range v.Parts {
		if p.Ruling == Refuted {
			t.Errorf("%s is refuted: %s", p.Name, p.Reason)
		}
	}
}
