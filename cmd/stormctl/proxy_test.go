package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// proxyAPI is `stormctl proxy` in this process.
type proxyAPI struct {
	t     *testing.T
	url   string
	token string
	stop  context.CancelFunc
	ended chan error
}

func startProxies(t *testing.T, o proxyOptions, env map[string]string) *proxyAPI {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	p := &proxyAPI{t: t, stop: stop, ended: make(chan error, 1)}
	go func() {
		p.ended <- serveProxies(ctx, w, func(key string) string { return env[key] }, o)
		w.Close()
	}()
	t.Cleanup(stop)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if where := regexp.MustCompile(`the API listens on (http://\S+), seed \d+$`).FindStringSubmatch(lines.Text()); where != nil {
			p.url = where[1]
			go io.Copy(io.Discard, r)
			return p
		}
	}
	t.Fatalf("it ended with %v", <-p.ended)
	return nil
}

func (p *proxyAPI) do(method, path, body string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestProxyServesUntilItIsTold: what the file lists is there before the API
// answers, and when it ends nothing is open any more.
func TestProxyServesUntilItIsTold(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	listen := freeAddr(t)
	file := filepath.Join(t.TempDir(), "proxies.yaml")
	text := fmt.Sprintf("- {name: web, listen: %q, upstream: %q, protocol: http1, toxics: [{type: errors, attributes: {status: 503}}]}\n", listen, upstream.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProxies(t, proxyOptions{api: "127.0.0.1:0", config: file}, nil)
	res, err := http.Get("http://" + listen + "/pay")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 503 {
		t.Errorf("through the proxy: %d, want the 503 of the file's toxic", res.StatusCode)
	}
	if status, body := p.do("GET", "/proxies", ""); status != 200 || !strings.Contains(body, `"web"`) {
		t.Errorf("proxies: %d %s", status, body)
	}
	open, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	p.stop()
	if err := <-p.ended; err != nil {
		t.Errorf("ended with %v, want nil: it was told to", err)
	}
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a connection is open")
	}
	for _, addr := range []string{listen, strings.TrimPrefix(p.url, "http://")} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("%s is not free: %v", addr, err)
			continue
		}
		l.Close()
	}
}

func TestProxyToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		options proxyOptions
		env     string
		token   string
	}{
		{proxyOptions{api: "127.0.0.1:0"}, "of the environment", "of the environment"},
		{proxyOptions{api: "127.0.0.1:0", tokenFile: file}, "of the environment", "of the file"},
	} {
		p := startProxies(t, tt.options, map[string]string{tokenVariable: tt.env})
		if status, _ := p.do("GET", "/version", ""); status != 401 {
			t.Errorf("without a token: %d", status)
		}
		p.token = tt.token
		if status, body := p.do("GET", "/version", ""); status != 200 {
			t.Errorf("with %q: %d %s", tt.token, status, body)
		}
		p.stop()
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	}
}

func TestAPIAddress(t *testing.T) {
	for _, tt := range []struct {
		addr  string
		token bool
		want  string // or the beginning of the error
	}{
		{"127.0.0.1:8474", false, "127.0.0.1:8474"},
		{"localhost:0", false, "127.0.0.1:0"},
		{"[::1]:8474", false, "[::1]:8474"},
		{"0.0.0.0:8474", false, `--api "0.0.0.0:8474": it is not on loopback: give a token by --token-file or STORMCTL_TOKEN, or listen on 127.0.0.1`},
		{":8474", false, `--api ":8474": it is not on loopback`},
		{"[::]:8474", false, `--api "[::]:8474": it is not on loopback`},
		{"192.0.2.1:8474", false, `--api "192.0.2.1:8474": it is not on loopback`},
		{":8474", true, ":8474"},
		{"0.0.0.0:8474", true, "0.0.0.0:8474"},
		{"8474", true, `--api "8474": write it as host:port`},
	} {
		got, err := apiAddress(t.Context(), tt.addr, tt.token)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s with a token %v: %s, want %s", tt.addr, tt.token, got, tt.want)
		}
	}
}
