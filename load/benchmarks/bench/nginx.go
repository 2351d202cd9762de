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

// Nginx is a server with one worker that answers small GETs, has one large file at
// /large, and answers the gRPC method Method with an empty message.
type Nginx struct {
	Process
	Socket string // of the same server
	asked  int64  // how often Requests was

	// The same server over TLS, by HTTP/2 without TLS, and by HTTP/2 over TLS: ip:port.
	TLS, H2, H2TLS string
}

// Method is what gRPC calls, of the service that Proto describes.
const Method = "/bench.Echo/Say"

// Proto is the name of a file beside its other ones.
const Proto = "echo.proto"

const proto = `syntax = "proto3";
package bench;
message Empty {}
service Echo { rpc Say(Empty) returns (Empty); }
`

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
		location = %[6]s {
			root %[1]s;
			default_type application/grpc;
			add_trailer grpc-status 0;
			error_page 405 =200 %[6]s;
		}
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
	if err := writeMethod(dir); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, addrs[0], addrs[1], addrs[2], addrs[3], Method), 0o644); err != nil {
		return nil, err
	}
	p, err := Start(ctx, addrs[0], program, "-c", conf)
	return &Nginx{Process: p, Socket: filepath.Join(dir, "http.sock"), TLS: addrs[1], H2: addrs[2], H2TLS: addrs[3]}, err
}

// writeMethod writes what Method answers, an empty message in its frame, and its
// description.
func writeMethod(dir string) error {
	file := filepath.Join(dir, Method)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(file, make([]byte, 5), 0o644), os.WriteFile(filepath.Join(dir, Proto), []byte(proto), 0o644))
}

// Requests is how many it has answered so far, but for those of this method.
func (n *Nginx) Requests() (count int64, err error) {
	text, err := get("http://" + n.Addr + "/status")
	if err != nil {
		return 0, err
	}
	n.asked++
	var active, accepts, handled int64
	const format = "Active connections: %d \nserver accepts handled requests\n %d %d %d"
	_, err = fmt.Sscanf(string(text), format, &active, &accepts, &handled, &count)
	return count - n.asked, err
}

func get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
