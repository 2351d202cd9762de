package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// readStat returns state and parent of a process (proc_pid_stat(5)); ok is
// false if there is none.
func readStat(pid int) (state string, parent int, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, false
	}
	after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // the name may contain anything
	parent, err = strconv.Atoi(after[1])
	return after[0], parent, err == nil
}

// alive reports whether a process can still do anything: one that has ended and
// waits for its parent to ask (Z, then X) cannot.
func alive(pid int) bool {
	state, _, ok := readStat(pid)
	return ok && state != "Z" && state != "X"
}

func TestAlive(t *testing.T) {
	if !alive(os.Getpid()) {
		t.Error("we are not alive")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has ended, and is left to be waited for", func() bool {
		state, _, ok := readStat(cmd.Process.Pid)
		return !ok || state == "Z"
	})
	if state, _, _ := readStat(cmd.Process.Pid); state != "Z" || alive(cmd.Process.Pid) {
		t.Errorf("a process in state %q is alive: %v, want Z, which is not", state, alive(cmd.Process.Pid))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if alive(cmd.Process.Pid) {
		t.Error("it was waited for, and is alive")
	}
}

// descendants lists the processes below pid, with their state.
func descendants(pid int) map[int]string {
	parents := map[int]int{}
	states := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if state, parent, ok := readStat(id); ok {
			parents[id], states[id] = parent, state
		}
	}
	found := map[int]string{}
	for id := range parents {
		for up := parents[id]; up > 1; up = parents[up] {
			if up == pid {
				found[id] = states[id]
				break
			}
		}
	}
	return found
}

// gone waits until none of the processes is left.
func gone(t *testing.T, pids map[int]string) {
	t.Helper()
	eventually(t, fmt.Sprintf("end of processes %v", slices.Sorted(maps.Keys(pids))), func() bool {
		for pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
}

// eventually looks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for: %s", what)
		}
	}
}
