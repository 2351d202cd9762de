// Package browsertest has tests look at pages in a headless Chromium, which is spoken to
// by its DevTools protocol.
//
// # Design
//
// A browser may stop to answer at any command. So every wait has one bound, which what
// else is heard meanwhile does not put off; the error says what was waited for and what
// the browser printed; and a browser that has failed once is asked nothing more, so that
// the tests behind do not each wait as long again. Whatever it has started is ended with it,
// and it ends by itself once nobody is left who could speak to it: it is spoken to by pipes.
package browsertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// Patience bounds every wait: it is no figure of a page, only the end of a test that hangs.
const Patience = 2 * time.Minute

// Browser is one Chromium. One test at a time may use it.
type Browser struct {
	T      *testing.T // the test that uses it now
	Events []Event    // that came while answers were waited for; who reads them may empty it

	commands *os.File // messages each way end with a zero byte
	messages *os.File
	unread   *bufio.Reader // of messages
	patience time.Duration
	id       int
	printed  string // the file that has what it printed
	failed   error  // it is not to be relied on any more
}

// Event is a message of the browser: an answer if it has an ID, else something that happened.
type Event struct {
	ID        int             `json:"id"`
	Method    string          `json:"method"`
	SessionID string          `json:"sessionId"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message string }
}

// markVariable is in the environment of all that a browser starts, with its profile's name.
const markVariable = "STORMCTL_BROWSER_PROFILE"

// Start starts a browser, which ends with the test. Where there is none the test is
// skipped, but for CI, where it fails.
func Start(t *testing.T) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("chromium is not installed: make deps")
	}
	profile, err := os.MkdirTemp("", "stormctl-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	theirs, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	messages, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	b := newBrowser(t, commands, messages)
	b.printed = filepath.Join(profile, "printed")
	b.launch(program, profile, theirs, ours)
	b.Call("", "Browser.getVersion", nil, nil) // it listens, or has ended
	return b
}

// newBrowser is one that reads commands and writes messages, which are closed with the test.
func newBrowser(t *testing.T, commands, messages *os.File) *Browser {
	t.Cleanup(func() {
		_ = commands.Close()
		_ = messages.Close()
	})
	return &Browser{T: t, commands: commands, messages: messages, unread: bufio.NewReader(messages), patience: Patience}
}

// launch starts the program in a process group of its own, which reads and writes its third
// and fourth file. What it prints goes to a file: a pipe would be open, and waited for, as
// long as any of its helpers lives.
func (b *Browser) launch(program, profile string, reads, writes *os.File) {
	b.T.Helper()
	printed, err := os.Create(b.printed)
	if err != nil {
		b.T.Fatal(err)
	}
	defer printed.Close()
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-extensions", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	cmd.Stdout, cmd.Stderr = printed, printed
	cmd.ExtraFiles = []*os.File{reads, writes}
	cmd.Env = append(os.Environ(), markVariable+"="+profile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.T.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(gone)
	}()
	t := b.T
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		deadline := time.Now().Add(Patience)
		select {
		case <-gone:
		case <-time.After(Patience):
			t.Errorf("Chromium, process %d, was killed and has not ended in %v", cmd.Process.Pid, Patience)
		}
		for left := marked(profile); len(left) > 0; left = marked(profile) { // they have left the group
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if time.Now().After(deadline) {
				t.Errorf("processes %v of Chromium were killed and have not ended in %v", left, Patience)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// marked are the processes that a browser with this profile has started, itself included.
func marked(profile string) (pids []int) {
	mark := []byte(markVariable + "=" + profile + "\x00")
	for _, p := range proc.All() {
		if p.State == 'Z' {
			continue
		}
		if all, err := proc.Environ(p.Pid); err == nil && bytes.Contains(all, mark) {
			pids = append(pids, p.Pid)
		}
	}
	return pids
}

// output is the end of what the browser printed, for an error.
func (b *Browser) output() string {
	text, _ := os.ReadFile(b.printed)
	if len(text) == 0 {
		return ", and printed nothing"
	}
	const most = 4 << 10
	return fmt.Sprintf("; it printed:\n%s", text[max(0, len(text)-most):])
}

// Call is Try where a refusal fails the test.
func (b *Browser) Call(session, method string, params map[string]any, answer any) {
	b.T.Helper()
	if err := b.Try(session, method, params, answer); err != nil {
		b.T.Fatalf("%s: %v", method, err)
	}
}

// Try sends a command and waits for its answer, which it puts into answer unless that is nil.
// session is that of a page; "" is the browser itself. What the browser refuses is an error,
// as is a command whose page is left before it is done; a browser that does not answer fails the test.
func (b *Browser) Try(session, method string, params map[string]any, answer any) error {
	b.T.Helper()
	e, err := b.ask(session, method, params)
	if err != nil {
		b.T.Fatalf("Chromium: %v%s", err, b.output())
	}
	if e.Error != nil {
		return errors.New(e.Error.Message)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(e.Result, answer)
}

// Await waits for an event of a page, which may be in Events already.
func (b *Browser) Await(session, method string) {
	b.T.Helper()
	err := b.wait(method, func(e *Event) bool { return e.Method == method && e.SessionID == session })
	if err != nil {
		b.T.Fatalf("Chromium: %v%s", err, b.output())
	}
}

// ask is Call with its error, after which the browser is asked nothing more.
func (b *Browser) ask(session, method string, params map[string]any) (answer Event, err error) {
	if b.failed != nil {
		return Event{}, fmt.Errorf("%s is not sent, because it has failed before: %w", method, b.failed)
	}
	b.id++
	message := map[string]any{"id": b.id, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	if params == nil {
		message["params"] = map[string]any{}
	}
	text, err := json.Marshal(message)
	if err != nil {
		return Event{}, err
	}
	_ = b.commands.SetWriteDeadline(time.Now().Add(b.patience))
	if _, err := b.commands.Write(append(text, 0)); err != nil {
		b.failed = fmt.Errorf("send %s: %w", method, err)
		return Event{}, b.failed
	}
	err = b.wait("the answer to "+method, func(e *Event) bool { return e.ID == b.id })
	if err != nil {
		return Event{}, err
	}
	last := len(b.Events) - 1
	answer = b.Events[last]
	b.Events = slices.Delete(b.Events, last, last+1)
	return answer, nil
}

// wait reads messages into Events until one of them, there already or not, is what is waited
// for. That has one bound, however much else comes meanwhile.
func (b *Browser) wait(what string, is func(*Event) bool) error {
	if b.failed != nil {
		return fmt.Errorf("%s is not waited for, because it has failed before: %w", what, b.failed)
	}
	_ = b.messages.SetReadDeadline(time.Now().Add(b.patience))
	begin := len(b.Events)
	for seen := 0; ; seen++ {
		if seen == len(b.Events) {
			e, err := b.next()
			if err != nil {
				b.failed = fmt.Errorf("waited up to %v for %s: %w; %s", b.patience, what, err, methods(b.Events[begin:]))
				return b.failed
			}
			b.Events = append(b.Events, e)
		}
		if is(&b.Events[seen]) {
			return nil
		}
	}
}

func (b *Browser) next() (e Event, err error) {
	text, err := b.unread.ReadBytes(0)
	if err == nil {
		err = json.Unmarshal(text[:len(text)-1], &e)
	}
	return e, err
}

// methods says how many events came, and which was the last.
func methods(events []Event) string {
	if len(events) == 0 {
		return "nothing else came meanwhile"
	}
	return fmt.Sprintf("%d other messages came meanwhile, the last of them %s", len(events), events[len(events)-1].Method)
}
