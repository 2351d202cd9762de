package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// told is a command of a page, and what it prints there.
type told struct {
	line    int
	command string
	prints  string
}

// toldIn reads the console blocks of a page: commands after "$ ", that go on
// after "> ", and what they print.
func toldIn(page string) (all []told) {
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch command, isCommand := strings.CutPrefix(line, "$ "); {
		case line == "```console":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case !inside:
		case isCommand:
			all = append(all, told{line: i + 1, command: command})
		default:
			last := &all[len(all)-1]
			if more, ok := strings.CutPrefix(line, "> "); ok && last.prints == "" {
				last.command += "\n" + more
			} else {
				last.prints += line + "\n"
			}
		}
	}
	return all
}

var (
	portInPage = regexp.MustCompile(`\b(8474|8475|8476|6390|16390|16391|16392|9090|19090)\b`)
	ownAddress = regexp.MustCompile(`(?:--api|--listen|--port) (?:127\.0\.0\.1:)?([0-9]+)`)
)

// TestProxyPage runs docs/proxy.md: each command prints what stands there, with
// ports of its own.
func TestProxyPage(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v: see make deps", err)
	}
	page, err := os.ReadFile("../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	free := map[string]string{}
	text := portInPage.ReplaceAllStringFunc(string(page), func(port string) string {
		if free[port] == "" {
			_, free[port], _ = net.SplitHostPort(freeAddr(t))
		}
		return free[port]
	})
	text = strings.ReplaceAll(text, "$ stormctl proxy 2>", "$ stormctl proxy --api 127.0.0.1:"+free["8474"]+" 2>")

	shell := exec.Command("bash")
	shell.Dir = t.TempDir()
	shell.SysProcAttr = &unix.SysProcAttr{Setpgid: true} // with all that it starts
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := make(printed, 1<<12)
	shell.Stdout = &lineWriter{lines: out}
	shell.Stderr = shell.Stdout
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer shell.Wait()
	defer unix.Kill(-shell.Process.Pid, unix.SIGKILL)

	commands := toldIn(text)
	if len(commands) < 20 {
		t.Fatalf("%d commands were found", len(commands))
	}
	for _, c := range commands {
		fmt.Fprintf(in, "%s\necho; echo %s\n", c.command, endOfCommand)
		if got := out.untilEnd(t); !prints(c.prints).MatchString(got) {
			t.Errorf("docs/proxy.md:%d: %s\ngot  %s\nwant %s", c.line, c.command, got, c.prints)
		}
		if at := ownAddress.FindStringSubmatch(c.command); at != nil && strings.HasSuffix(c.command, "&") {
			eventuallyListens(t, "127.0.0.1:"+at[1])
		}
	}
	fmt.Fprintf(in, "kill -TERM $(jobs -p); wait; echo; echo %s\n", endOfCommand)
	out.untilEnd(t)
	for _, port := range free { // what was started has ended, and left nothing open
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err != nil {
			t.Error(err)
		} else {
			l.Close()
		}
	}
}

// prints matches what may be printed: ... stands for anything within a line.
func prints(text string) *regexp.Regexp {
	parts := strings.Split(strings.TrimSuffix(text, "\n"), "...")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `.*`) + `\n*$`)
}

func eventuallyListens(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// printed is what is printed, by lines.
type printed chan string

const endOfCommand = "this was the command"

// untilEnd is what is printed until the command has ended.
func (l printed) untilEnd(t *testing.T) string {
	t.Helper()
	var got strings.Builder
	for {
		select {
		case line := <-l:
			if line == endOfCommand {
				return got.String()
			}
			got.WriteString(line + "\n")
		case <-time.After(time.Minute):
			t.Fatalf("it goes on; so far it printed %q", got.String())
		}
	}
}

// lineWriter sends what is written, line by line.
type lineWriter struct {
	lines printed
	part  []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	for {
		line, rest, ok := bytes.Cut(w.part, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		w.lines <- string(line)
		w.part = bytes.Clone(rest)
	}
}
