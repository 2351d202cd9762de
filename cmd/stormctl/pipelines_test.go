package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/stormctl/stormctl/reports"
)

// recipe is the block of code under a heading of docs/gates.md.
func recipe(t *testing.T, heading, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/gates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n### "+heading+"\n")
	_, code, found := strings.Cut(section, "\n```"+language+"\n")
	code, _, closed := strings.Cut(code, "\n```\n")
	if !ok || !found || !closed {
		t.Fatalf("docs/gates.md has no %s under the heading %s", language, heading)
	}
	return code + "\n"
}

// workspace is a folder that shell steps of a recipe run in.
type workspace struct {
	dir, path string
	env       []string
}

// newWorkspace has programs in the place of stormctl and gh that note their arguments
// and exit as RUN and COMPARE say; gh downloads what it is asked for.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	s := &workspace{dir: t.TempDir(), path: t.TempDir()}
	s.program(t, "stormctl", `echo "$*" >> calls
case $1 in
run) mkdir -p storm; echo new > storm/result.json; exit $RUN ;;
compare) echo compared; exit $COMPARE ;;
esac`)
	s.program(t, "gh", `case "$1 $2" in
"run list") echo $LAST ;;
"run download") [ "$LAST" != expired ] || exit 1; mkdir -p "$7"; echo old > "$7/result.json" ;;
esac`)
	return s
}

func (s *workspace) program(t *testing.T, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.path, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// sh runs a step as runners do, and returns its exit code.
func (s *workspace) sh(t *testing.T, script string, env ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = s.dir
	cmd.Env = slices.Concat(os.Environ(), []string{"PATH=" + s.path + ":" + os.Getenv("PATH"),
		"GITHUB_STEP_SUMMARY=" + filepath.Join(s.dir, "summary"), "GITHUB_ACTIONS=true"}, s.env, env)
	text, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// has is the content of a file of the workspace; "" if there is none.
func (s *workspace) has(name string) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(text)
}

// really puts our own program in the place of the other, and an experiment that
// holds.
func (s *workspace) really(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.path, "stormctl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(s.path, "stormctl")); err != nil {
		t.Fatal(err)
	}
	const experiment = `name: resilience
targets: {web: {process: {command: [sh, -c, 'exec stormctl target dependency --listen "$ADDR"'], ready: /healthz}}}
load: {rate: 50/s, duration: 1s, routes: [{name: get, to: web, get: /}]}
claims: [{steady: {route: get, success: 1%}}]
`
	if err := os.WriteFile(filepath.Join(s.dir, "resilience.yaml"), []byte(experiment), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "GORACE=atexit_sleep_ms=50")
}

// gitHubSteps are the scripts of the recipe by the names of their steps.
func gitHubSteps(t *testing.T) map[string]string {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Name, Run, Uses, If string
				With                map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(recipe(t, "GitHub", "yaml")), &workflow); err != nil {
		t.Fatal(err)
	}
	steps := map[string]string{}
	uploaded := false
	for _, s := range workflow.Jobs["resilience"].Steps {
		if s.Run != "" {
			steps[s.Name] = s.Run
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("step %s has an expression in its script", s.Name)
		}
		if strings.HasPrefix(s.Uses, "actions/upload-artifact@") && s.If == "always()" && s.With["path"] == "storm" && s.With["name"] == "stormctl-run" {
			uploaded = true
		}
	}
	if !uploaded {
		t.Error("the run directory is not always uploaded")
	}
	return steps
}

func TestGitHubRecipe(t *testing.T) {
	steps := gitHubSteps(t)
	for code, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 0, 4: 1} {
		s := newWorkspace(t)
		if got, out := s.sh(t, steps["run"], fmt.Sprint("RUN=", code)); got != want {
			t.Errorf("run exits with %d: the step with %d, want %d: %s", code, got, want, out)
		}
		// As compare exits, with a baseline.
		s.sh(t, steps["baseline"], "LAST=77")
		if s.has("baseline/result.json") != "old\n" {
			t.Fatalf("no baseline was downloaded")
		}
		if got, out := s.sh(t, steps["compare"], fmt.Sprint("COMPARE=", code)); got != want || s.has("summary") != "compared\n" {
			t.Errorf("compare exits with %d: the step with %d, want %d; summary %q: %s", code, got, want, s.has("summary"), out)
		}
		if !strings.HasSuffix(s.has("calls"), "compare baseline -- storm --markdown\n") {
			t.Errorf("called: %s", s.has("calls"))
		}
	}
	for _, last := range []string{"", "expired"} { // before there was any run, or long after
		s := newWorkspace(t)
		if got, out := s.sh(t, steps["baseline"]+steps["compare"], "LAST="+last, "COMPARE=1"); got != 0 || s.has("calls") != "" {
			t.Errorf("without a baseline (%q): exit code %d, called %s: %s", last, got, s.has("calls"), out)
		}
	}
	s := newWorkspace(t)
	s.really(t)
	if got, out := s.sh(t, steps["run"]); got != 0 || s.has("storm/junit.xml") == "" || !strings.Contains(s.has("summary"), "resilience") {
		t.Errorf("really: exit code %d, summary %s: %s", got, s.has("summary"), out)
	}
}

func TestGitLabRecipe(t *testing.T) {
	var pipeline struct {
		Resilience struct {
			Script       []string
			AllowFailure struct {
				ExitCodes []int `yaml:"exit_codes"`
			} `yaml:"allow_failure"`
			Artifacts struct {
				When    string
				Paths   []string
				Reports map[string]string
			}
			Cache struct{ Paths []string }
		}
	}
	if err := yaml.Unmarshal([]byte(recipe(t, "GitLab", "yaml")), &pipeline); err != nil {
		t.Fatal(err)
	}
	job := pipeline.Resilience
	if !slices.Equal(job.AllowFailure.ExitCodes, []int{int(exitInconclusive)}) || job.Artifacts.When != "always" ||
		!slices.Equal(job.Artifacts.Paths, []string{"storm"}) || !slices.Equal(job.Cache.Paths, []string{"baseline"}) {
		t.Errorf("job: %+v", job)
	}
	script := strings.Join(job.Script, "\n")
	for _, c := range []struct{ run, compare, want int }{
		{0, 0, 0}, {1, 0, 1}, {2, 0, 2}, {3, 0, 3}, {4, 0, 4}, {0, 1, 1}, {0, 3, 3}, {1, 3, 1},
	} {
		s := newWorkspace(t)
		if err := os.Mkdir(filepath.Join(s.dir, "baseline"), 0o700); err != nil {
			t.Fatal(err)
		}
		got, out := s.sh(t, script, fmt.Sprint("RUN=", c.run), fmt.Sprint("COMPARE=", c.compare), "CI_COMMIT_BRANCH=main", "CI_DEFAULT_BRANCH=main")
		if got != c.want {
			t.Errorf("run exits with %d, compare with %d: the job with %d, want %d: %s", c.run, c.compare, got, c.want, out)
		}
		if kept := s.has("baseline/result.json") == "new\n"; kept != (c.want == 0) {
			t.Errorf("run exits with %d, compare with %d: the run is the new baseline: %v", c.run, c.compare, kept)
		}
	}
	s := newWorkspace(t) // of a merge request nothing becomes the baseline
	if got, out := s.sh(t, script, "RUN=0", "COMPARE=1", "CI_COMMIT_BRANCH=", "CI_DEFAULT_BRANCH=main"); got != 0 || s.has("baseline/result.json") != "" {
		t.Errorf("exit code %d: %s", got, out)
	}
	s.really(t)
	if err := os.RemoveAll(filepath.Join(s.dir, "storm")); err != nil {
		t.Fatal(err)
	}
	got, out := s.sh(t, script, "CI_COMMIT_BRANCH=", "CI_DEFAULT_BRANCH=main")
	if got != 0 {
		t.Errorf("really: exit code %d: %s", got, out)
	}
	for kind, file := range job.Artifacts.Reports {
		if s.has(file) == "" {
			t.Errorf("really: %s is not there for the %s report", file, kind)
		}
	}
}

func TestJenkinsRecipe(t *testing.T) {
	pipeline := recipe(t, "Jenkins", "groovy")
	script := regexp.MustCompile(`(?s)sh\(returnStatus: true, script: '''(.*?)'''\)`).FindStringSubmatch(pipeline)
	if script == nil {
		t.Fatal("no shell step returns its status")
	}
	for _, line := range []string{`if \(code == 3\) \{\s+unstable\(`, `\} else if \(code != 0\) \{\s+error\(`,
		`always \{\s+junit testResults: 'storm/junit.xml'`, `archiveArtifacts artifacts: 'storm/\*\*'`} {
		if !regexp.MustCompile(line).MatchString(pipeline) {
			t.Errorf("it has no %s", line)
		}
	}
	for _, c := range []struct{ run, compare, want int }{{0, 0, 0}, {1, 0, 1}, {2, 0, 2}, {3, 1, 3}, {4, 0, 4}, {0, 1, 1}, {0, 3, 3}} {
		s := newWorkspace(t)
		for _, dir := range []string{"baseline/storm", "storm/of/before"} {
			if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if got, out := s.sh(t, script[1], fmt.Sprint("RUN=", c.run), fmt.Sprint("COMPARE=", c.compare)); got != c.want {
			t.Errorf("run exits with %d, compare with %d: the step with %d, want %d: %s", c.run, c.compare, got, c.want, out)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "storm/of")); err == nil {
			t.Error("the run directory of the build before is in the way")
		}
	}
	s := newWorkspace(t)
	s.really(t)
	if got, out := s.sh(t, script[1]); got != 0 || s.has("storm/junit.xml") == "" {
		t.Errorf("really: exit code %d: %s", got, out)
	}
}

// The page names each format with the file that it is in.
func TestGatesPageHasEveryFormat(t *testing.T) {
	page, err := os.ReadFile("../../docs/gates.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range reports.Formats() {
		row := regexp.MustCompile("(?m)^\\| .*`" + format + "`.*`" + regexp.QuoteMeta(reports.File(format)) + "`.*\\|$")
		if !row.Match(page) {
			t.Errorf("docs/gates.md has no row for %s with %s", format, reports.File(format))
		}
	}
}
