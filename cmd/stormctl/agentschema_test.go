package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// published is what Kubernetes publishes of the types that our manifests use: of each
// its fields and what they are: string, numeric, boolean or any, another type, [] of one,
// or {} of one by name.
type published struct {
	Source, License string
	Types           map[string]map[string]string
}

// check lists what of a value is not of a type.
func (p *published) check(path, kind string, v any) (wrong []string) {
	say := func(format string, args ...any) []string { return []string{path + ": " + fmt.Sprintf(format, args...)} }
	if element, list := strings.CutPrefix(kind, "[]"); list {
		items, ok := v.([]any)
		if !ok {
			return say("%v is no list", v)
		}
		for i, item := range items {
			wrong = append(wrong, p.check(fmt.Sprintf("%s[%d]", path, i), element, item)...)
		}
		return wrong
	}
	if element, byName := strings.CutPrefix(kind, "{}"); byName {
		items, ok := v.(map[string]any)
		if !ok {
			return say("%v has no names", v)
		}
		for _, name := range slices.Sorted(maps.Keys(items)) {
			wrong = append(wrong, p.check(path+"."+name, element, items[name])...)
		}
		return wrong
	}
	var ok bool
	switch kind {
	case "any":
		return nil
	case "string":
		_, ok = v.(string)
	case "boolean":
		_, ok = v.(bool)
	case "numeric":
		_, ok = v.(int)
	default:
		return p.checkFields(path, kind, v)
	}
	if !ok {
		return say("%v is no %s", v, kind)
	}
	return nil
}

func (p *published) checkFields(path, kind string, v any) (wrong []string) {
	fields, known := p.Types[kind]
	values, ok := v.(map[string]any)
	if !known || !ok {
		return []string{fmt.Sprintf("%s: %v is no %s, or that is not among the types kept here", path, v, kind)}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if fields[name] == "" {
			wrong = append(wrong, fmt.Sprintf("%s: a %s has no field %s", path, kind, name))
			continue
		}
		wrong = append(wrong, p.check(path+"."+name, fields[name], values[name])...)
	}
	return wrong
}

// kindsOf are the documents of manifests, by kind.
func kindsOf(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	kinds := map[string]map[string]any{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var v map[string]any
		if err := yaml.Unmarshal([]byte(document), &v); err != nil {
			t.Fatal(err)
		}
		kinds[fmt.Sprint(v["apiVersion"], " ", v["kind"])] = v
	}
	return kinds
}

// What is printed for Kubernetes has no field that its published types do not have, and
// each is what they say.
func TestKubernetesManifestsAreOfPublishedTypes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "manifests", "kubernetes-types.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p published
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	manifests, err := os.ReadFile(filepath.Join("testdata", "manifests", "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{"v1 Secret": "io.k8s.api.core.v1.Secret", "batch/v1 Job": "io.k8s.api.batch.v1.Job"}
	check := func(text string) (wrong []string) {
		kinds := kindsOf(t, text)
		if len(kinds) != len(types) {
			t.Errorf("there are %v", slices.Sorted(maps.Keys(kinds)))
		}
		for kind, v := range kinds {
			wrong = append(wrong, p.check(kind, types[kind], v)...)
		}
		return wrong
	}
	if wrong := check(string(manifests)); len(wrong) > 0 {
		t.Errorf("by %s:\n%s", p.Source, strings.Join(wrong, "\n"))
	}
	for sound, spoilt := range map[string]string{
		"backoffLimit: 0": "backoffLimits: 0", "completions: 3": "completions: three", "drop: [ALL]": "drop: ALL",
		"topologyKey: kubernetes.io/hostname": "topology: kubernetes.io/hostname", "restartPolicy: Never": "restartPolicy: 0",
		"runAsNonRoot: true": "runAsNonRoot: yes please",
	} {
		text := strings.Replace(string(manifests), sound, spoilt, 1)
		if text == string(manifests) {
			t.Errorf("the manifests have no %q", sound)
		} else if len(check(text)) != 1 {
			t.Errorf("%s: %v", spoilt, check(text))
		}
	}
}

// What is printed for systemd is a unit to systemd.
func TestSystemdVerifiesTheUnit(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	unit, err := os.ReadFile(filepath.Join("testdata", "manifests", "systemd.service"))
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit = bytes.ReplaceAll(unit, []byte("/usr/local/bin/stormctl"), []byte(self)) // it looks for the program
	for name, c := range map[string]struct {
		unit  []byte
		sound bool
	}{
		"sound":  {unit, true},
		"spoilt": {bytes.ReplaceAll(unit, []byte("Type=exec"), []byte("Type=execute")), false},
	} {
		file := filepath.Join(t.TempDir(), "stormctl-agent@one.service")
		if err := os.WriteFile(file, c.unit, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(verify, "verify", "--man=no", "--generators=no", "--recursive-errors=no", file).CombinedOutput()
		if err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		if said := bytes.Contains(out, []byte("stormctl-agent")); (err == nil && !said) != c.sound {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

var nomad = flag.String("nomad", "", "program of chaos/agents/nomad, which reads the job for Nomad; none is not read")

// What is printed for Nomad is a job to Nomad's own parser.
func TestNomadReadsTheJob(t *testing.T) {
	if *nomad == "" {
		t.Skip("make nomad-test builds what reads it")
	}
	job, err := os.ReadFile(filepath.Join("testdata", "manifests", "nomad.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(text string) string {
		c := exec.Command(*nomad)
		c.Stdin = strings.NewReader(text)
		said, err := c.CombinedOutput()
		if err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		return string(said)
	}
	if said := read(string(job)); said != "stormctl-agent 3\n" {
		t.Errorf("Nomad's parser says %q", said)
	}
	for sound, spoilt := range map[string]string{
		"count ": "counts ", `type = "batch"`: `kinds = "batch"`, "unlimited": "limited", "attempts = 0": "attempts = none",
	} {
		text := strings.Replace(string(job), sound, spoilt, 1)
		if said := read(text); text == string(job) || !strings.HasPrefix(said, "job.hcl:") {
			t.Errorf("%s: Nomad's parser says %q", spoilt, said)
		}
	}
}
