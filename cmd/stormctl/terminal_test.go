//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/reports"
)

// openTerminal makes a terminal of that width: what is written to screen is
// read from behind (pts(4)).
func openTerminal(t *testing.T, width uint16) (screen, behind *os.File) {
	t.Helper()
	behind, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { behind.Close() })
	fd := int(behind.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: 50}); err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return screen, behind
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if value, ok := strings.CutPrefix(p, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestTextOptions(t *testing.T) {
	narrow, _ := openTerminal(t, 77)
	wide, _ := openTerminal(t, 300)
	unsized, _ := openTerminal(t, 0)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		name string
		got  reports.TextOptions
		want reports.TextOptions
	}{
		{"a terminal", textOptions(narrow, env("TERM=xterm")), reports.TextOptions{Width: 77, Color: true}},
		{"a wide one", textOptions(wide, env("TERM=xterm")), reports.TextOptions{Width: 300, Color: true}},
		{"one that knows no width", textOptions(unsized, env()), reports.TextOptions{Color: true}},
		{"NO_COLOR", textOptions(narrow, env("NO_COLOR=1")), reports.TextOptions{Width: 77}},
		{"NO_COLOR that is empty is not set", textOptions(narrow, env("NO_COLOR=")), reports.TextOptions{Width: 77, Color: true}},
		{"a dumb one", textOptions(narrow, env("TERM=dumb")), reports.TextOptions{Width: 77}},
		{"a file", textOptions(file, env("TERM=xterm")), reports.TextOptions{}},
		{"a file, with COLUMNS", textOptions(file, env("COLUMNS=80")), reports.TextOptions{Width: 80}},
		{"COLUMNS that is no number", textOptions(file, env("COLUMNS=wide")), reports.TextOptions{}},
		{"COLUMNS below 0", textOptions(file, env("COLUMNS=-5")), reports.TextOptions{}},
		{"a terminal knows better than COLUMNS", textOptions(narrow, env("COLUMNS=80")), reports.TextOptions{Width: 77, Color: true}},
		{"no file at all", textOptions(&bytes.Buffer{}, env("TERM=xterm")), reports.TextOptions{}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, c.got, c.want)
		}
	}
}

func TestProgressSuitsWhereItGoes(t *testing.T) {
	screen, _ := openTerminal(t, 100)
	for _, c := range []struct {
		name string
		got  progress
		live bool
	}{
		{"a terminal", newProgress(screen, false, env("TERM=xterm")), true},
		{"a quiet terminal", newProgress(screen, true, env("TERM=xterm")), false},
		{"a dumb terminal", newProgress(screen, false, env("TERM=dumb")), false},
		{"no terminal", newProgress(&bytes.Buffer{}, false, env("TERM=xterm")), false},
	} {
		if _, isLive := c.got.(*live); isLive != c.live {
			t.Errorf("%s: %T", c.name, c.got)
		}
	}
}
