//go:build linux

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var collector = flag.String("collector", "", "program of chaos/export/collector, which a run is pushed to; none is not at all")

// What is pushed by OTLP is received by OpenTelemetry's own collector: a span of the run and
// of its fault, and every figure that Prometheus is given. make metrics-test runs it.
func TestCollectorReceives(t *testing.T) {
	if *collector == "" {
		t.Skip("make metrics-test runs it")
	}
	r, addr := newRig(t), freeAddr(t)
	config, file := r.file("collector.yaml"), r.file("told.yaml")
	for name, text := range map[string]string{
		config: fmt.Sprintf("receivers: {otlp: {protocols: {http: {endpoint: %q}}}}\nexporters: {debug: {verbosity: detailed}}\n"+
			"service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: &p {receivers: [otlp], exporters: [debug]}, traces: *p}}\n", addr),
		file: strings.Replace(watchedFile, "DURATION", "3s", 1),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	receiver := exec.Command(*collector, "--config", "file:"+config)
	var received bytes.Buffer
	receiver.Stdout, receiver.Stderr = &received, &received
	if err := receiver.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = receiver.Process.Kill() }() // it has ended
	eventuallyListens(t, addr)
	said, err := r.stormctl("run", file, "--out", r.file("run"), "--otlp", "http://"+addr, "--quiet").CombinedOutput()
	if exitCodeOf(err) == int(exitFailed) || strings.Contains(string(said), "did not take") {
		t.Errorf("exit %d: %s", exitCodeOf(err), said)
	}
	_ = receiver.Process.Signal(syscall.SIGTERM)
	if err := receiver.Wait(); err != nil {
		t.Errorf("%v", err)
	}
	text := received.String()
	for _, want := range []string{
		`(?m)Name +: run watched$`, `(?m)Name +: fault errors 503 to 50% on bank$`, `-> stormctl.claim.recovery: route pay: Str`,
		`-> Name: stormctl.response\n.*\n.*\n +-> DataType: ExponentialHistogram\n`,
		`-> Name: stormctl.offered\n(.*\n){8} *Value: 300.0`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the collector has no %s", want)
		}
	}
	metrics := map[string]bool{}
	for _, m := range regexp.MustCompile(`-> Name: (stormctl\.\w+)\n +-> Description`).FindAllStringSubmatch(text, -1) {
		metrics[m[1]] = true
	}
	t.Logf("the collector received %d metrics, %d spans", len(metrics), strings.Count(text, "\nSpan #"))
	if len(metrics) < 10 || t.Failed() {
		t.Errorf("%d metrics: %s", len(metrics), text)
	}
}
