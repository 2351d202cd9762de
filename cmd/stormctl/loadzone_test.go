//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports"
)

// inZone says that the test runs where lo has a link-local address.
const inZone = "STORMCTL_TEST_IN_ZONE"

// A link-local address leads nowhere without its zone, so this shows that the
// zone gets as far as the kernel, by whichever transport, and to no server. It
// is in a network namespace of its own, where lo has such an address.
func TestLinkLocalAddressesKeepTheirZone(t *testing.T) {
	if os.Getenv(inZone) == "" {
		const zone = `ip link set lo up && ip addr add fe80::77/64 dev lo nodad && exec "$0" -test.run "^$1\$" -test.v`
		cmd := exec.CommandContext(t.Context(), "sh", "-c", zone, os.Args[0], t.Name())
		cmd.Env = append(os.Environ(), inZone+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER, UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}}
		}
		out, err := cmd.CombinedOutput()
		switch {
		case cmd.ProcessState == nil:
			t.Skipf("a network namespace cannot be made here (%v): NOTHING IS SHOWN of zones", err)
		case err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}

	l, err := net.Listen("tcp", "[fe80::77%lo]:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "[fe80::77]:"+port {
			w.WriteHeader(http.StatusBadRequest)
		}
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() { server.Close(); <-ended }()

	for _, transport := range load.Transports() {
		for _, url := range []string{"http://[fe80::77%25lo]:" + port, "http://[fe80::77%lo]:" + port} { // the latter as people write it
			var out, said bytes.Buffer
			code := execute([]string{"load", url, "--poller", transport, "-n", "10", "--rate", "1k/s", "--json", "-q"}, &out, &said)
			var r reports.Load
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != exitHeld || r.Outcomes["ok"] != 10 {
				t.Errorf("%s by %s: exit %d, %v, %v %s", url, transport, code, err, r.Outcomes, said.String())
			}
		}
	}

	file := filepath.Join(t.TempDir(), "zone.yaml")
	text := `name: zone
targets:
  shop: {url: "http://[fe80::77%25lo]:` + port + `"}
limits: {allow: [127.0.0.0/8, "fe80::77/128"]}
load: {rate: 20/s, duration: 1s, routes: [{name: buy, to: shop, get: /}]}
claims: [{steady: {success: 100%}}]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	code := execute([]string{"run", file, "--out", filepath.Join(filepath.Dir(file), "out"), "--json", "--quiet"}, &out, &said)
	var r result.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Routes) != 1 || r.Routes[0].Outcomes["ok"] != 20 {
		t.Errorf("run: exit %d, %v, %+v %s", code, err, r.Routes, said.String())
	}
}
