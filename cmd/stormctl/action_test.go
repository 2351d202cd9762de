package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// actionStep is a step of action.yml, as far as it is run here.
type actionStep struct {
	ID    string            `yaml:"id"`
	Shell string            `yaml:"shell"`
	Env   map[string]string `yaml:"env"`
	Run   string            `yaml:"run"`
}

// actionSteps reads the action's steps that are scripts, by their ids.
func actionSteps(t *testing.T) map[string]actionStep {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Runs struct {
			Steps []actionStep `yaml:"steps"`
		} `yaml:"runs"`
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		t.Fatal(err)
	}
	steps := map[string]actionStep{}
	for _, s := range action.Runs.Steps {
		if s.Run == "" {
			continue
		}
		if s.ID == "" || s.Shell != "bash" {
			t.Errorf("a step with a script has id %q and shell %q", s.ID, s.Shell)
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("step %s puts an expression into its script: whoever gives it may run anything", s.ID)
		}
		steps[s.ID] = s
	}
	return steps
}

// actionRun is what a step left behind.
type actionRun struct {
	code              int
	out, output, path string // what it printed; the files that it tells the runner with
}

// run executes a step as a runner does, with its expressions replaced.
func (s actionStep) run(t *testing.T, values map[string]string, extraPath string) actionRun {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("script.sh"), []byte(s.Run), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", file("script.sh"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RUNNER_TEMP="+dir, "GITHUB_OUTPUT="+file("output"),
		"GITHUB_STEP_SUMMARY="+file("summary"), "GITHUB_PATH="+file("path"), "PATH="+extraPath+":"+os.Getenv("PATH"))
	for name, expression := range s.Env {
		value, ok := values[expression]
		if !ok {
			t.Fatalf("step %s: nobody gives %s, which is %s", s.ID, name, expression)
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, _ := os.ReadFile(file(name)) // not there: nothing was told
		return string(text)
	}
	return actionRun{cmd.ProcessState.ExitCode(), string(out), read("output"), read("path")}
}

// fakeStormctl writes a program in the place of ours that prints its arguments,
// one in brackets a line, and exits with a code.
func fakeStormctl(t *testing.T, code int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nprintf '[%%s]\\n' \"$@\"\nexit %d\n", code)
	if err := os.WriteFile(filepath.Join(dir, "stormctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The step that runs the experiment exits as stormctl did, and tells all the same
// what it was, and where the run is.
func TestActionKeepsTheExitCode(t *testing.T) {
	step := actionSteps(t)["run"]
	for _, want := range []exitCode{exitHeld, exitRefuted, exitFailed, exitInconclusive, exitStopped} {
		got := step.run(t, map[string]string{
			"${{ inputs.experiment }}": "mine.yaml", "${{ inputs.args }}": "--seed 7\n--set load.rate=1k/s",
		}, fakeStormctl(t, int(want)))
		if got.code != int(want) || !strings.Contains(got.output, fmt.Sprintf("exit-code=%d\n", want)) {
			t.Errorf("exit code %d: the step has %d, and told %q", want, got.code, got.output)
		}
		directory := ""
		for line := range strings.Lines(got.output) {
			if after, ok := strings.CutPrefix(line, "directory="); ok {
				directory = strings.TrimSpace(after)
			}
		}
		args := "[run]\n[mine.yaml]\n[--out]\n[" + directory + "]\n[--report]\n[junit,github]\n[--seed]\n[7]\n[--set]\n[load.rate=1k/s]\n"
		if directory == "" || !strings.Contains(got.out, args) {
			t.Errorf("want %s in the log: %s", args, got.out)
		}
	}
}

// What is given to the action is no part of a script, and its directory is its own.
func TestActionTakesInputsAsData(t *testing.T) {
	step := actionSteps(t)["run"]
	mark := filepath.Join(t.TempDir(), "mark")
	hostile := `a b$(touch ` + mark + `);touch ` + mark + `;"` + "`touch " + mark + "`" + `.yaml`
	got := step.run(t, map[string]string{"${{ inputs.experiment }}": hostile, "${{ inputs.args }}": "$(touch " + mark + ") *"}, fakeStormctl(t, 0))
	if _, err := os.Stat(mark); err == nil {
		t.Error("an input was executed")
	}
	if !strings.Contains(got.out, "["+hostile+"]\n") || !strings.Contains(got.out, "\n[*]\n") {
		t.Errorf("the inputs did not come as they are: %s", got.out)
	}
	got = step.run(t, map[string]string{"${{ inputs.experiment }}": "--out=elsewhere", "${{ inputs.args }}": "mine.yaml"}, fakeStormctl(t, 0))
	if !strings.Contains(got.out, "[./--out=elsewhere]\n") {
		t.Errorf("a file became a flag: %s", got.out)
	}
	for _, args := range []string{"--out x", "--quiet --out=x"} {
		got := step.run(t, map[string]string{"${{ inputs.experiment }}": "mine.yaml", "${{ inputs.args }}": args}, fakeStormctl(t, 0))
		if got.code != 2 || !strings.Contains(got.out, "::error::args: --out") || got.output != "" {
			t.Errorf("%s: exit code %d, %s", args, got.code, got.out)
		}
	}
}

// Without a version the action builds what it is part of, and puts it on the path.
func TestActionBuildsItself(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	t.Parallel()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	got := actionSteps(t)["install"].run(t, map[string]string{"${{ inputs.version }}": "", "${{ github.action_path }}": source}, "/nonexistent")
	if got.code != 0 || !strings.Contains(got.out, "stormctl ") {
		t.Fatalf("exit code %d: %s", got.code, got.out)
	}
	out, err := exec.Command(filepath.Join(strings.TrimSpace(got.path), "stormctl"), "version").CombinedOutput()
	if err != nil || string(out) != got.out {
		t.Errorf("%v: %q, and the step printed %q", err, out, got.out)
	}
}
