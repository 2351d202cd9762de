package http

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// grpcServer is a server with the health service: of shop alone it knows how it
// is.
func grpcServer(t *testing.T, options ...grpc.ServerOption) (addr string, known *health.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	known = health.NewServer()
	known.SetServingStatus("shop", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, known)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return l.Addr().String(), known
}

func grpcClient(t *testing.T, addr string, creds credentials.TransportCredentials) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

func ask(service string) *healthpb.HealthCheckRequest {
	return &healthpb.HealthCheckRequest{Service: service}
}

const check = "/grpc.health.v1.Health/Check"

func TestGRPC(t *testing.T) {
	addr, known := grpcServer(t)
	l := listen(t, addr, speaks(toxic.ProtocolGRPC))
	client := grpcClient(t, l.Addr(), insecure.NewCredentials())
	ctx, cancel := context.WithTimeout(t.Context(), wiretest.Patience)
	defer cancel()

	call := func(t *testing.T, service string, want codes.Code) (trailer metadata.MD, message string) {
		t.Helper()
		_, err := client.Check(ctx, ask(service), grpc.Trailer(&trailer))
		if got := status.Code(err); got != want {
			t.Errorf("got %v, want %v: %v", got, want, err)
		}
		return trailer, status.Convert(err).Message()
	}
	recorded := func(t *testing.T, how evidence.Ending, status int, faults uint64) evidence.Exchange {
		t.Helper()
		x := l.Next()
		if x.Ending != how || x.Status != status || x.Faults != faults || x.Path != check || x.Method != "POST" {
			t.Errorf("recorded %+v, want %v with %d", x, how, status)
		}
		return x
	}
	var payload uint64
	t.Run("answered", func(t *testing.T) {
		call(t, "shop", codes.OK)
		if payload = recorded(t, evidence.Answered, 200, 0).Payload; payload == 0 {
			t.Error("no payload was recorded")
		}
		call(t, "bank", codes.NotFound) // trailers alone
		recorded(t, evidence.Answered, 404, 0)
	})
	for _, tt := range []struct {
		name   string
		errors toxic.Errors
		code   codes.Code
		status int
	}{
		{"by status", toxic.Errors{Status: toxic.Statuses{503}}, codes.Unavailable, 503},
		{"by a status that has no code of its own", toxic.Errors{Status: toxic.Statuses{502}}, codes.Unavailable, 503},
		{"by code", toxic.Errors{GRPC: 8}, codes.ResourceExhausted, 429},
		{"by both", toxic.Errors{Status: toxic.Statuses{503}, GRPC: 10}, codes.Aborted, 409},
	} {
		t.Run("errors "+tt.name, func(t *testing.T) {
			tt.errors.Select = toxic.Select{Share: 1, Match: &toxic.Match{GRPC: "grpc.health.v1.Health/*"}}
			tt.errors.Body, tt.errors.RetryAfter = "50% off, sorry: é", time.Second
			remove := l.Add(3, tt.errors)
			defer remove()
			trailer, message := call(t, "shop", tt.code)
			if message != tt.errors.Body {
				t.Errorf("message %q, want %q", message, tt.errors.Body)
			}
			if got := trailer.Get("grpc-retry-pushback-ms"); len(got) != 1 || got[0] != "1000" {
				t.Errorf("pushback %v, want 1000", got)
			}
			x := recorded(t, evidence.Injected, tt.status, 1<<3)
			if x.Extra().RetryAfter != time.Second || x.Payload != payload {
				t.Errorf("recorded %+v", x)
			}
		})
	}
	t.Run("latency and deadline", func(t *testing.T) {
		remove := l.Add(4, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		defer remove()
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := client.Check(short, ask("shop")); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		recorded(t, evidence.CallerGone, 0, 1<<4)
	})
	t.Run("reset", func(t *testing.T) {
		remove := l.Add(5, toxic.Reset{Select: toxic.All})
		defer remove()
		call(t, "shop", codes.Internal)
		recorded(t, evidence.Broken, 0, 1<<5)
	})
	t.Run("reset in the place of the status", func(t *testing.T) {
		remove := l.Add(5, toxic.Reset{When: "after", Select: toxic.All})
		defer remove()
		call(t, "shop", codes.Internal)
		recorded(t, evidence.Broken, 0, 1<<5)
	})
	t.Run("truncate", func(t *testing.T) {
		remove := l.Add(6, toxic.Truncate{After: 3, Select: toxic.All})
		defer remove()
		if _, err := client.Check(ctx, ask("shop")); err == nil {
			t.Error("a response of three bytes was taken for whole")
		}
		recorded(t, evidence.Broken, 0, 1<<6)
	})
	t.Run("a stream of messages", func(t *testing.T) {
		watching, leave := context.WithCancel(ctx)
		stream, err := client.Watch(watching, ask("shop"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
			got, err := stream.Recv()
			if err != nil || got.Status != want {
				t.Fatalf("got %v, %v; want %v", got, err, want)
			}
			known.SetServingStatus("shop", healthpb.HealthCheckResponse_NOT_SERVING)
		}
		remove := l.Add(7, toxic.Partition{Select: toxic.All})
		known.SetServingStatus("shop", healthpb.HealthCheckResponse_SERVING)
		got := make(chan *healthpb.HealthCheckResponse, 1)
		go func() {
			m, _ := stream.Recv()
			got <- m
		}()
		select {
		case m := <-got:
			t.Errorf("got %v through a partition", m)
		case <-time.After(50 * time.Millisecond):
		}
		remove()
		if m := <-got; m.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("got %v after the heal", m)
		}
		leave()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<7 || x.Status != 0 {
			t.Errorf("recorded %+v", x)
		}
	})
}

func TestGRPCOverTLS(t *testing.T) {
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	addr, _ := grpcServer(t, grpc.Creds(credentials.NewTLS(behind.Server())))
	l := listen(t, addr, speaks(toxic.ProtocolGRPC), tlsOn(front, behind))
	client := grpcClient(t, l.Addr(), credentials.NewTLS(front.Client()))
	ctx, cancel := context.WithTimeout(t.Context(), wiretest.Patience)
	defer cancel()
	if _, err := client.Check(ctx, ask("shop")); err != nil {
		t.Error(err)
	}
	if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// What a status of HTTP becomes is recorded as that status again, where gRPC
// knows one for it.
func TestHTTPToGRPC(t *testing.T) {
	for code := range 17 {
		http := wire.GRPCToHTTP(code)
		if got := wire.GRPCToHTTP(httpToGRPC(http)); got != http {
			t.Errorf("%d is %d in gRPC, which is %d", http, httpToGRPC(http), got)
		}
	}
	for status, want := range map[int]int{418: 2, 502: 14, 599: 2, 301: 2} {
		if got := httpToGRPC(status); got != want {
			t.Errorf("%d is %d, want %d", status, got, want)
		}
	}
}
