package proc

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
)

// TestMeasureCountsDescendants: what a child takes counts for its parent, and what we open
// and touch shows by about as much as it is.
func TestMeasureCountsDescendants(t *testing.T) {
	var s Monitor
	self := os.Getpid()
	before, ok := s.Measure([]int{self})[self]
	if !ok || before.RSS < 1<<20 || before.Files < 3 || before.Threads < 1 {
		t.Fatalf("of this process: %+v, %v", before, ok)
	}
	const opened, touched = 25, 64 << 20 // other tests may have left files to the collector
	for range opened {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	memory := make([]byte, touched)
	for i := 0; i < len(memory); i += 1024 {
		memory[i] = 1
	}
	after := s.Measure([]int{self})[self]
	if files, rss := after.Files-before.Files, after.RSS-before.RSS; files < opened-5 || files > opened+5 || rss < touched*9/10 || rss > touched*5 { // the race detector takes several times as much beside
		t.Errorf("%d descriptors and %d bytes more, want about %d and %d", files, rss, opened, touched)
	}
	cmd := exec.Command("sh", "-c", "sleep 60 & sleep 60 & echo started; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	shell := cmd.Process.Pid
	if w := s.Measure([]int{self, shell}); w[shell].Threads != 3 || w[self].Threads < 4 {
		t.Errorf("a shell with two children has %+v, we have %+v", w[shell], w[self])
	}
	var tree []int
	tree = append(tree, s.of[shell]...)
	for _, pid := range tree {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	_ = cmd.Wait()
	if w, there := s.Measure([]int{shell})[shell]; there {
		t.Errorf("of one that has ended: %+v", w)
	}
	if memory[0] != 1 { // it is still in use here
		t.Fail()
	}
}
