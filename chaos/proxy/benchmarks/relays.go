package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/benchmarks/bench"
)

// peer is a relay that can be started in front of upstream. start returns nil
// if it is not installed.
type peer struct {
	name  string
	start func(ctx context.Context, dir, upstream string) (*relay, error)
}

// relay is one that runs.
type relay struct {
	name string
	bench.Process
}

func peers(o options) []peer {
	return []peer{
		{"direct", func(_ context.Context, _, upstream string) (*relay, error) {
			return &relay{Process: bench.Process{Addr: upstream}}, nil
		}},
		{"haproxy tcp", func(ctx context.Context, dir, upstream string) (*relay, error) {
			return haproxy(ctx, dir, "tcp", upstream)
		}},
		{"haproxy http", func(ctx context.Context, dir, upstream string) (*relay, error) {
			return haproxy(ctx, dir, "http", upstream)
		}},
		{"toxiproxy", func(ctx context.Context, _, upstream string) (*relay, error) {
			return toxiproxy(ctx, o.toxiproxy, upstream)
		}},
		{"stormctl tcp", func(ctx context.Context, _, upstream string) (*relay, error) {
			return ours(ctx, toxic.ProtocolTCP, upstream, o.profile)
		}},
		{"stormctl http1", func(ctx context.Context, _, upstream string) (*relay, error) {
			return ours(ctx, toxic.ProtocolHTTP1, upstream, o.profile)
		}},
	}
}

// ours starts this program as a relay.
func ours(ctx context.Context, protocol, upstream, profile string) (*relay, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-relay", protocol, "-upstream", upstream}
	if profile != "" {
		args = append(args, "-profile", profile+"."+protocol)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	r := &relay{Process: bench.Process{Addr: strings.TrimSpace(addr), Cmd: cmd}}
	if err != nil {
		r.Stop()
		return nil, fmt.Errorf("it does not say where it listens: %w", err)
	}
	return r, nil
}

// serve is what ours starts: a relay that records, until it is told to end.
func serve(ctx context.Context, protocol, upstream, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r, err := proxy.Listen(proxy.Config{Name: "bench", Protocol: protocol, Upstream: upstream, Run: 1})
	if err != nil {
		return err
	}
	defer r.Close()
	var recorded atomic.Uint64
	r.Record(time.Now(), func(evidence.Exchange) { recorded.Add(1) })
	fmt.Println(r.Addr())
	<-ctx.Done()
	return nil
}

const haproxyConf = `
global
	maxconn 4000
defaults
	mode %s
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen bench
	bind %s
	server nginx %s
`

func haproxy(ctx context.Context, dir, mode, upstream string) (*relay, error) {
	program := bench.Find("haproxy", "/usr/sbin/haproxy")
	if program == "" {
		return nil, nil
	}
	addr, err := bench.FreeAddr()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "haproxy-"+mode+".cfg")
	if err := os.WriteFile(conf, fmt.Appendf(nil, haproxyConf, mode, addr, upstream), 0o644); err != nil {
		return nil, err
	}
	return start(ctx, addr, program, "-db", "-f", conf)
}

func toxiproxy(ctx context.Context, program, upstream string) (*relay, error) {
	if program = bench.Find(program); program == "" {
		return nil, nil
	}
	api, err := bench.FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(api)
	if err != nil {
		return nil, err
	}
	r, err := start(ctx, api, program, "-host", "127.0.0.1", "-port", port)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"name": "bench", "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true})
	if err != nil {
		return nil, err
	}
	resp, err := http.Post("http://"+api+"/proxies", "application/json", bytes.NewReader(body))
	if err != nil {
		r.Stop()
		return nil, err
	}
	defer resp.Body.Close()
	var made struct {
		Listen string `json:"listen"`
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, json.Unmarshal(text, &made)); err != nil {
		r.Stop()
		return nil, fmt.Errorf("create a proxy: %s: %w", text, err)
	}
	r.Addr = made.Listen
	return r, nil
}

func start(ctx context.Context, addr, program string, args ...string) (*relay, error) {
	p, err := bench.Start(ctx, addr, program, args...)
	return &relay{Process: p}, err
}
