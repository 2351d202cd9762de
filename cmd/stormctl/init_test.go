package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/reports"
)

// Each pattern is an experiment whose plan can decide all that it claims.
func TestPatternsCanDecide(t *testing.T) {
	for _, p := range patterns {
		for _, o := range []initOptions{
			{url: "http://127.0.0.1:8080/", dependency: "http://127.0.0.1:7000", listen: "127.0.0.1:7001"},
			{url: "https://localhost:8443/pay?now=1&x=%22", dependency: "https://[::1]:7000/", listen: "[::1]:7001"},
		} {
			text, err := experimentOf(p.name, o)
			if err != nil {
				t.Errorf("%s: %v", p.name, err)
				continue
			}
			x, err := experiment.Parse(p.name, text, experiment.Options{
				Weak: func(w experiment.Weakness) { t.Errorf("%s cannot decide: %v", p.name, w) },
			})
			if err != nil {
				t.Errorf("%v\n%s", err, text)
				continue
			}
			if x.Name != p.name || len(x.Claims) < 2 || len(x.Chaos) == 0 {
				t.Errorf("%s is %q with %d claims and %d faults", p.name, x.Name, len(x.Claims), len(x.Chaos))
			}
			if !bytes.Contains(text, []byte("<--")) {
				t.Errorf("%s marks no number that is its reader's to know", p.name)
			}
		}
	}
	if files, err := patternFiles.ReadDir("patterns"); err != nil || len(files) != len(patterns) {
		t.Errorf("%d patterns are listed, of %d files, %v", len(patterns), len(files), err)
	}
}

func TestInitRefuses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"nope", `unknown pattern "nope": it is one of start, breaker, bulkhead, retry`},
		{"--url 127.0.0.1:8080", "a URL like http://127.0.0.1:8080/pay is wanted"},
		{"--url http://127.0.0.1:8080/{x}", "characters that a URL writes as"},
		{"--url http://me:secret@127.0.0.1:8080/", "a password in it would stand in the file"},
		{"--dependency ftp://127.0.0.1/", "a URL like"},
		{"--dependency http://127.0.0.1:7000/charge", "without the path"},
		{"--listen nowhere", "--listen nowhere: an IP address and a port are wanted"},
		{"--listen 0.0.0.0:7001", "with these flags the experiment would be refused: start.yaml:"},
		{"start more", `unexpected argument "more"`},
		{"--out /nowhere/at/all.yaml", "no such file"},
	} {
		var stdout, stderr bytes.Buffer
		t.Chdir(t.TempDir())
		if code := execute(append([]string{"init"}, strings.Fields(c.args)...), &stdout, &stderr); code != exitFailed {
			t.Errorf("init %s: exit code %d", c.args, code)
		}
		if !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
			t.Errorf("init %s: got %q, want %q", c.args, stderr.String(), c.want)
		}
		if left, _ := os.ReadDir("."); len(left) > 0 {
			t.Errorf("init %s left %v", c.args, left)
		}
	}
}

// A file that is there is somebody's work.
func TestInitKeepsWhatIsThere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("start.yaml", []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute([]string{"init"}, &stdout, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "is left as it is") {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
	if text, err := os.ReadFile("start.yaml"); string(text) != "mine" {
		t.Errorf("it holds %q, %v", text, err)
	}
}

// Who names a host beyond this machine has not said yet that it may be broken.
func TestInitAllowsNoOtherHost(t *testing.T) {
	text, err := experimentOf("start", initOptions{url: "http://shop.example/", dependency: "http://10.1.2.3:80", listen: "127.0.0.1:7001"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := experiment.Parse("start.yaml", text, experiment.Options{}); err == nil || !strings.Contains(err.Error(), "10.1.2.3 is outside limits.allow") {
		t.Errorf("as it is written: %v", err)
	}
	asked := `# limits: {allow: [127.0.0.0/8, ADDRESS OF shop.example, 10.1.2.3/32]}`
	if !bytes.Contains(text, []byte(asked)) {
		t.Fatalf("it lacks %s:\n%s", asked, text)
	}
	text = bytes.Replace(text, []byte("# limits:"), []byte("limits:"), 1)
	text = bytes.Replace(text, []byte("ADDRESS OF shop.example"), []byte("10.1.2.4/32"), 1)
	if _, err := experiment.Parse("start.yaml", text, experiment.Options{}); err != nil {
		t.Errorf("uncommented: %v", err)
	}
}

// TestStartPage follows docs/start.md with the shop in Python: from an empty folder to
// a ruling and a report.
func TestStartPage(t *testing.T) {
	if testing.Short() {
		t.Skip("a run of 20 s")
	}
	t.Parallel()
	page, err := os.ReadFile("../../docs/start.md")
	if err != nil {
		t.Fatal(err)
	}
	shop, err := filepath.Abs("../../examples/python/shop.py")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, block := range strings.Split(string(page), "```sh\n")[1:] {
		command, _, _ := strings.Cut(block, "\n```")
		commands = append(commands, command)
	}
	if len(commands) != 6 {
		t.Fatalf("the page has %d commands, want 6", len(commands))
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		if bare := strings.TrimSuffix(command, " &"); !bytes.Contains(readme, []byte(bare)) {
			t.Errorf("the README lacks %s", bare)
		}
	}
	// The last one opens a window; the shop is another folder's, and gets the time to start.
	script := strings.Join(commands[:5], "\n")
	for _, port := range []string{"7000", "7001", "8080"} {
		_, own, _ := strings.Cut(freeAddr(t), ":")
		script = strings.ReplaceAll(script, port, own)
	}
	script = strings.Replace(script, "shop.py", shop, 1)
	script = strings.Replace(script, "\nstormctl init", "\nsleep 2\nstormctl init", 1)
	script += "\nstatus=$?\nkill $(jobs -p)\nexit $status"
	shell := exec.Command("bash", "-c", script)
	shell.Dir = t.TempDir()
	out, err := shell.CombinedOutput()
	// On a busy machine it may be inconclusive; refuted it is not.
	if code := shell.ProcessState.ExitCode(); code != int(exitHeld) && code != int(exitInconclusive) {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	report := filepath.Join(shell.Dir, "first", reports.File("html"))
	if info, err := os.Stat(report); err != nil || info.Size() < 1000 {
		t.Errorf("%s: %v", report, err)
	}
}
