package main

import (
	"strings"
	"testing"
)

// A local user leaves journals that name a process and a file of root's, wherever
// root might look for its own: neither halt nor heal does what they say.
func TestAnotherUsersJournalEndsNothingOfRoots(t *testing.T) {
	t.Parallel()
	out := enclosed(t, `
sleep 600 & victim=$!
echo precious > /run/precious
other stormctl target dependency --listen 127.0.0.1:8080 >/dev/null 2>&1 &
await 'curl -s http://127.0.0.1:8080/'
header="{\"run\":{\"name\":\"forged\",\"dir\":\"/\",\"process\":{\"pid\":$victim,\"start\":$(cut -d' ' -f22 /proc/$victim/stat)},\
\"boot\":\"$(cat /proc/sys/kernel/random/boot_id)\",\"namespace\":\"$(readlink /proc/self/ns/pid)\",\"clock\":\"$(readlink /proc/self/ns/time)\"}}"
other mkdir -m 755 /tmp/his
loads=
for state in /tmp/stormctl-0 /tmp/stormctl-0-1234 /tmp/his/stormctl /tmp/stormctl-65533; do
  other mkdir -m 700 $state
  other env STORMCTL_STATE=$state stormctl load http://127.0.0.1:8080/ --rate 1 --duration 600s >/dev/null 2>&1 &
  loads="$loads $!"
  await "ls $state/*.jsonl >/dev/null"
  echo "$header" | other tee -a $state/*.jsonl >/dev/null
done
told stormctl halt --within 1s
told env XDG_RUNTIME_DIR=/tmp/his stormctl halt --within 1s
told env STORMCTL_STATE=/tmp/stormctl-0 stormctl halt --within 1s
if kill -0 $victim; then echo "the process lives"; fi

kill -9 $loads
for state in /tmp/stormctl-0 /tmp/stormctl-0-1234 /tmp/his/stormctl /tmp/stormctl-65533; do
  echo '{"step":1,"hold":1,"why":"forged","undo":{"kind":"remove","file":"/run/precious"}}' | other tee -a $state/*.jsonl >/dev/null
done
told stormctl heal
told env XDG_RUNTIME_DIR=/tmp/his stormctl heal
told env STORMCTL_STATE=/tmp/stormctl-0 stormctl heal --force
told cat /run/precious
`)
	says(t, out, "no run is alive\n", "exit 0: stormctl halt", "nothing to heal\n", "exit 0: stormctl heal",
		`"/tmp/stormctl-0" is another user's: what runs it names were not ended, their user does that`,
		`"/tmp/stormctl-65533" is another user's: what runs it names were not healed, their user does that`,
		"exit 2: env STORMCTL_STATE=/tmp/stormctl-0 stormctl halt", "exit 2: env STORMCTL_STATE=/tmp/stormctl-0 stormctl heal",
		"belongs to another user", "the process lives", "precious\nexit 0: cat /run/precious")
	if strings.Contains(out, "forged") {
		t.Errorf("a word of another user's is told as if it were root's:\n%s", out)
	}
}

const heldByExec = `
cat > /mnt/x.yaml <<'END'
name: held
targets: {web: {reference: dependency}}
load: {rate: 20/s, duration: 60s, routes: [{name: get, to: web, get: /}]}
chaos: [{at: 100ms, for: 59s, on: web, exec: {inject: [touch, /mnt/broken], heal: [rm, -f, /mnt/broken]}}]
claims: [{recovery: {within: 5s}}]
END
`

// Where only /tmp is left for journals, and another user has made root's folder in
// it, runs are held, found and healed all the same; and he can do nothing about
// them.
func TestTakenNameTakesNoHealAway(t *testing.T) {
	t.Parallel()
	out := enclosed(t, heldByExec+`
chmod 777 /run
other mkdir -m 700 /tmp/stormctl-0
stormctl run /mnt/x.yaml --out /mnt/run --quiet >/dev/null & run=$!
await '[ -e /mnt/broken ]'
told other stormctl halt --within 1s
told other stormctl heal --force
told ls /mnt/broken
told stormctl heal
guardian=$(guardian)
kill -STOP $guardian
kill -KILL $run
kill -KILL $guardian
told stormctl heal
[ -e /mnt/broken ] || echo "it is mended"
stat -c '%U %a' /tmp/stormctl-0-*
`)
	says(t, out, "no run is alive\n", "exit 0: other stormctl halt", "nothing to heal\n", "exit 0: other stormctl heal", "exit 0: ls /mnt/broken",
		"is alive and was left alone", "undone      exec touch /mnt/broken on web", "it is mended", "root 700\n")
}

// Root writes nothing into a folder of another user's, whatever links stand there.
func TestRootWritesNothingWhereAnotherUserMayLink(t *testing.T) {
	t.Parallel()
	out := enclosed(t, heldByExec+`
sed -i 's/60s/2s/; s/59s/1s/' x.yaml
echo precious > /mnt/precious
other mkdir -m 755 /tmp/his
other mkdir -m 777 /tmp/his/runs /tmp/his/run
for name in experiment.yaml lease.jsonl timeline.jsonl result.json; do other ln -s /mnt/precious /tmp/his/$name; done
cd /tmp/his
told stormctl run /mnt/x.yaml
told stormctl run /mnt/x.yaml --out run
told stormctl run /mnt/x.yaml --out /tmp/his/run/deeper/still
told stormctl run /mnt/x.yaml --out /tmp/his/other
told cat /mnt/precious
echo "of root's: $(find /tmp/his -user 0 | wc -l)"
mkdir -m 777 /mnt/open
told stormctl run /mnt/x.yaml --out /mnt/open/run
`)
	says(t, out, "exit 2: stormctl run /mnt/x.yaml\n", "exit 2: stormctl run /mnt/x.yaml --out run\n",
		"exit 2: stormctl run /mnt/x.yaml --out /tmp/his/run/deeper/still", "exit 2: stormctl run /mnt/x.yaml --out /tmp/his/other",
		"exit 2: stormctl run /mnt/x.yaml --out /mnt/open/run", "another user may change /tmp/his", "give an --out that only root can write",
		"precious\nexit 0: cat", "of root's: 0\n")
}
