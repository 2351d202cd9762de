package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/reports"
)

func TestLoadWritesReports(t *testing.T) {
	out := filepath.Join(t.TempDir(), "not", "there")
	ok := func(http.ResponseWriter, *http.Request) {}
	code, stdout, stderr := loaded(t, ok, "--rate", "1000", "-n", "50", "--quiet", "--report", strings.Join(reports.LoadFormats(), ","), "--out", out)
	if code != exitHeld {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var l reports.Load
	text, err := os.ReadFile(filepath.Join(out, "load.json"))
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil || l.Requests != 50 {
		t.Errorf("%v, with %d requests", err, l.Requests)
	}
	for _, format := range reports.LoadFormats() {
		if info, err := os.Stat(filepath.Join(out, reports.LoadFile(format))); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", format, err)
		}
	}
	if !strings.Contains(stdout, "requests") {
		t.Errorf("the summary is not printed: %s", stdout)
	}
	// What another load left is not overwritten, and nothing is sent.
	sent := false
	code, _, stderr = loaded(t, func(http.ResponseWriter, *http.Request) { sent = true }, "-n", "1", "--report", "json", "--out", out)
	if want := "load.json is there already"; code != exitFailed || !strings.Contains(stderr, want) || sent {
		t.Errorf("exit %d, sent: %v, said %s, want it to say %s", code, sent, stderr, want)
	}
}
