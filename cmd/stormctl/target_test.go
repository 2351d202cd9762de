package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"
)

func TestTargetServesUntilItIsTold(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- serveTarget(ctx, w, "dependency", targetOptions{name: "payments", listen: "127.0.0.1:0", with: []string{"body=3B"}})
		w.Close()
	}()
	said, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %v", err, <-served)
	}
	where := regexp.MustCompile(`^payments listens on (http://127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(said)
	if where == nil {
		t.Fatalf("said %q", said)
	}
	resp, err := http.Get(where[1] + "/pay")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || len(body) != 3 {
		t.Errorf("answered %d %q, %v, want 200 and the 3 bytes of --with body=3B", resp.StatusCode, body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Errorf("ended with %v, want nil: it was told to", err)
	}
}

func TestTargetSaysWhichSocket(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	path := filepath.Join(t.TempDir(), "pay.sock")
	r, w := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- serveTarget(ctx, w, "dependency", targetOptions{listen: "unix:" + path})
		w.Close()
	}()
	said, err := bufio.NewReader(r).ReadString('\n')
	if want := "dependency listens on unix:" + path + "\n"; said != want {
		t.Errorf("said %q, %v, want %q", said, err, want)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
