package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// needs skips a test where a program that its experiment starts is not installed. In CI
// that is a failure: make deps installs all of them.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes a run of some seconds")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// verdictOf is the verdict on the only claim of a kind.
func verdictOf(t *testing.T, r result.Result, kind string) judge.Verdict {
	t.Helper()
	for _, v := range r.Verdicts {
		if v.Kind == kind {
			return v
		}
	}
	t.Fatalf("no verdict on %s", kind)
	return judge.Verdict{}
}

// numberIn is a number of a verdict.
func numberIn(t *testing.T, v judge.Verdict, name string) float64 {
	t.Helper()
	for _, n := range v.Numbers {
		if n.Name == name {
			return n.Value
		}
	}
	t.Fatalf("%s has no number %s: %v", v.Kind, name, v.Numbers)
	return 0
}

// redis has after a kill what its log has: all that it acknowledged, or nothing.
func TestRedisHasWhatItsLogHas(t *testing.T) {
	needs(t, "redis-server")
	t.Parallel()
	const experiment = `
name: redis-log
targets:
  redis:
    process:
      command: [redis-server, --port, "${port}", --bind, "${host}", --dir, "${dir}", --save, "", --appendonly, "LOG", --appendfsync, always]
  shop: {reference: store}
links: {primary: {from: shop, to: redis, protocol: tcp}}
load:
  rate: 300/s
  duration: 3s
  timeout: 2s
  routes: [{name: order, to: shop, post: "/entry/${id}", writes: order}]
  audit: [{name: orders, to: shop, get: /entries, ids: "json:$.ids[*]", count: "json:$.count"}]
chaos: [{at: 2s, for: 100ms, on: redis, kill: {}}]
claims: [{durable: {writes: order, in: orders}}]
`
	for _, log := range []string{"yes", "no"} {
		t.Run("appendonly "+log, func(t *testing.T) {
			t.Parallel()
			s := startRun(t, strings.Replace(experiment, "LOG", log, 1))
			s.wait()
			v := verdictOf(t, readResult(t, s.dir), "durable")
			acknowledged, lost := numberIn(t, v, "acknowledged"), numberIn(t, v, "lost")
			t.Logf("%v of %v lost", lost, acknowledged)
			switch {
			case acknowledged == 0:
				t.Errorf("nothing was acknowledged:\n%s", s.out)
			case log == "yes" && (lost > 0 || v.Ruling == judge.Refuted):
				t.Errorf("%s, %v of %v lost: %s", v.Ruling, lost, acknowledged, v.Reason)
			case log == "no" && (lost == 0 || v.Ruling != judge.Refuted || len(v.IDs) == 0):
				t.Errorf("%s, %v of %v lost, by id %v: %s", v.Ruling, lost, acknowledged, v.IDs, v.Reason)
			}
		})
	}
}

// A failover that somebody asks the sentinel for leaves the old primary acknowledging
// beside the new one for some seconds, all of which is thrown away in the end.
func TestSentinelFailoverHasTwoPrimaries(t *testing.T) {
	needs(t, "redis-server", "redis-cli")
	t.Parallel()
	port := func() string {
		_, port, err := net.SplitHostPort(freeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	experiment := strings.NewReplacer("SENTINEL", port(), "REPLICA", port()).Replace(`
name: two-primaries
targets:
  redis-a:
    process: {command: [redis-server, --port, "${port}", --bind, 127.0.0.1, --dir, "${dir}", --save, "", --repl-diskless-sync-delay, "0"]}
  redis-b:
    process:
      listen: 127.0.0.1:REPLICA
      command: [redis-server, --port, "${port}", --bind, 127.0.0.1, --dir, "${dir}", --save, "", --replicaof, "127.0.0.1 ${targets.redis-a.port}"]
      ready: {command: [sh, -c, "redis-cli -p ${port} info replication | grep -q master_link_status:up"]}
  sentinel:
    process:
      listen: 127.0.0.1:SENTINEL
      command: [redis-server, "${dir}/sentinel.conf", --sentinel]
      files:
        sentinel.conf: |
          bind 127.0.0.1
          port ${port}
          dir ${dir}
          sentinel monitor main 127.0.0.1 ${targets.redis-a.port} 1
      ready: {command: [sh, -c, "redis-cli -p ${port} sentinel replicas main | grep -q REPLICA"]}
      ready_within: 30s
  at-a: {reference: store}
  at-b: {reference: store}
links:
  a: {from: at-a, to: redis-a, protocol: tcp}
  b: {from: at-b, to: redis-b, protocol: tcp}
  copy: {from: redis-b, to: redis-a, protocol: tcp} # for the order of their starts
load:
  rate: 200/s
  duration: 6s
  timeout: 2s
  routes:
    - {name: order-a, to: at-a, post: "/entry/${id}", writes: order}
    - {name: order-b, to: at-b, post: "/entry/${id}", writes: order}
  audit: [{name: orders, to: at-b, get: /entries, ids: "json:$.ids[*]", count: "json:$.count"}]
chaos:
  - at: 1s
    for: 1s
    on: redis-a
    exec:
      # One that the sentinel gives up is asked for again.
      inject: [sh, -c, "until redis-cli -p REPLICA role | grep -q master; do redis-cli -p SENTINEL sentinel failover main; sleep 0.1; done"]
      heal: ["true"]
      within: 20s
claims:
  - durable: {writes: order, in: orders}
  - failover: {routes: [order-a, order-b], during: exec, primaries: 1}
`)
	s := startRun(t, experiment)
	if code := s.wait(); code != 1 {
		t.Errorf("exit code %d, want 1\n%s", code, s.out)
	}
	r := readResult(t, s.dir)
	durable, failover := verdictOf(t, r, "durable"), verdictOf(t, r, "failover")
	t.Logf("%s\n%s", durable.Reason, failover.Reason)
	if durable.Ruling != judge.Refuted || numberIn(t, durable, "lost") == 0 {
		t.Errorf("%s: %s", durable.Ruling, durable.Reason)
	}
	if failover.Ruling != judge.Refuted || numberIn(t, failover, "primaries") != 2 {
		t.Errorf("%s: %s", failover.Ruling, failover.Reason)
	}
}

// Pods that are all restarted at once are refused as often as PostgreSQL says itself.
func TestRecreateIsRefusedAsOftenAsTheServerSays(t *testing.T) {
	needs(t, "psql")
	if os.Geteuid() != 0 {
		t.Skip("PostgreSQL is started as its own user")
	}
	t.Parallel()
	parent := t.TempDir()
	for _, way := range []string{parent, filepath.Dir(parent)} { // its user comes by
		if err := os.Chmod(way, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "run")
	out, err := exec.Command(program, "run", "../../examples/stampede.yaml", "--quiet", "--out", dir,
		"--set", "chaos[0].restart.rolling=false", "--set", "load.duration=15s", // all have asked by then: what comes behind the end is in the log alone
		"--set", "targets.pods.with.idle=none", // or a slow machine gives back before all have asked
		"--set", "claims=[{connections: {link: db, at_most: 47, refused: 0}}]").CombinedOutput()
	if code := exitCodeOf(err); code != 1 {
		t.Fatalf("exit code %d, want 1\n%s", code, out)
	}
	v := verdictOf(t, readResult(t, dir), "connections")
	text, err := os.ReadFile(filepath.Join(dir, "targets", "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "FATAL:") && (strings.Contains(line, "too many clients already") || strings.Contains(line, "connection slots are reserved")) {
			said++
		}
	}
	t.Log(v.Reason)
	if refused := numberIn(t, v, "refused"); said == 0 || refused != float64(said) {
		t.Errorf("%v refused, and PostgreSQL says %d: %s", refused, said, v.Reason)
	}
}

func exitCodeOf(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}
