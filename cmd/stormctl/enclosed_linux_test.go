package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// enclosure is what each script finds: /run and /tmp are empty, /mnt is root's,
// stormctl is this test's own program, and other runs a command as another user.
const enclosure = `
umask 022
mount -t tmpfs -o mode=755 tmpfs /mnt
touch /mnt/stormctl
mount --bind "$PROGRAM" /mnt/stormctl
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
cd /mnt
export PATH="/mnt:$PATH" HOME=/nonexistent
unset XDG_RUNTIME_DIR STORMCTL_STATE SUDO_UID TMPDIR
other() { setpriv --reuid 65533 --regid 65533 --clear-groups "$@"; }
await() {
  tries=0
  until eval "$1"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "WAITED IN VAIN: $1"; exit 1; }
    sleep 0.05
  done 2>/dev/null
}
told() { code=0; "$@" || code=$?; echo "exit $code: $*" >&2; }
guardian() { for p in /proc/[0-9]*; do if grep -q ^stormctl-guardian $p/cmdline; then echo ${p#/proc/}; fi; done 2>/dev/null; }
`

// enclosed runs a shell script as root in mount, pid, network and IPC namespaces
// of its own, in which another user can be played without leaving a trace on the
// machine. It returns what was printed. Nothing that the script starts is left.
func enclosed(t *testing.T, script string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to play another user")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc",
		"sh", "-euc", enclosure+script)
	cmd.Env = append(os.Environ(), "PROGRAM="+program, "GORACE=atexit_sleep_ms=50 "+os.Getenv("GORACE"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// says checks that all of it was printed.
func says(t *testing.T, out string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
