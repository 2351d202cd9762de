package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// nginx is a server with one worker that answers small GETs.
type nginx struct {
	addr   string // ip:port
	socket string
	cmd    *exec.Cmd
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
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	server {
		listen %[2]s backlog=16384;
		listen unix:%[1]s/http.sock backlog=16384;
		location / { return 200 "hello, world"; }
		location = /status { stub_status; }
	}
}
`

func startNginx(ctx context.Context, dir string) (*nginx, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, errors.New("nginx is not installed")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &nginx{addr: l.Addr().String(), socket: filepath.Join(dir, "http.sock")}
	_ = l.Close()
	// Its worker is another user's: it must be able to enter.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, n.addr), 0o644); err != nil {
		return nil, err
	}
	n.cmd = exec.CommandContext(ctx, program, "-c", conf)
	n.cmd.Stderr = os.Stderr
	n.cmd.Cancel = func() error { return n.cmd.Process.Signal(syscall.SIGTERM) }
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		if _, err = n.requests(); err == nil {
			return n, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.stop()
	return nil, fmt.Errorf("nginx does not answer: %w", err)
}

func (n *nginx) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	_ = n.cmd.Wait()
}

// requests is how many it has answered so far, this one included.
func (n *nginx) requests() (count int64, err error) {
	resp, err := http.Get("http://" + n.addr + "/status")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var active, accepts, handled int64
	_, err = fmt.Sscanf(string(text), "Active connections: %d \nserver accepts handled requests\n %d %d %d", &active, &accepts, &handled, &count)
	return count, err
}
