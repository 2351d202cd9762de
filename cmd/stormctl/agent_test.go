package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const testJoin = "nats://10.0.0.1:7422#9f2c61d0a4b7e8350c1d2e3f40516273"

// What places agents is printed as it is kept here; read the difference before -update.
func TestAgentManifests(t *testing.T) {
	for name, args := range map[string][]string{
		"kubernetes.yaml": {"--kubernetes", "3", "--image", "registry.example/stormctl:1", "--cores", "4"},
		"nomad.hcl":       {"--nomad", "3", "--image", "registry.example/stormctl:1"},
		"systemd.service": {"--systemd"},
	} {
		var out, errs bytes.Buffer
		args = append([]string{"agent", "manifests", "--join", testJoin, "--allow", "10.0.0.0/16,fd00::/8"}, args...)
		if code := execute(args, &out, &errs); code != exitHeld {
			t.Errorf("%v: exit code %d: %s", args, code, errs.String())
			continue
		}
		file := filepath.Join("testdata", "manifests", name)
		if *update {
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s is not what is kept; with -update it is written anew. Got\n%s", name, out.String())
		}
	}
}

// The Job starts each agent once, on a machine of its own, with its secret from a Secret.
func TestKubernetesJob(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"agent", "manifests", "--kubernetes", "5", "--join", testJoin, "--allow", "10.0.0.0/16"}
	if code := execute(args, &out, &errs); code != exitHeld {
		t.Fatal(errs.String())
	}
	secret, rest, _ := strings.Cut(out.String(), "\n---\n")
	var s struct {
		Kind       string            `yaml:"kind"`
		StringData map[string]string `yaml:"stringData"`
	}
	var job struct {
		Kind string `yaml:"kind"`
		Spec struct {
			CompletionMode           string `yaml:"completionMode"`
			Completions, Parallelism int
			BackoffLimit             *int `yaml:"backoffLimit"`
			Template                 struct {
				Spec struct {
					RestartPolicy string `yaml:"restartPolicy"`
					Containers    []struct {
						Args []string
						Env  []struct{ Name string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(secret), &s); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(rest), &job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	switch {
	case s.Kind != "Secret" || s.StringData["join"] != testJoin:
		t.Errorf("the secret is %+v", s)
	case job.Kind != "Job" || job.Spec.CompletionMode != "Indexed" || job.Spec.Completions != 5 || job.Spec.Parallelism != 5,
		job.Spec.BackoffLimit == nil || *job.Spec.BackoffLimit != 0 || pod.RestartPolicy != "Never":
		t.Errorf("the job may start an agent again, or has another number of them: %+v", job)
	case len(pod.Containers) != 1 || strings.Contains(strings.Join(pod.Containers[0].Args, " "), "#"):
		t.Errorf("the secret is in the arguments: %+v", pod.Containers)
	}
}

// What is wrong on the command line is told before anything is started.
func TestAgentFlags(t *testing.T) {
	t.Setenv(joinVariable, "")
	for want, args := range map[string][]string{
		"--join is missing":                      {"agent"},
		"no token":                               {"agent", "--join", "nats://10.0.0.1:7422"},
		"is no CIDR":                             {"agent", "--join", testJoin, "--allow", "10.0.0.0"},
		"--name":                                 {"agent", "--join", testJoin, "--name", "A B"},
		"--loops":                                {"agent", "--join", testJoin, "--loops", "-1"},
		"give one of":                            {"agent", "manifests", "--join", testJoin, "--allow", "10.0.0.0/8"},
		"--allow is missing":                     {"agent", "manifests", "--systemd", "--join", testJoin},
		"take no quotes":                         {"agent", "manifests", "--nomad", "2", "--join", testJoin, "--allow", "10.0.0.0/8", "--image", "a\"b"},
		"go with --agents":                       {"run", "../../examples/load.yaml", "--nats", "nats://127.0.0.1:4222"},
		"one run; give one FILE":                 {"run", "../../examples/load.yaml", "../../examples/timeout.yaml", "--agents", "2"},
		"--agents-token: a token has 22 letters": {"run", "../../examples/load.yaml", "--agents", "2", "--agents-token", "secret"},
	} {
		var out, errs bytes.Buffer
		if code := execute(args, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), want) {
			t.Errorf("%v: exit code %d, %q; want %q", args, code, errs.String(), want)
		}
	}
}
