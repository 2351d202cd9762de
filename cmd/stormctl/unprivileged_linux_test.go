package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
)

// plainRun is a run, and what can be done around it, as another user.
const plainRun = `
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
claims: [{recovery: {route: see, within: 1s}}] # a steady state may not be confirmed here, and then nothing is injected
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
`

// Whoever is not root, with no home and no /run to write to, can do everything
// that breaks nothing of others'.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	out := enclosed(t, plainRun)
	if n := strings.Count(out, "exit 0: other"); n != 8 {
		t.Errorf("%d of 8 went well:\n%s", n, out)
	}
	says(t, out, "ruled: other stormctl run", "ruled: other stormctl judge run", "ruled: other stormctl judge --verify", "load exit 4", "ended, and nothing of it is in force: load", "nothing to heal",
		"make a folder for the run here: mkdir runs: permission denied: give it another place by --out", "mkdir /mnt/run: permission denied",
		"exit 2: other stormctl run /mnt/x.yaml\n", "exit 2: other stormctl run /mnt/x.yaml --out /mnt/run\n",
		"UNKNOWN 700\nUNKNOWN 700\nUNKNOWN 600\n")
}

// otherFaults are runs with each kind of fault that takes no more than a user has and is
// not in plainRun, and otherVerbs what is left to do: as another user, side by side.
const (
	otherFaults = `
cat > /mnt/http.yaml <<'END'
name: http
targets: {bank: {reference: dependency, region: eu}, shop: {reference: frontend, with: {timeout: 500ms}}}
links: {pay: {from: shop, to: bank}}
load: {rate: 100/s, duration: 4s, routes: [{name: buy, to: shop, get: /pay}]}
chaos:
  - {at: 500ms, for: 50ms, on: pay, latency: {delay: 10ms}}
  - {at: 700ms, for: 50ms, on: pay, hang: {}}
  - {at: 900ms, for: 50ms, on: pay, reset: {}}
  - {at: 1100ms, for: 50ms, on: pay, drop_response: {}}
  - {at: 1300ms, for: 50ms, on: pay, truncate: {after: 1B}}
  - {at: 1500ms, for: 50ms, on: pay, corrupt: {bytes: 50%}}
  - {at: 1700ms, for: 50ms, on: pay, slow_body: {rate: 64KiB/s}}
  - {at: 1900ms, for: 50ms, on: pay, duplicate: {}}
  - {at: 2100ms, for: 50ms, on: pay, partition: {}}
  - {at: 2300ms, for: 100ms, region_loss: {region: eu}}
  - {at: 2600ms, on: bank, restart: {}}
claims: [{recovery: {route: buy, within: 1s}}]
END
cat > /mnt/tcp.yaml <<'END'
name: tcp
targets: {bank: {reference: dependency}, shop: {reference: frontend, with: {timeout: 500ms}}}
links: {pay: {from: shop, to: bank, protocol: tcp}}
load: {rate: 100/s, duration: 4s, routes: [{name: buy, to: shop, get: /pay}]}
chaos:
  - {at: 500ms, for: 50ms, on: pay, bandwidth: {rate: 64KiB/s}}
  - {at: 700ms, for: 50ms, on: pay, flap: {up: 20ms, down: 20ms}}
  - {at: 900ms, for: 50ms, on: pay, half_open: {}}
  - {at: 1100ms, for: 50ms, on: pay, limit_data: {bytes: 10B}}
  - {at: 1300ms, for: 50ms, on: pay, reset_peer: {}}
  - {at: 1500ms, for: 50ms, on: pay, slicer: {size: 10}}
  - {at: 1700ms, for: 50ms, on: pay, slow_close: {delay: 10ms}}
  - {at: 1900ms, for: 50ms, on: pay, slow_connect: {delay: 10ms}}
  - {at: 2100ms, for: 50ms, on: pay, timeout: {}}
  - {at: 2300ms, for: 50ms, on: pay, down: {}}
claims: [{recovery: {route: buy, within: 1s}}]
END
`
	otherVerbs = `
cat > /mnt/soak.yaml <<'END'
name: soak
targets: {bank: {reference: dependency}}
load: {rate: 50/s, duration: 8s, timeout: 1s, routes: [{name: buy, to: bank, get: /}]}
soak: {chapter: 2s}
claims: [{steady: {success: 1%}}]
END
cat > /mnt/short.yaml <<'END'
name: short
targets: {bank: {reference: dependency}}
links: {}
load: {rate: 50/s, duration: 1s, routes: [{name: buy, to: bank, get: /}]}
gameday: {palette: [{name: still, on: bank, for: 1m, pause: {}}]}
claims: [{steady: {success: 1%}}]
END
other mkdir /tmp/work
cd /tmp/work
ruled() { n=$1; shift; code=0; "$@" >$n.said 2>&1 || code=$?; case $code in 0|1|3) echo "ruled: $n";; *) echo "exit $code: $*"; cat $n.said;; esac; }
chmod 777 /tmp/work
as='setpriv --reuid 65533 --regid 65533 --clear-groups' # a function would be a shell of its own, and get the signals
ruled http other stormctl run /mnt/http.yaml --out http --quiet &
ruled tcp other stormctl run /mnt/tcp.yaml --out tcp --quiet &
ruled gate other stormctl gate /mnt/short.yaml --new targets.bank.with.service_time=3ms --rounds 2 --quiet &
$as stormctl gameday /mnt/short.yaml --out day --listen 127.0.0.1:0 >/dev/null 2>day.said & day=$!
$as stormctl run /mnt/short.yaml --out led --agents 1 >led.said 2>&1 & led=$!
told other stormctl help >/dev/null
told other stormctl schema >/dev/null
told other stormctl completion bash >/dev/null
told other stormctl init breaker >/dev/null
told other stormctl discover --help >/dev/null
await 'grep -q nats:// led.said'
told other stormctl agent --join "$(grep -o "nats://[^ ']*" led.said | head -1)" >/dev/null
ruled led wait $led
await 'grep -q alerts day.said'
kill -TERM $day; wait $day || true
told other stormctl gameday verify day >/dev/null
$as stormctl run /mnt/soak.yaml --out soak --quiet >/dev/null 2>&1 & soak=$!
await '[ -d soak/chapters/000002 ]'
kill -9 $soak; wait $soak || true
told other stormctl heal >/dev/null
ruled soak other stormctl run --resume soak --quiet
wait
ruled watch other stormctl watch led
ruled compare other stormctl compare led -- http
for f in codequality comment csv github html json junit markdown openmetrics text; do other stormctl report http --format $f >/dev/null || echo "no report $f"; done
echo "injected: $(cat http/timeline.jsonl tcp/timeline.jsonl | grep -c '"event":"inject"')"
`
)

// Each verb, and each kind of fault but those that are refused, is for every user.
func TestUnprivilegedEverything(t *testing.T) {
	t.Parallel()
	out := enclosed(t, otherFaults+otherVerbs)
	says(t, out, "injected: 21\n", "ruled: http", "ruled: tcp", "ruled: gate", "ruled: led", "ruled: soak", "ruled: compare", "ruled: watch")
	if n := strings.Count(out, "exit 0: other"); n != 8 || strings.Contains(out, "no report") {
		t.Errorf("%d of 8 went well:\n%s", n, out)
	}
	for _, c := range newRootCommand().Commands() {
		if !strings.Contains(plainRun+otherFaults+otherVerbs, "stormctl "+c.Name()) {
			t.Errorf("stormctl %s was not tried", c.Name())
		}
	}
	for _, kind := range faultKinds(reflect.TypeFor[experiment.Event]()) {
		if !strings.Contains(plainRun+otherFaults+refusedFaults, kind+": {") {
			t.Errorf("%s was not tried", kind)
		}
	}
}

// faultKinds are the keys of events that are pointers: of each there is one fault.
func faultKinds(event reflect.Type) (kinds []string) {
	for i := range event.NumField() {
		f := event.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Anonymous:
			kinds = append(kinds, faultKinds(f.Type)...)
		case f.Type.Kind() == reflect.Pointer:
			kinds = append(kinds, key)
		}
	}
	return kinds
}

// refusedFaults are runs with what a user may not do.
const refusedFaults = `
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
`

// What needs more than a user has is refused by the name of its event, with what is
// missing, before anything starts.
func TestUnprivilegedFaultsAreRefused(t *testing.T) {
	t.Parallel()
	out := enclosed(t, refusedFaults)
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
