package http

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

const nginxHTTP2 = `
daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/errors;
events { worker_connections 64; }
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	keepalive_requests 1000000; # past them nginx goes away, and what crosses that is reset
	server {
		listen %[2]s %[3]s http2;
		ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
		ssl_client_certificate %[1]s/ca.pem; ssl_verify_client %[4]s;
		root %[1]s;
		location = /busy { return 503 busy; }
	}
}
`

// TestOthersSpeakThroughIt puts the relay between programs that are not Go's.
func TestOthersSpeakThroughIt(t *testing.T) {
	behind, front := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	dir := t.TempDir()
	behind.Pem(t, dir)
	frontDir := t.TempDir()
	cert, key, ca := front.Pem(t, frontDir)
	big := strings.Repeat("0123456789abcdef", 2<<20/16)
	for name, text := range map[string]string{"small": "ok", "big": big} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nginx := func(ssl, verify string) func(t *testing.T, addr, port string) {
		return func(t *testing.T, addr, _ string) {
			config := filepath.Join(dir, "nginx.conf")
			if err := os.WriteFile(config, fmt.Appendf(nil, nginxHTTP2, dir, addr, ssl, verify), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, addr, installed(t, "nginx"), "-c", config)
		}
	}
	for _, tt := range []struct {
		name  string
		start func(t *testing.T, addr, port string)
		tls   bool
	}{
		{"nginx", nginx("", "off"), false},
		{"nginx with TLS", nginx("ssl", "on"), true},
		{"nghttpd", func(t *testing.T, addr, port string) {
			start(t, addr, installed(t, "nghttpd"), "--no-tls", "-d", dir, "-a", "127.0.0.1", port)
		}, false},
		{"nghttpd with TLS", func(t *testing.T, addr, port string) {
			start(t, addr, installed(t, "nghttpd"), "-d", dir, "-a", "127.0.0.1", port, filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem"))
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := freeAddr(t)
			_, port, _ := net.SplitHostPort(addr)
			tt.start(t, addr, port)
			l := listen(t, addr, speaks(toxic.ProtocolHTTP2), func(c *Config) {
				if tt.tls {
					tlsOn(front, behind)(c)
				}
			})
			var answered, injected, others atomic.Int64
			l.Record(time.Now(), func(x evidence.Exchange) {
				switch x.Ending {
				case evidence.Answered:
					answered.Add(1)
				case evidence.Injected:
					injected.Add(1)
				default:
					others.Add(1)
					t.Logf("recorded %+v", x)
				}
			})
			url := "http://" + l.Addr()
			curl := []string{installed(t, "curl"), "-sS", "--max-time", "20", "-w", " %{http_version} %{http_code}"}
			if tt.tls {
				url = "https://" + l.Addr()
				curl = append(curl, "--http2", "--cacert", ca, "--cert", cert, "--key", key)
			} else {
				curl = append(curl, "--http2-prior-knowledge")
			}
			said := func(want string, command ...string) {
				t.Helper()
				out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
				if err != nil || !regexp.MustCompile(want).Match(out) {
					t.Errorf("%s: %v, said:\n%.2000s\nwant %s", command[len(command)-1], err, out, want)
				}
			}
			said(`^ok 2 200$`, append(curl, url+"/small")...)
			if out, err := exec.CommandContext(t.Context(), curl[0], append(curl[1:], url+"/big")...).Output(); err != nil || string(out) != big+" 2 200" {
				t.Errorf("got %d bytes, %v", len(out), err)
			}
			said(` 2 404$`, append(curl, url+"/none")...)
			said(`(?s)content-length: 2.* 2 200$`, append(curl, "--head", url+"/small")...)
			remove := l.Add(1, toxic.Errors{Status: toxic.Statuses{503}, RetryAfter: time.Second, Body: "injected", Select: toxic.All})
			said(`(?s)retry-after: 1.*injected 2 503$`, append(curl, "-i", "-d", "x", url+"/small")...)
			remove()
			wiretest.Eventually(t, "4 are recorded as answered and 1 as injected", func() bool { return injected.Load() == 1 && answered.Load() == 4 })

			if tt.tls {
				return // h2load shows no certificate
			}
			h2load := installed(t, "h2load")
			remove = l.Add(2, toxic.Latency{Delay: 20 * time.Millisecond, Select: toxic.Select{Share: 0.01}})
			said(`5000 succeeded, 0 failed, 0 errored, 0 timeout`, h2load, "-n", "5000", "-c", "4", "-m", "50", url+"/small")
			remove()
			said(`50 succeeded, 0 failed, 0 errored, 0 timeout`, h2load, "-n", "50", "-c", "2", "-m", "10", "-w", "14", "-W", "16", url+"/big")
			wiretest.Eventually(t, "5054 are recorded as answered", func() bool { return answered.Load() == 5_054 })
			if n := others.Load(); n != 0 {
				t.Errorf("%d recorded as neither answered nor injected", n)
			}
		})
	}
}
