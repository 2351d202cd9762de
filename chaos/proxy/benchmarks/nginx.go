package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// nginx is a server with one worker: small GETs, and one large file.
type nginx struct {
	addr string
	cmd  *exec.Cmd
}

const nginxConf = `
worker_processes 1;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log crit;
events { worker_connections 10000; }
http {
	access_log off;
	sendfile on;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	server {
		listen %[2]s backlog=16384;
		location / { return 200 "hello, world"; }
		location = /large { root %[1]s; }
	}
}
`

func startNginx(ctx context.Context, dir string, large int64) (*nginx, error) {
	program := find("nginx", "/usr/sbin/nginx")
	if program == "" {
		return nil, errors.New("nginx is not installed")
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	// Its worker is another user's: it must be able to enter.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(large); err != nil { // a hole: reading it costs no disk
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, addr), 0o644); err != nil {
		return nil, err
	}
	n := &nginx{addr: addr, cmd: exec.CommandContext(ctx, program, "-c", conf)}
	n.cmd.Stderr = os.Stderr
	n.cmd.Cancel = func() error { return n.cmd.Process.Signal(syscall.SIGTERM) }
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		var resp *http.Response
		if resp, err = http.Get("http://" + addr + "/"); err == nil {
			resp.Body.Close()
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
