package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/reports"
)

// A disk that is full costs the file, not the result of an hour's load.
func TestLoadToAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	code, out, diagnostics := loaded(t, func(http.ResponseWriter, *http.Request) {}, "--rate", "100/s", "-n", "20", "--hlog", "/dev/full", "--json", "-q")
	var l reports.Load
	if err := json.Unmarshal([]byte(out), &l); err != nil || l.Requests != 20 {
		t.Errorf("%v in %q", err, out)
	}
	if code != exitFailed || !strings.Contains(diagnostics, "/dev/full") {
		t.Errorf("exit %d, %q", code, diagnostics)
	}
}
