package main

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var surroundings = flag.Bool("surroundings", false, "try also the surroundings that take long")

// ran is the outcome of a run that came to its end; how it ruled is not the question.
const ran = "ran"

// A surrounding is what a command finds around it.
type surrounding struct {
	name, script string
	ends         string // ran, or "exit N"
	says         string // in what it prints; "" need say nothing
	slow         bool
}

// The experiment of all of them: short, with a fault that would outlive its run.
// Runs take it from x.yaml in a folder of their own; p writes one about a process
// of its own, a shell script.
const surrounded = `
cat > /mnt/x.yaml <<'END'
name: small
targets: {web: {reference: dependency}}
load: {rate: 50/s, duration: 1s, routes: [{name: get, to: web, get: /}]}
chaos: [{at: 300ms, for: 300ms, on: web, pause: {}}]
claims: [{recovery: {within: 5s}}]
END
cat > /mnt/p <<'END'
cat > p.yaml <<EOT
name: process
targets: {svc: {process: {command: [sh, -c, '$1'], ready_within: ${2:-8s}, stop_within: 300ms}}}
load: {rate: 20/s, duration: 500ms, routes: [{name: get, to: svc, get: /}]}
claims: [{recovery: {within: 5s}}]
EOT
exec stormctl run p.yaml --out run --quiet
END
chmod 755 /mnt/p
row() {
  mkdir $1
  cp x.yaml $1
  (cd $1; code=0; sh -c "$2" >$1.out 2>&1 || code=$?; echo "=== $1 $code"; cat $1.out) >$1.all &
}
`

// middle waits for the middle of a run, but not for ever.
const middle = `middle() {
  i=0
  until grep -q '"inject"' run/timeline.jsonl || [ $i -gt 1000 ]; do i=$((i+1)); sleep 0.02; done 2>/dev/null
}
`

var abbreviations = strings.NewReplacer(
	"RUN", "stormctl run x.yaml --out run --quiet",
	"LONG", "stormctl run x.yaml --out run --quiet --set load.duration=20s",
	"SERVES", "exec stormctl target dependency --listen $ADDR",
)

var surroundingsTried = []surrounding{
	// what it is given
	{"few ports",
		`unshare -n sh -c "ip link set lo up; echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range; RUN"`,
		ran, "", false},
	{"no port",
		`unshare -n sh -c "ip link set lo up; echo 1024 1024 > /proc/sys/net/ipv4/ip_local_port_range; ` +
			`stormctl target dependency --listen 127.0.0.1:1024 & RUN; c=\$?; kill \$!; exit \$c"`,
		"exit 2", "cannot assign requested address", true},
	{"no network", `unshare -n RUN`, "exit 2", "network is unreachable", true},
	{"50 descriptors", `ulimit -n 50; RUN`, ran, "", false},
	{"20 descriptors", `ulimit -n 20; RUN`, "exit 2", "too many open files", false},
	{"files of 1 KiB", `ulimit -f 2; RUN`, "exit 2", "file too large", false},
	{"no file descriptor of the usual three", `RUN <&- >&- 2>&-`, ran, "", false},
	{"no stdin", `RUN <&-`, ran, "", false},
	{"no stdout", `RUN >&-`, ran, "", false},
	{"no stderr", `stormctl run x.yaml --out run 2>&-`, ran, "", false},
	{"stderr that is full", `stormctl run x.yaml --out run 2>/dev/full`, ran, "", false},
	{"stdout that is full", `RUN >/dev/full`, "exit 2", "no space left on device", false},
	{"validate, stdout that is full", `stormctl validate x.yaml >/dev/full`, "exit 2", "no space left on device", false},
	{"halt, stdout that is full", `STORMCTL_STATE=$PWD/state stormctl halt >/dev/full`, "exit 2", "no space left on device", false},
	{"head", `(RUN; echo "code $?" >&3) 3>&1 | head -1 >/dev/null; true`, "exit 0", "", false},
	{"an environment that is empty", `env -i /mnt/stormctl run x.yaml --out run --quiet`, ran, "", false},
	{"a home that is read-only",
		`mkdir home; unshare -m sh -c "mount -t tmpfs -o ro tmpfs home; HOME=$PWD/home XDG_CONFIG_HOME=$PWD/home XDG_CACHE_HOME=$PWD/home RUN"`,
		ran, "", false},
	{"an odd environment",
		`export LANG=xx LC_ALL=C TERM=nonsense COLUMNS=-5 TMPDIR=/nonexistent PATH=; /mnt/stormctl run x.yaml --out run --quiet`,
		ran, "", false},
	{"umask 0", `umask 0; RUN; find run -perm /077`, "exit 0", "", false},
	{"umask 777", `umask 777; RUN`, ran, "", false},
	{"another clock that counts from boot", `unshare -T -f --boottime 1000000 --monotonic 1000000 RUN`, ran, "", false},

	// where it is
	{"a folder that is gone",
		`mkdir gone; cd gone; rmdir ../gone; stormctl run /mnt/x.yaml`,
		"exit 2", "the folder that we are in", false},
	{"a folder that is gone, with --out",
		`d=$PWD; mkdir gone; cd gone; rmdir ../gone; stormctl run /mnt/x.yaml --out $d/run --quiet`,
		ran, "", false},
	{"a folder that is read-only",
		`mkdir ro; unshare -m sh -c "mount -t tmpfs -o ro tmpfs ro; cd ro; stormctl run /mnt/x.yaml"`,
		"exit 2", "give it another place by --out", false},
	{"a name that is too long",
		`stormctl run x.yaml --quiet --out $(printf "a%.0s" $(seq 300))`,
		"exit 2", "file name too long", false},
	{"a path that is long",
		`stormctl run x.yaml --quiet --out $(printf "/$(printf "a%.0s" $(seq 200))%.0s" $(seq 15))/run; rm -rf /aaa*`,
		"exit 0", "", false},
	{"a name with everything", "stormctl run x.yaml --quiet --out '  a\nb\033[2J ☃ü\\'", ran, `a b\x1b[2J ☃ü\`, false},
	{"a disk that is full",
		`mkdir d; unshare -m sh -c "mount -t tmpfs -o size=40k,nr_inodes=4 tmpfs d; stormctl run x.yaml --out d/run --quiet"`,
		"exit 2", "no space left on device", false},
	{"a full /run", `unshare -m sh -c "mount -t tmpfs -o size=4k,nr_inodes=1 tmpfs /run; RUN"`, "exit 2", "cannot be held", false},
	{"a read-only /run", `unshare -m sh -c "mount -t tmpfs -o ro tmpfs /run; RUN"`, "exit 2", "cannot be held", false},
	{"no /proc", `unshare -m sh -c "umount -l /proc; RUN"`, "exit 2", "/proc", false},
	{"no /sys, no /dev/shm", `unshare -m sh -c "umount -l /sys; umount -l /dev/shm; RUN"`, ran, "", false},
	{"processes that are hidden",
		`mkdir his; chown 65533 his; cd his; unshare -m sh -c "mount -o remount,hidepid=2 /proc; setpriv --reuid 65533 --regid 65533 --clear-groups stormctl run ../x.yaml --out run --quiet"`,
		ran, "", false},
	{"pid 1", `unshare -p -f --kill-child --mount-proc RUN`, ran, "", false},

	// what happens meanwhile
	{"SIGHUP", `LONG & middle; kill -HUP $!; wait $!`, "exit 4", "hangup: stopping, healing everything", false},
	{"SIGSTOP for a while", `LONG & middle; kill -STOP $!; sleep 10; kill -CONT $!; wait $!`, "exit 4", "", true},
	{"SIGQUIT", `LONG >/dev/null 2>&1 & middle; kill -QUIT $!; wait $!`, "exit 2", "", false},
	{"the run directory removed", `RUN & middle; rm -rf run; wait $!`, "exit 2", "it was removed while the run went on", false},
	{"another run in the same directory",
		`stormctl run x.yaml --out run --quiet >/dev/null 2>&1 & middle; RUN; code=$?; wait; exit $code`,
		"exit 2", "is not empty", false},
	{"another run on the same port", `sed -i "s/{reference: dependency}/{process: {command: [sh, -c, 'exec stormctl target dependency --listen \$ADDR'], listen: '127.0.0.1:7777'}}/" x.yaml
LONG >/dev/null 2>&1 & middle; code=0; stormctl run x.yaml --out again --quiet || code=$?; kill $!; wait; exit $code`,
		"exit 2", "127.0.0.1:7777 is already in use", false},

	// what a target does
	{"a target that ends at once", `/mnt/p 'exit 3'`, "exit 2", "exited early: exit status 3", false},
	{"a target that never gets ready", `/mnt/p 'sleep 600' 300ms`, "exit 2", "not ready within 300ms", false},
	{"a target that leaves daemons", `/mnt/p 'setsid setsid sleep 600 & SERVES'`, ran, "", false},
	{"a target that is a daemon",
		`/mnt/p 'setsid stormctl target dependency --listen $ADDR & exit 0'`,
		"exit 2", "exited early: exit status 0", false},
	{"a target that ignores SIGTERM",
		`/mnt/p 'trap "" TERM HUP INT; stormctl target dependency --listen $ADDR & while :; do sleep 1; done'`,
		ran, "", false},
	{"a target that forks 200 children",
		`/mnt/p 'i=0; while [ $i -lt 200 ]; do setsid sleep 600 & i=$((i+1)); done; SERVES' 30s`,
		ran, "", true},
	{"a target that prints 1 GB", `/mnt/p 'yes | head -c 1000000000; SERVES' 60s; c=$?; du -sm run | cut -f1; exit $c`, ran, "", true},
	{"a target that closes its outputs", `/mnt/p 'exec >&- 2>&-; SERVES'`, ran, "", false},
	{"a target that kills its supervisor", `/mnt/p 'kill -9 $PPID; sleep 600'`, "exit 2", "its supervisor died", false},
	{"a target that stops itself", `/mnt/p 'kill -STOP $$' 300ms`, "exit 2", "not ready within 300ms", false},
	{"a target that puts a FIFO in the place of its output",
		`/mnt/p 'rm run/targets/svc.log; mkfifo run/targets/svc.log; exit 3'`,
		"exit 2", "no regular file any more", false},
	{"a target that removes the run directory",
		`/mnt/p 'rm -rf run; SERVES'`,
		"exit 2", "run/timeline.jsonl: no such file or directory", false},
	{"a target that prints escapes", `/mnt/p 'printf "\033[2J\n::error::x\n" >&2; exit 1'`, "exit 2", `\x1b[2J`, false},
}

// Whatever surrounds it, a run comes to its end or says in a line why not, and
// leaves nothing behind: no process, no journal, no file outside of its directory.
func TestSurroundings(t *testing.T) {
	t.Parallel()
	var script strings.Builder
	script.WriteString(surrounded)
	n := 0
	for i, s := range surroundingsTried {
		if s.slow && !*surroundings {
			continue
		}
		fmt.Fprintf(&script, "row %d %s\n", i, quoteShell(middle+abbreviations.Replace(s.script)))
		if n++; n%6 == 0 { // a few at a time: they are programs with the race detector
			script.WriteString("wait\n")
		}
	}
	script.WriteString(`
wait
cat *.all
echo "=== left"
(await '[ "$(ps -e -o stat,args | grep stormctl | grep -vc "^Z\|grep\|sh -euc")" = 0 ]') ||
  ps -e -o stat,etime,args | grep stormctl | grep -v "^Z\|grep\|sh -euc"
ps -e -o args | grep "sleep 600" | grep -v "grep\|sh -euc" || true
find /tmp /run -type f -o -type p
nft list tables
`)
	out := enclosed(t, script.String())
	sections := map[string]string{}
	for part := range strings.SplitSeq(out, "=== ") {
		head, rest, _ := strings.Cut(part, "\n")
		sections[strings.Fields(head + " ?")[0]] = head + "\n" + rest
	}
	for i, s := range surroundingsTried {
		if s.slow && !*surroundings {
			continue
		}
		section, tried := sections[fmt.Sprint(i)]
		head, said, _ := strings.Cut(section, "\n")
		_, code, _ := strings.Cut(head, " ")
		if ok := s.ends == "exit "+code || s.ends == ran && (code == "0" || code == "1" || code == "3"); !tried || !ok {
			t.Errorf("%s: exit %s, want %s\n%s", s.name, code, s.ends, said)
		}
		if !strings.Contains(said, s.says) || strings.Contains(said, "panic") {
			t.Errorf("%s: it does not say %q:\n%s", s.name, s.says, said)
		}
	}
	if got := sections["left"]; got != "left\n" {
		t.Errorf("something is %s", got)
	}
}

// quoteShell makes one word of a text.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
