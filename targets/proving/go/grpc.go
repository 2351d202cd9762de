package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// serviceConfig is the retry policy of gRPC's own example, with waits that can be measured.
const serviceConfig = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// opaque are messages that are left as they are.
type opaque struct{}

func (opaque) Name() string                    { return "opaque" }
func (opaque) Marshal(any) ([]byte, error)     { return nil, nil }
func (opaque) Unmarshal(_ []byte, _ any) error { return nil }

// grpcRetries answers each request by a unary call, which grpc-go repeats as its service
// config says.
func grpcRetries() (http.Handler, error) {
	address := os.Getenv("DEPENDENCY_ADDR")
	if address == "" {
		return nil, errors.New("DEPENDENCY_ADDR is missing")
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(opaque{})))
	if err != nil {
		return nil, err
	}
	timeout := setting("TIMEOUT", 5*time.Second)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		for _, name := range passed[:2] {
			if v := r.Header.Get(name); v != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, name, v)
			}
		}
		err := conn.Invoke(ctx, "/proving.Dependency/Pay", struct{}{}, struct{}{})
		switch status.Code(err) {
		case codes.OK:
		case codes.DeadlineExceeded:
			http.Error(w, err.Error(), http.StatusGatewayTimeout)
		default:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}), nil
}

// grpcServer is a dependency that answers every unary call.
func grpcServer() (http.Handler, error) {
	return grpc.NewServer(grpc.ForceServerCodec(opaque{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&struct{}{}); err != nil {
			return err
		}
		return stream.SendMsg(struct{}{})
	})), nil
}
