package targets

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// asNobody is the user that tests start processes as; it skips where we may not.
func asNobody(t *testing.T) *User {
	t.Helper()
	u, err := LookupUser("nobody")
	if err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes as another user")
	}
	return u
}

// open is a folder that every user may enter and write to.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCommandRunsAsItsUser(t *testing.T) {
	u, dir := asNobody(t), openFolder(t)
	script := fmt.Sprintf(`(id -u; id -g; id -G; echo $HOME $USER $LOGNAME; env | grep -c STORMCTL_SUPERVISE) > %s/who; touch %[1]s/done; exec sleep 600`, dir)
	p := Process{Name: "svc", Command: []string{"sh", "-c", script}, User: u, Dir: "/",
		Ready: Probe{Command: []string{"sh", "-c", fmt.Sprintf(`[ "$(id -u)" = %d ] && [ -e %s/done ]`, u.UID, dir)}}}
	r, err := Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	said, err := os.ReadFile(filepath.Join(dir, "who"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d\n%d\n%d\n%s nobody nobody\n0\n", u.UID, u.GID, u.GID, u.Home)
	if got := string(said); got != want {
		t.Errorf("it says\n%s want\n%s", got, want)
	}
	// We still reach it.
	first := r.Pid()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if alive(first) {
		t.Errorf("process %d lives after Kill", first)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := r.Pid(); second == first || !alive(second) {
		t.Errorf("process %d after %d is not there", second, first)
	}
}

func TestUserThatIsNotThere(t *testing.T) {
	if _, err := LookupUser("no-such-user"); err == nil || err.Error() != "there is no user no-such-user on this machine" {
		t.Error(err)
	}
}

func TestMayEnter(t *testing.T) {
	u := &User{UID: 7, GID: 70, Groups: []uint32{71}}
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		t.Skip("only root gives folders to others")
	}
	tests := []struct {
		uid, gid int
		mode     os.FileMode
		want     bool
	}{
		{7, 1, 0o100, true}, {7, 1, 0o011, false}, // the owner's bits count alone
		{1, 70, 0o010, true}, {1, 71, 0o010, true}, {1, 71, 0o101, false},
		{1, 1, 0o001, true}, {1, 1, 0o110, false},
	}
	for _, test := range tests {
		if err := os.Chown(dir, test.uid, test.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, test.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.MayEnter(info); got != test.want {
			t.Errorf("%d:%d %v: %v, want %v", test.uid, test.gid, test.mode, got, test.want)
		}
	}
}

func TestReadyCommand(t *testing.T) {
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	// It fails twice, and says so.
	ask := fmt.Sprintf(`echo x >> %[1]s; n=$(wc -l < %[1]s); echo try $n; [ $n -ge 3 ]`, count)
	p := Process{Name: "svc", Command: []string{"sleep", "600"}, Output: filepath.Join(dir, "svc.log"), Ready: Probe{Command: []string{"sh", "-c", ask}}}
	r := start(t, p)
	if !alive(r.Pid()) {
		t.Error("it does not run")
	}
	said, err := os.ReadFile(filepath.Join(dir, "svc.ready.log"))
	if err != nil || string(said) != "try 1\ntry 2\ntry 3\n" {
		t.Errorf("%q, %v", said, err)
	}
	if own, _ := os.ReadFile(p.Output); len(own) > 0 {
		t.Errorf("the service's own output has %q", own)
	}
}

func TestReadyCommandFails(t *testing.T) {
	dir := t.TempDir()
	sleeper := []string{"sleep", "600"}
	for name, test := range map[string]struct {
		ready Probe
		want  []string
	}{
		"never 0": {Probe{Command: []string{"sh", "-c", "echo still starting; exit 3"}, Within: 2 * time.Second},
			[]string{"start svc: not ready within 2s: run sh -c", "exit status 3", "still starting"}},
		"hangs": {Probe{Command: sleeper, Within: 200 * time.Millisecond}, []string{"not ready within 200ms", "it had not ended when the time was up"}},
		"unknown": {Probe{Command: []string{"no-such-command-here"}},
			[]string{`start svc: ready: command "no-such-command-here" not found in PATH`}},
		"two": {Probe{Command: sleeper, URL: "http://127.0.0.1:1"}, []string{"give one"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(t.Context(), Process{Name: "svc", Command: sleeper, Output: filepath.Join(dir, name+".log"), Ready: test.ready})
			if err == nil {
				t.Fatal("it is ready")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestReadyCommandEndsWithTheService(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "asks")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		awaitFile(file)
		cancel()
	}()
	_, err := Start(ctx, Process{Name: "svc", Command: []string{"sleep", "600"},
		Ready: Probe{Within: time.Hour, Command: []string{"sh", "-c", "echo $$ > " + file + ".new; mv " + file + ".new " + file + "; exec sleep 600"}}})
	if err == nil {
		t.Fatal("it is ready")
	}
	if pid := pidIn(t, file); alive(pid) {
		t.Errorf("the command %d that asked lives on", pid)
	}
}

func TestCommandRunsInItsNetwork(t *testing.T) {
	name := "stormctl-test-targets"
	if os.Geteuid() != 0 || exec.Command("ip", "netns", "add", name).Run() != nil {
		t.Skip("no network namespaces here")
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", name).Run() })
	dir := t.TempDir()
	list := func(file string) []string {
		return []string{"sh", "-c", "cat /proc/net/dev > " + filepath.Join(dir, file) + "; [ $1 = ready ] || exec sleep 600", "sh", file}
	}
	p := Process{Name: "svc", Command: list("command"), Netns: "/run/netns/" + name, Ready: Probe{Command: list("ready")}}
	r := start(t, p)
	defer func() { _ = r.Stop() }()
	awaitFile(filepath.Join(dir, "command"))
	for _, file := range []string{"command", "ready"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || strings.Count(string(text), ":") != 1 || !strings.Contains(string(text), "lo:") {
			t.Errorf("%s sees more than a loopback: %s %v", file, text, err)
		}
	}
	p.Netns = "/run/netns/" + name + "-none"
	if r, err := Start(t.Context(), p); err == nil || !strings.Contains(err.Error(), "open network namespace "+p.Netns) {
		t.Errorf("%v %v", r, err)
	}
}

// Another user gets no secret that is in our environment.
func TestEnvironmentOfAnotherUser(t *testing.T) {
	ours := []string{"PATH=/bin", "HOME=/root", "STORMCTL_TOKEN=t", "AWS_SECRET_ACCESS_KEY=s", "LC_ALL=C", "LD_PRELOAD=x"}
	other := &User{Name: "x", Home: "/home/x", UID: uint32(os.Geteuid()) + 1}
	if got, want := other.environment(ours), []string{"PATH=/bin", "LC_ALL=C", "HOME=/home/x", "USER=x", "LOGNAME=x"}; !slices.Equal(got, want) {
		t.Errorf("another user gets %q, want %q", got, want)
	}
	if got := (*User)(nil).environment(ours); !slices.Equal(got, ours) {
		t.Errorf("we get %q", got)
	}
}
