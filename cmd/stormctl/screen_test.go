package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/stormctl/stormctl/chaos/judge"
)

// shortRun is an experiment with tables of all kinds, and a claim; refutedBesides is one
// more, which its shop does not keep.
const shortRun = `
name: screen
about: A shop leans on its bank, which fails for a moment, so that every table of the summary has something in it.
targets:
  bank: {reference: dependency}
  shop: {reference: frontend}
links: {payments-of-cards: {from: shop, to: bank}}
load: {rate: 200/s, duration: 3s, routes: [{name: pay, to: shop, get: /payments-of-cards}, {name: browse, to: shop, get: /local}]}
chaos: [{at: 1s, for: 500ms, on: payments-of-cards, errors: {status: 503}}]
claims:
  - steady: {success: 50%, p50: 9s}
`

const refutedBesides = "  - breaker: {route: pay, link: payments-of-cards, failures: 5}\n" // there is none

var screenSizes = [][2]int{{60, 20}, {80, 24}, {200, 50}}

// TestScreens runs stormctl on terminals of three sizes, as people see it: the
// last line of the screen is the ruling, the terminal has broken no line
// because it was too wide, and no word is cut. What a run comes to is up to the
// machine too: here it is what its result says.
func TestScreens(t *testing.T) {
	t.Parallel()
	needTmux(t)
	for _, size := range screenSizes {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s := newScreen(t, size[0], size[1])
			if err := os.WriteFile(filepath.Join(s.dir, "x.yaml"), []byte(shortRun+refutedBesides), 0o644); err != nil {
				t.Fatal(err)
			}
			code := s.run("run", "x.yaml", "--out", "out")
			ruling := rulingsOf(t, filepath.Join(s.dir, "out")).Ruling
			if want := map[judge.Ruling]string{judge.Held: "0", judge.Refuted: "1", judge.Inconclusive: "3"}[ruling]; code != want {
				t.Errorf("exit code %s, want %s: it is %s", code, want, ruling)
			}
			lines := strings.Split(strings.TrimRight(s.report(), "\n"), "\n")
			last := lines[len(lines)-1]
			if word := strings.ToUpper(ruling.String()); !strings.HasPrefix(last, word+"  ") || !strings.HasSuffix(last, "  out") {
				t.Errorf("the report ends with %q, want %s", last, word)
			}
			s.check(last)
		})
	}
}

// TestScreensOfResults is TestScreens for results that stay what they are:
// result.json of runs of shortRun, one of them with refutedBesides.
func TestScreensOfResults(t *testing.T) {
	t.Parallel()
	needTmux(t)
	for name, ruling := range map[string]string{"held": "HELD  1 of 1 claim  out", "refuted": "REFUTED  1 of 2 claims  breaker  out"} {
		recorded, err := os.ReadFile("testdata/screens/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range screenSizes {
			t.Run(fmt.Sprintf("%s/%dx%d", name, size[0], size[1]), func(t *testing.T) {
				s := newScreen(t, size[0], size[1])
				err := errors.Join(os.Mkdir(filepath.Join(s.dir, "out"), 0o755), os.WriteFile(filepath.Join(s.dir, "out/result.json"), recorded, 0o644))
				if err != nil {
					t.Fatal(err)
				}
				if code := s.run("report", "out"); code != "0" {
					t.Errorf("exit code %s, want 0", code)
				}
				s.check(ruling)
			})
		}
	}
}

// What is said before anything runs fits the terminal too.
func TestPlansFitTheScreen(t *testing.T) {
	t.Parallel()
	needTmux(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--dry-run", "x.yaml", "--set", "claims[1].breaker.waits=20s"}, "claims[1].breaker.waits"},
		{[]string{"validate", "x.yaml", "--set", "claims[1].breaker.waits=20s"}, "warning: claims[1].breaker.waits"},
		{[]string{"validate", "x.yaml", "--set", "targets.shop.with.dependency=bank"}, "unknown setting of frontend"},
	} {
		for _, width := range []int{60, 80} {
			s := newScreen(t, width, 24)
			if err := os.WriteFile(filepath.Join(s.dir, "x.yaml"), []byte(shortRun+refutedBesides), 0o644); err != nil {
				t.Fatal(err)
			}
			s.run(tt.args...)
			if flat := strings.Join(strings.Fields(s.fits()), " "); !strings.Contains(flat, tt.want) {
				t.Errorf("%v at %d columns says nothing of %s: %s", tt.args, width, tt.want, flat)
			}
		}
	}
}

// tmuxScreen is a terminal in which one command is run.
type tmuxScreen struct {
	t             *testing.T
	width, height int
	dir           string // where the command runs
	socket        string // of a tmux server of its own
}

func needTmux(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v: see make deps", err)
	}
}

func newScreen(t *testing.T, width, height int) *tmuxScreen {
	dir := t.TempDir()
	s := &tmuxScreen{t: t, width: width, height: height, dir: dir, socket: filepath.Join(dir, "tmux")}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", s.socket, "kill-server").Run() })
	return s
}

func (s *tmuxScreen) tmux(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", s.socket, "-f", os.DevNull}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// run runs stormctl in the terminal, which stays as it is then, and returns its
// exit code.
func (s *tmuxScreen) run(args ...string) string {
	s.t.Helper()
	program, err := exec.LookPath("stormctl")
	if err != nil {
		s.t.Fatal(err)
	}
	ended := filepath.Join(s.dir, "code")
	script := fmt.Sprintf("cd '%s'; '%s' '%s'; echo $? >code.new; mv code.new code; exec cat", s.dir, program, strings.Join(args, "' '"))
	s.tmux("new-session", "-d", "-x", strconv.Itoa(s.width), "-y", strconv.Itoa(s.height),
		"-e", "STORMCTL_STATE="+filepath.Join(s.dir, "state"), "-e", "GORACE=atexit_sleep_ms=50", "sh", "-c", script)
	var code string
	eventually(s.t, "the command has ended", func() bool {
		text, err := os.ReadFile(ended)
		code = strings.TrimSpace(string(text))
		return err == nil
	})
	return code
}

// check looks at what has been on the screen, of which ruling is the last line.
func (s *tmuxScreen) check(ruling string) {
	s.t.Helper()
	seen := strings.TrimRight(s.tmux("capture-pane", "-p"), "\n")
	lines := strings.Split(seen, "\n")
	if got := strings.TrimRight(lines[len(lines)-1], " "); got != ruling {
		s.t.Errorf("the last line is %q, want %q\n%s", got, ruling, seen)
	}
	whole := s.words()
	all := s.fits()
	_, summary, found := strings.Cut("\n"+all, "\nscreen\n")
	if !found {
		s.t.Fatalf("the summary does not begin with the name of the run:\n%s", all)
	}
	for _, word := range strings.Fields(strings.ReplaceAll(summary, "not shown at this width: ", "")) {
		if !whole[strings.TrimRight(word, ",")] {
			s.t.Errorf("%q is cut, or no word of the summary:\n%s", word, summary)
		}
	}
}

// fits returns all that the terminal was told, of which no line may be wider
// than it.
func (s *tmuxScreen) fits() string {
	s.t.Helper()
	// With -J a line that the terminal has broken is the one that was printed.
	all := s.tmux("capture-pane", "-p", "-J", "-S", "-")
	for line := range strings.Lines(all) {
		if n := runewidth.StringWidth(strings.TrimRight(line, " \n")); n > s.width {
			s.t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	return all
}

// words are those of the summary where nothing needs to be broken.
func (s *tmuxScreen) words() map[string]bool {
	s.t.Helper()
	whole := map[string]bool{}
	for _, word := range strings.Fields(s.report()) {
		whole[strings.TrimRight(word, ",")] = true
	}
	return whole
}

// report is the summary where nothing needs to be broken.
func (s *tmuxScreen) report() string {
	s.t.Helper()
	program, err := exec.LookPath("stormctl")
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(program, "report", "out")
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "COLUMNS=1000")
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}
