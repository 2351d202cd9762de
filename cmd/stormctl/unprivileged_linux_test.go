package main

import (
	"strings"
	"testing"
)

// Whoever is not root, with no home and no /run to write to, can do everything
// that breaks nothing of others'.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	out := enclosed(t, `
cat > /mnt/x.yaml <<'END'
name: plain
targets:
  bank: {reference: dependency}
  shop: {reference: frontend, with: {timeout: 500ms}}
  web: {process: {command: [stormctl, target, dependency, --listen, "${addr}"], files: {a/b: "x"}, ready: /healthz}}
links: {pay: {from: shop, to: bank}}
load: {rate: 100/s, duration: 3s, routes: [{name: buy, to: shop, get: /pay}, {name: see, to: web, get: /}]}
chaos:
  - {at: 1s, for: 200ms, on: pay, errors: {status: 503}}
  - {at: 1300ms, for: 100ms, on: web, pause: {}}
  - {at: 1500ms, for: 100ms, on: web, fd: {}}
  - {at: 1700ms, for: 100ms, on: web, memory: {free: 64MiB, by: rlimit}}
  - {at: 1900ms, for: 100ms, on: web, cpu: {cores: 0.3, by: stop}}
  - {at: 2100ms, for: 100ms, on: web, exec: {inject: [touch, /tmp/work/made], heal: [rm, -f, /tmp/work/made]}}
  - {at: 2300ms, for: 100ms, on: web, kill: {}}
claims: [{steady: {route: see, success: 1%}}]
END
other mkdir /tmp/work
cd /tmp/work
told other stormctl version
told other stormctl validate /mnt/x.yaml
told other stormctl run --dry-run /mnt/x.yaml >/dev/null
ruled() { "$@" >said 2>&1 && code=0 || code=$?; case $code in 0|1|3) echo "ruled: $*";; *) echo "exit $code: $*"; cat said;; esac; }
ruled other stormctl run /mnt/x.yaml --out run --report junit,json --quiet
ruled other stormctl judge run
ruled other stormctl judge --verify run
told other stormctl report run --format junit >/dev/null

other stormctl target dependency --listen 127.0.0.1:8080 >/dev/null 2>&1 &
other stormctl proxy >/dev/null 2>&1 &
await 'curl -sf http://127.0.0.1:8080/ && curl -sf http://127.0.0.1:8474/version'
told other curl -sf -o /dev/null -d '{"name":"web","listen":"127.0.0.1:8081","upstream":"127.0.0.1:8080"}' http://127.0.0.1:8474/proxies
told other stormctl load http://127.0.0.1:8081/ --rate 100 --duration 1s --hlog load.hlog >/dev/null
other stormctl load http://127.0.0.1:8081/ --rate 100 --duration 60s >/dev/null 2>&1 & load=$!
await 'ls /tmp/stormctl-65533/*.jsonl'
told other stormctl halt
wait $load || echo "load exit $?"
told other stormctl heal

cd /
told other stormctl run /mnt/x.yaml
told other stormctl run /mnt/x.yaml --out /mnt/run
stat -c '%U %a' /tmp/stormctl-65533 /tmp/work/run /tmp/work/run/experiment.yaml
`)
	if n := strings.Count(out, "exit 0: other"); n != 8 {
		t.Errorf("%d of 8 went well:\n%s", n, out)
	}
	says(t, out, "ruled: other stormctl run", "ruled: other stormctl judge run", "ruled: other stormctl judge --verify", "load exit 4", "ended, and nothing of it is in force: load", "nothing to heal",
		"make a folder for the run here: mkdir runs: permission denied: give it another place by --out", "mkdir /mnt/run: permission denied",
		"exit 2: other stormctl run /mnt/x.yaml\n", "exit 2: other stormctl run /mnt/x.yaml --out /mnt/run\n",
		"UNKNOWN 700\nUNKNOWN 700\nUNKNOWN 600\n")
}

// What needs more than a user has is refused by the name of its event, with what is
// missing, before anything starts.
func TestUnprivilegedFaultsAreRefused(t *testing.T) {
	t.Parallel()
	out := enclosed(t, `
ip netns add blue
mkdir /mnt/disk
mount -t tmpfs -o size=1m tmpfs /mnt/disk
chmod 755 /mnt/disk
sleep 600 &
echo $! > /mnt/sleep.pid
other mkdir /tmp/work
cd /tmp/work
refused() {
  echo "--- $1"
  printf '%s\n' 'name: refused' 'targets:' '  web: {process: {command: [touch, /tmp/work/started]}}' \
    '  old: {url: "http://127.0.0.1:9", pid_file: /mnt/sleep.pid}' \
    'load: {rate: 10/s, duration: 5s, routes: [{name: get, to: web, get: /}]}' "chaos: [{at: 1s, $1}]" \
    'claims: [{recovery: {within: 5s}}]' 'limits: {netns: [blue], processes: [sleep]}' > /mnt/x.yaml
  told other stormctl run /mnt/x.yaml --quiet --out run 2>&1 | tr '\n' ' '
  echo
  rm -rf run
}
refused 'for: 1s, on: web, net_partition: {netns: blue}'
refused 'for: 1s, on: web, net_rate: {netns: blue, device: lo, limit: 64KiB}'
refused 'for: 1s, on: web, cpu: {cores: 0.5}'
refused 'for: 1s, on: web, memory: {free: 64MiB}'
refused 'for: 1s, on: web, disk_full: {dir: /mnt/disk}'
refused 'for: 1s, on: old, pause: {}'
refused 'on: old, kill: {for_good: true}'
refused 'for: 1s, on: old, fd: {}'
refused 'for: 1s, on: old, cpu: {cores: 0.5, by: stop}'
cat > /mnt/own.yaml <<'END'
name: own
targets:
  web: {process: {command: [touch, /tmp/work/started], host: own}}
  db: {process: {command: [touch, /tmp/work/started], host: own}}
load: {rate: 10/s, duration: 5s, routes: [{name: get, to: web, get: /}]}
chaos: [{at: 1s, for: 1s, on: web, net_partition: {between: [[web], [db]]}}]
claims: [{recovery: {within: 5s}}]
END
told other stormctl run /mnt/own.yaml --quiet --out own >own.said 2>&1
echo "own: $(tr '\n' ' ' <own.said)"
echo "root without it: $(told setpriv --bounding-set=-net_admin stormctl run /mnt/own.yaml --quiet --out /mnt/root 2>&1 | tr '\n' ' ')"
[ -e started ] || echo "nothing was started"
`)
	const refused = "stormctl: run /mnt/own.yaml: chaos[0] (net_partition between web and db on web at 1s): nftables cannot be used"
	says(t, out, "nothing was started", "own: "+refused, "root without it: "+refused, "exit 2: other stormctl run /mnt/own.yaml", "exit 2: setpriv",
		"host: own: targets db, web cannot be given network namespaces of their own (it needs CAP_NET_ADMIN and CAP_SYS_ADMIN")
	parts := strings.Split(out, "--- ")[1:]
	if len(parts) != 9 {
		t.Errorf("%d of 9 were tried", len(parts))
	}
	for _, part := range parts {
		says(t, part, "stormctl: run /mnt/x.yaml: chaos[0]", "exit 2: other stormctl run")
	}
}
