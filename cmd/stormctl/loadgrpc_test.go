package main

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/stormctl/stormctl/reports"
)

func TestLoadOfGRPCInJSON(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, state := grpc.NewServer(), health.NewServer()
	state.SetServingStatus("shop", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, state)
	reflection.Register(s)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	defer func() { s.Stop(); <-ended }()
	url := "http://" + l.Addr().String() + "/grpc.health.v1.Health/"
	for _, tt := range []struct {
		method  string
		args    []string
		outcome string // of all 20
		fails   string // or why it does not even begin
	}{
		{"Check", []string{"-b", `{"service": "shop"}`}, "ok", ""}, // by itself
		{"Check", []string{"-b", ` {"service": "nobody"}`, "--reflect"}, "4xx", ""},
		{"Check", []string{"--reflect"}, "ok", ""},
		{"Check", []string{"-b", `{"servce": "shop"}`}, "", `--reflect: /grpc.health.v1.Health/Check: message grpc.health.v1.HealthCheckRequest: `},
		{"Check", []string{"-b", `{"service": "${id}"}`}, "", "--reflect: a message in JSON has no placeholders"},
		{"Watch", []string{"--reflect"}, "", "it streams"},
		{"Chek", []string{"--reflect"}, "", "has no method Chek"},
	} {
		var out, said bytes.Buffer
		code := execute(append([]string{"load", url + tt.method, "--protocol", "grpc", "-n", "20", "--rate", "1k/s", "--json", "-q"}, tt.args...), &out, &said)
		if tt.fails != "" {
			if code != exitFailed || !strings.Contains(said.String(), tt.fails) {
				t.Errorf("%s %q: exit %d, %s, want %q", tt.method, tt.args, code, said.String(), tt.fails)
			}
			continue
		}
		var l reports.Load
		if err := json.Unmarshal(out.Bytes(), &l); err != nil || code != exitHeld || l.Outcomes[tt.outcome] != 20 {
			t.Errorf("%s %q: exit %d, %v, %v, %s", tt.method, tt.args, code, err, l.Outcomes, said.String())
		}
	}
}
