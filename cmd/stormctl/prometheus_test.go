//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var prometheusFor = flag.Duration("prometheus", 0, "for how long a run is scraped by Prometheus servers of their own, at least 20s; 0 is not at all")

// TestPrometheusScrapes has a run scraped by two Prometheus servers, one of which knows
// native histograms, and asks the other what the dashboard asks. make metrics-test runs it.
func TestPrometheusScrapes(t *testing.T) {
	if *prometheusFor == 0 {
		t.Skip("make metrics-test runs it")
	}
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skipf("%v: see make metrics-test", err)
	}
	r := newRig(t)
	file, metrics := r.file("scraped.yaml"), freeAddr(t)
	if err := os.WriteFile(file, []byte(strings.Replace(watchedFile, "DURATION", (*prometheusFor+5*time.Second).String(), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	run := r.stormctl("run", file, "--out", r.file("run"), "--metrics", metrics, "--set", "chaos[0].for="+prometheusFor.String(), "--quiet")
	var told bytes.Buffer
	run.Stdout, run.Stderr = &told, &told
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	classic := scraping(t, binary, r.file("classic"), metrics)
	native := scraping(t, binary, r.file("native"), metrics, "--enable-feature=native-histograms")
	time.Sleep(*prometheusFor)

	asked := 0
	for _, q := range dashboardQueries(t) {
		q = strings.ReplaceAll(q, "$__rate_interval", "10s")
		if n := series(t, classic, q); n == 0 && !strings.HasSuffix(q, "> 0") { // such a one asks for what is wrong
			t.Errorf("nothing answers %s", q)
		}
		asked++
	}
	if n := series(t, native, "histogram_quantile(0.99, sum by (route) (rate(stormctl_response_seconds[15s]))) > 0"); n != 1 {
		t.Errorf("%d series of native histograms, want 1", n)
	}
	if n := series(t, classic, `up{job="stormctl"} == 1`); n != 1 {
		t.Errorf("it is not up")
	}
	t.Logf("%d queries in %v, scrapes: %s", asked, *prometheusFor, answer(t, classic, `sum(count_over_time(up{job="stormctl"}[1h]))`))
	if err := run.Wait(); exitCodeOf(err) == int(exitFailed) {
		t.Errorf("exit %d: %s", exitCodeOf(err), told.String())
	}
}

// scraping starts a Prometheus that scrapes target every second, and returns its address.
func scraping(t *testing.T, binary, dir, target string, flags ...string) (addr string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: stormctl, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	addr = freeAddr(t)
	cmd := exec.Command(binary, append([]string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + addr}, flags...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	eventuallyListens(t, addr)
	return addr
}

// answer is what a Prometheus answers to a query now.
func answer(t *testing.T, addr, query string) string {
	t.Helper()
	r, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// series is how many series answer a query.
func series(t *testing.T, addr, query string) int {
	t.Helper()
	text := answer(t, addr, query)
	var a struct {
		Status string
		Data   struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil || a.Status != "success" {
		t.Errorf("%s: %s", query, text)
		return 0
	}
	n := 0
	for _, s := range a.Data.Result {
		if s.Value[1] != "NaN" {
			n++
		}
	}
	return n
}

// dashboardQueries are the expressions of the dashboard.
func dashboardQueries(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../../reports/grafana/stormctl.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels      []struct{ Targets []struct{ Expr string } }
		Annotations struct{ List []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all = append(all, q.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, a.Expr)
	}
	return all
}
