package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/result"
)

// nginx calls nginx, both with certificates of the run's CA and asking for the
// other's. The link between them speaks TLS with each.
const overTLS = `name: tls
targets:
  bank:
    process:
      command: [nginx, -p, "${dir}", -c, "${dir}/nginx.conf", -e, stderr, -g, "daemon off;"]
      files:
        nginx.conf: |
          worker_processes 1; error_log stderr; pid nginx.pid;
          events { worker_connections 256; }
          http {
            access_log off;
            client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
            server {
              listen ${addr} ssl;
              ssl_certificate ${links.payments.cert}; ssl_certificate_key ${links.payments.key};
              ssl_client_certificate ${links.payments.ca}; ssl_verify_client on;
              location / { return 200 ok; }
            }
          }
  checkout:
    process:
      command: [nginx, -p, "${dir}", -c, "${dir}/nginx.conf", -e, stderr, -g, "daemon off;"]
      ready: /healthz
      files:
        nginx.conf: |
          worker_processes 1; error_log stderr; pid nginx.pid;
          events { worker_connections 256; }
          http {
            access_log off;
            client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
            upstream bank { server ${links.payments.addr}; keepalive 16; }
            server {
              listen ${addr};
              location /healthz { return 200 ok; }
              location / {
                proxy_pass https://bank;
                proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_ssl_trusted_certificate ${links.payments.ca}; proxy_ssl_verify on; proxy_ssl_name shop.test;
                proxy_ssl_certificate ${links.payments.cert}; proxy_ssl_certificate_key ${links.payments.key};
              }
            }
          }
links:
  payments:
    from: checkout
    to: bank
    tls:
      terminate: {names: [shop.test], client_ca: generated}
      originate: {ca: generated, server_name: bank, cert: generated}
load:
  rate: 200/s
  duration: 3s
  routes: [{name: pay, to: checkout, get: /pay}]
chaos: [{at: 1s, for: 1s, on: payments, errors: {status: 418}}]
claims: [{recovery: {route: pay, within: 1s}}] # without a steady state, which a host that is taken would not confirm
`

func TestRunOverTLS(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "tls.yaml")
	if err := os.WriteFile(file, []byte(overTLS), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, diagnostics bytes.Buffer
	code := execute([]string{"run", file, "--out", filepath.Join(dir, "out"), "--json", "--quiet"}, &out, &diagnostics)
	var r result.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("exit %d: %v: %s", code, err, diagnostics.String())
	}
	if len(r.Links) != 1 || r.Links[0].Statuses["200"] < 200 || r.Links[0].Statuses["418"] == 0 || r.Links[0].Endings["answered"] < 200 {
		t.Errorf("exit %d: the link saw %+v", code, r.Links)
	}
	if len(r.Routes) != 1 || r.Routes[0].Outcomes["4xx"] != r.Links[0].Statuses["418"] {
		t.Errorf("exit %d: callers got %+v", code, r.Routes)
	}
	key, err := os.Stat(filepath.Join(dir, "out", "tls", "payments.key"))
	if err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v; want it for its owner alone", key, err)
	}
}

// A caller that does not trust the link is told of: no exchange shows it.
func TestRunOverTLSWithoutTrust(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "tls.yaml")
	text := strings.Replace(overTLS, "proxy_ssl_certificate ${links.payments.cert}; proxy_ssl_certificate_key ${links.payments.key};", "", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, diagnostics bytes.Buffer
	code := execute([]string{"run", file, "--out", filepath.Join(dir, "out"), "--json", "--quiet"}, &out, &diagnostics)
	var r result.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("exit %d: %v: %s", code, err, diagnostics.String())
	}
	if len(r.Links) != 1 || r.Links[0].Exchanges != 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "could not agree on TLS") {
		t.Errorf("exit %d: the link saw %+v, notes %q", code, r.Links, r.Notes)
	}
}
