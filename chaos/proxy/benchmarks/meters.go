package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/load/benchmarks/bench"
)

// cpuTimeOf is what the relay uses while something is done; 0 if it is no process.
func (r *relay) cpuTimeOf(do func() error) (time.Duration, error) {
	if r.Cmd == nil {
		return 0, do()
	}
	before, err := r.CPU()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := r.CPU()
	return after - before, err
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+(\S+)`)
	wrkErrors   = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
)

// wrk makes load and returns how many requests were answered.
func wrk(ctx context.Context, addr string, conns int, d time.Duration) (requests, rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	args := []string{"-t1", "-c" + strconv.Itoa(conns), fmt.Sprintf("-d%ds", int(d.Seconds())), "http://" + addr + "/"}
	out, err := exec.CommandContext(ctx, "wrk", args...).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if wrong := wrkErrors.Find(out); wrong != nil {
		return 0, 0, fmt.Errorf("wrk: %s", wrong)
	}
	n, r := wrkRequests.FindSubmatch(out), wrkRate.FindSubmatch(out)
	if n == nil || r == nil {
		return 0, 0, fmt.Errorf("wrk says neither how many nor how fast:\n%s", out)
	}
	requests, err = strconv.ParseFloat(string(n[1]), 64)
	rate, err2 := strconv.ParseFloat(string(r[1]), 64)
	return requests, rate, errors.Join(err, err2)
}

// probe is the median time of n requests on one connection with pauses between.
func probe(addr string, n int, gap time.Duration) (time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Duration(n)*gap + time.Minute)); err != nil {
		return 0, err
	}
	in := bufio.NewReader(conn)
	request := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	took := make([]time.Duration, 0, n)
	for range n {
		time.Sleep(gap)
		begin := time.Now()
		if _, err := conn.Write(request); err != nil {
			return 0, err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return 0, err
		}
		resp.Body.Close()
	}
	return bench.Middle(took), nil
}

// download is how many MiB per second curl gets of the large file.
func download(ctx context.Context, addr string, size int64) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	args := []string{"-sS", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", "http://" + addr + "/large"}
	out, err := exec.CommandContext(ctx, "curl", args...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("curl: %w\n%s", err, out)
	}
	var got int64
	var seconds float64
	if _, err := fmt.Sscan(string(out), &got, &seconds); err != nil || got != size {
		return 0, fmt.Errorf("curl got %q of %d bytes", out, size)
	}
	return float64(got) / (1 << 20) / seconds, nil
}
