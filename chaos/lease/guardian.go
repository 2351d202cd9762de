package lease

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// What a run and its guardian have agreed on.
const (
	guardianEnv = "STORMCTL_GUARDIAN" // the journal's path, in a guardian's environment and only there

	renewalFD = 3 // the guardian reads it: a byte is a renewal, the end is our death
	wordFD    = 4 // the guardian writes lines to it:

	wordReady   = "ready"   // from now on it watches
	wordExpired = "expired" // it has undone what was in force
)

// guardian is our side of it.
type guardian struct {
	cmd     *exec.Cmd
	renewal *os.File
	words   *os.File
	lines   *bufio.Reader
}

// startGuardian returns when it watches over the journal.
func startGuardian(path string) (*guardian, error) {
	if os.Getenv(guardianEnv) != "" {
		// A program that does not become the guardian goes on as itself, and would
		// start another one, which does the same.
		return nil, errors.New("a guardian starts none: call lease.Guard first in main, and in TestMain")
	}
	renewalEnd, renewal, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer renewalEnd.Close()
	words, wordsEnd, err := os.Pipe()
	if err != nil {
		renewal.Close()
		return nil, err
	}
	defer wordsEnd.Close()
	self, err := proc.Self()
	if err != nil {
		renewal.Close()
		words.Close()
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"stormctl-guardian", path}
	cmd.Env = append(os.Environ(), guardianEnv+"="+path)
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{renewalFD - 3: renewalEnd, wordFD - 3: wordsEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	g := &guardian{cmd: cmd, renewal: renewal, words: words, lines: bufio.NewReader(words)}
	if err := cmd.Start(); err != nil {
		renewal.Close()
		words.Close()
		return nil, fmt.Errorf("guardian: %w", err)
	}
	wordsEnd.Close() // only the guardian may hold this end, or its death goes unnoticed
	if line, err := g.lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != wordReady {
		why := strings.TrimSpace(line)
		if err != nil && why == "" {
			why = err.Error() + " (is lease.Guard called first in main?)"
		}
		return nil, errors.Join(fmt.Errorf("guardian did not start: %s", why), g.end())
	}
	return g, nil
}

func (g *guardian) renew() error {
	_, err := g.renewal.Write([]byte{'.'})
	return err
}

// listen returns why the lease is lost, when it is.
func (g *guardian) listen() string {
	line, err := g.lines.ReadString('\n')
	if err == nil && strings.TrimSpace(line) == wordExpired {
		return "the lease ran out: the guardian heard nothing of the run and has undone what was in force"
	}
	return "the guardian is gone: somebody ended it"
}

// end lets it go and waits until it has.
func (g *guardian) end() error {
	err := g.renewal.Close()
	waited := make(chan struct{})
	go func() {
		_ = g.cmd.Wait() // it may have been killed: what it had to do is in the journal
		close(waited)
	}()
	select {
	case <-waited:
		return errors.Join(err, g.words.Close())
	case <-time.After(undoWithin + 5*time.Second):
		return errors.Join(err, errors.New("the guardian does not end"))
	}
}

// Guard must be called first in main, and first in TestMain of tests that
// hold leases. In a guardian it does the guardian's work and does not return; in
// any other process it returns at once.
func Guard() {
	path := os.Getenv(guardianEnv)
	if path == "" {
		return
	}
	os.Unsetenv(guardianEnv) // commands that undo something must not take themselves for guardians
	code := 0
	if err := guard(path); err != nil {
		code = 1
	}
	os.Exit(code)
}

func guard(path string) error {
	// It ends when its run does: signals to the group are for the run.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGTSTP)
	// It is small, and when memory runs out it is needed. Without the right to
	// say so it must do without.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0)
	syscall.CloseOnExec(renewalFD)
	syscall.CloseOnExec(wordFD)
	word := os.NewFile(wordFD, "word")
	j, err := openJournal(path, 0)
	if err != nil {
		fmt.Fprintln(word, err)
		return err
	}
	fmt.Fprintln(word, wordReady)
	watch(os.NewFile(renewalFD, "renewal"), length, func() {
		_, _, _ = j.heal(context.Background(), "guardian", true) // what failed is in the journal, and tried again at the end
		fmt.Fprintln(word, wordExpired)
	})
	return j.afterDeath()
}

// watch reads renewals until their end. If none comes for a lease it calls
// expired, once for each time that they cease.
func watch(renewals io.Reader, lease time.Duration, expired func()) {
	heard := make(chan struct{}, 1)
	go func() {
		defer close(heard)
		buf := make([]byte, 64)
		for {
			if _, err := renewals.Read(buf); err != nil {
				return
			}
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}()
	timer := time.NewTimer(lease)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-heard:
			if !ok {
				return
			}
			timer.Reset(lease)
		case <-timer.C:
			// The whole machine may have stood still, and us with it: what was
			// sent meanwhile is there, and need only be read.
			time.Sleep(lease / 20)
			select {
			case _, ok := <-heard:
				if !ok {
					return
				}
				timer.Reset(lease)
			default:
				expired()
			}
		}
	}
}

// afterDeath undoes what a run left, and tries again what does not work at once.
func (j *journal) afterDeath() error {
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		_, left, err := j.heal(context.Background(), "guardian", false)
		if len(left) == 0 || wait > 2*time.Second {
			return err
		}
		time.Sleep(wait)
	}
}
