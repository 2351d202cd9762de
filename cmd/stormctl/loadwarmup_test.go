package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/reports"
)

// A server that is bad to the first 60 requests, whenever they come: nothing of
// what it was to them may be in the result.
func TestWarmupIsKeptApart(t *testing.T) {
	var heard atomic.Int64
	cold := func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		if n, err := strconv.Atoi(r.Header.Get("X-Number")); err != nil || n <= 60 {
			w.WriteHeader(500)
		}
	}
	dir := t.TempDir()
	code, out, _ := loaded(t, cold, "--rate", "100/s", "-n", "50", "--warmup", "600ms", "-H", "X-Number: ${seq}", "--json", "-q", "--fail-if", "success<100%",
		"--record", filepath.Join(dir, "all.csv"), "--hlog", filepath.Join(dir, "all.hlog"))
	var l reports.Load
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatal(err)
	}
	if code != exitHeld || l.Requests != 50 || l.Outcomes["ok"] != 50 || len(l.Statuses) != 1 {
		t.Errorf("exit %d, %d requests, %v, %v", code, l.Requests, l.Outcomes, l.Statuses)
	}
	if w := l.Warmup; w == nil || w.Requests != 60 || w.Success != 0 || w.Seconds != 0.6 || w.P99 <= 0 {
		t.Errorf("warm-up: %+v", l.Warmup)
	}
	// 50 at 100/s take 0.5 s; with the warm-up in it would be 1.1 s.
	if l.Seconds < 0.49 || heard.Load() != 110 {
		t.Errorf("%v s, %d requests heard", l.Seconds, heard.Load())
	}
	record, err := os.ReadFile(filepath.Join(dir, "all.csv"))
	if lines := strings.Count(string(record), "\n"); err != nil || lines != 51 || strings.Contains(string(record), "5xx") {
		t.Errorf("%d lines of record, %v", lines, err)
	}
	if !strings.Contains(string(record), "\n61,load,0,") {
		t.Errorf("the first that counts is not number 61, due at 0:\n%s", record)
	}
	file, err := os.Open(filepath.Join(dir, "all.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if log, err := hist.ReadLog(file); err != nil || log.Histograms["response"].Count() != 50 {
		t.Errorf("histogram log: %+v, %v", log, err)
	}
}

// Where every request has a connection of its own, those of the warm-up are in
// no other figure either.
func TestConnectionsOfAWarmupAreKeptApart(t *testing.T) {
	code, out, _ := loaded(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"--rate", "100/s", "-n", "50", "--warmup", "600ms", "--json", "-q")
	var l reports.Load
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatal(err)
	}
	// A busy host may open those of a few requests on the other side of the line.
	if n := l.Connections.Dialled; code != exitHeld || l.Requests != 50 || n < 30 || n > 70 {
		t.Errorf("exit %d, %d requests after 60 of the warm-up, %d connections dialled", code, l.Requests, n)
	}
}

func TestWarmupOfOtherModels(t *testing.T) {
	for _, tt := range []struct {
		args        []string
		warm, least uint64 // least and no more than twice as many
	}{
		{[]string{"--stages", "to 100/s over 500ms, hold 500ms"}, 20, 75}, // 25 + 50
		{[]string{"--rate", "100/s", "--sine", "50/s every 1s", "-d", "1s"}, 20, 99},
		{[]string{"--rate", "50/s", "--spike", "500/s at 200ms for 100ms", "-d", "1s"}, 10, 95},
		{[]string{"--rate", "100/s", "--arrivals", "poisson", "-n", "30"}, 20, 30},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			code, out, _ := loaded(t, func(http.ResponseWriter, *http.Request) {}, append(tt.args, "--warmup", "200ms", "--json", "-q")...)
			var l reports.Load
			if err := json.Unmarshal([]byte(out), &l); err != nil {
				t.Fatal(err)
			}
			if code != exitHeld || l.Warmup.Requests != tt.warm || l.Requests < tt.least || l.Requests > tt.least+1 {
				t.Errorf("exit %d, %d + %d requests, want %d + %d", code, l.Warmup.Requests, l.Requests, tt.warm, tt.least)
			}
		})
	}
}

func TestWarmupOfTheClosedModel(t *testing.T) {
	code, out, _ := loaded(t, func(http.ResponseWriter, *http.Request) {}, "--closed", "-c", "2", "-d", "300ms", "--warmup", "300ms", "-q")
	if code != exitHeld || !strings.Contains(out, "    warm-up     ") || !strings.Contains(out, "; in no other figure\n") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}
