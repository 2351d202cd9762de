package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// Nginx is a server with one worker that answers small GETs, and has one large
// file at /large.
type Nginx struct {
	Process
	Socket string // of the same server

	// The same server over TLS, by HTTP/2 without TLS, and by HTTP/2 over TLS: ip:port.
	TLS, H2, H2TLS string
}

const nginxConf = `
worker_processes 1;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log crit;
worker_rlimit_nofile 60000;
events { worker_connections 30000; }
http {
	access_log off;
	sendfile on;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	server {
		listen %[2]s backlog=16384;
		listen unix:%[1]s/http.sock backlog=16384;
		listen %[3]s backlog=16384 ssl;
		listen %[4]s backlog=16384 http2;
		listen %[5]s backlog=16384 ssl http2;
		ssl_certificate %[1]s/tls.pem;
		ssl_certificate_key %[1]s/tls.pem;
		location / { return 200 "hello, world"; }
		location = /status { stub_status; }
		location = /large { root %[1]s; }
	}
}
`

// StartNginx starts it in dir, with a file of so many bytes.
func StartNginx(ctx context.Context, dir string, large int64) (*Nginx, error) {
	program := Find("nginx", "/usr/sbin/nginx")
	if program == "" {
		return nil, errors.New("nginx is not installed")
	}
	var addrs [4]string // plain, over TLS, HTTP/2, HTTP/2 over TLS
	for i := range addrs {
		addr, err := FreeAddr()
		if err != nil {
			return nil, err
		}
		addrs[i] = addr
	}
	if err := writeCertificate(filepath.Join(dir, "tls.pem")); err != nil {
		return nil, err
	}
	// Its worker is another user's: it must be able to enter.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "large")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return nil, err
	}
	if err := os.Truncate(file, large); err != nil { // a hole: reading it costs no disk
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, addrs[0], addrs[1], addrs[2], addrs[3]), 0o644); err != nil {
		return nil, err
	}
	p, err := Start(ctx, addrs[0], program, "-c", conf)
	return &Nginx{Process: p, Socket: filepath.Join(dir, "http.sock"), TLS: addrs[1], H2: addrs[2], H2TLS: addrs[3]}, err
}

// Requests is how many it has answered so far, this one included.
func (n *Nginx) Requests() (count int64, err error) {
	resp, err := http.Get("http://" + n.Addr + "/status")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var active, accepts, handled int64
	const format = "Active connections: %d \nserver accepts handled requests\n %d %d %d"
	_, err = fmt.Sscanf(string(text), format, &active, &accepts, &handled, &count)
	return count, err
}
