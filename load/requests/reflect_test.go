package requests

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	channelz "google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// served serves until the test ends and returns the address.
func served(t *testing.T, network, addr string, register func(*grpc.Server), opts ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(s, health.NewServer())
	channelz.RegisterChannelzServiceToServer(s)
	register(s)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// sparing answers each question with one file: whoever needs its imports has to
// ask for them. It is the older version of the service alone, whose messages are
// those of the newer one.
var sparing = &grpc.ServiceDesc{
	ServiceName: "grpc.reflection.v1alpha.ServerReflection", HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{StreamName: "ServerReflectionInfo", ServerStreams: true, ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
		var q reflectionpb.ServerReflectionRequest
		if err := stream.RecvMsg(&q); err != nil {
			return err
		}
		text, err := oneFile(&q)
		if err != nil {
			return err
		}
		return stream.SendMsg(&reflectionpb.ServerReflectionResponse{MessageResponse: &reflectionpb.ServerReflectionResponse_FileDescriptorResponse{
			FileDescriptorResponse: &reflectionpb.FileDescriptorResponse{FileDescriptorProto: [][]byte{text}},
		}})
	}}},
}

func oneFile(q *reflectionpb.ServerReflectionRequest) ([]byte, error) {
	var file protoreflect.FileDescriptor
	if name := q.GetFileByFilename(); name != "" {
		found, err := protoregistry.GlobalFiles.FindFileByPath(name)
		if err != nil {
			return nil, err
		}
		file = found
	} else {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(q.GetFileContainingSymbol()))
		if err != nil {
			return nil, err
		}
		file = found.ParentFile()
	}
	return proto.Marshal(protodesc.ToFileDescriptorProto(file))
}

func TestReflect(t *testing.T) {
	both := func(s *grpc.Server) { reflection.Register(s) }
	secure := httptest.NewUnstartedServer(http.NotFoundHandler()) // for its certificate
	secure.StartTLS()
	defer secure.Close()
	socket := filepath.Join(t.TempDir(), "grpc.sock")
	for name, s := range map[string]Server{
		"TCP":         {Addr: served(t, "tcp", "127.0.0.1:0", both)},
		"unix socket": {Addr: "unix:" + served(t, "unix", socket, both)},
		"TLS": {Addr: served(t, "tcp", "127.0.0.1:0", both, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: secure.TLS.Certificates}))),
			TLS: &tls.Config{InsecureSkipVerify: true}},
		"v1alpha, file by file": {Addr: served(t, "tcp", "127.0.0.1:0", func(s *grpc.Server) { s.RegisterService(sparing, nil) })},
	} {
		t.Run(name, func(t *testing.T) {
			s.Host = "shop.example"
			m, err := Reflect(context.Background(), s, "/grpc.health.v1.Health/Check")
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Encode("/grpc.health.v1.Health/Check", []byte(`{"service": "shop"}`))
			want, _ := proto.Marshal(&healthpb.HealthCheckRequest{Service: "shop"})
			if err != nil || string(got) != string(want) {
				t.Errorf("encoded as %x, %v; want %x", got, err, want)
			}
			if got, err := m.Encode("/grpc.health.v1.Health/Check", nil); err != nil || len(got) != 0 {
				t.Errorf("nothing is encoded as %x, %v", got, err)
			}
			if _, err := m.Encode("/grpc.health.v1.Health/Watch", nil); err == nil || !strings.Contains(err.Error(), "it streams") {
				t.Errorf("a stream: %v", err)
			}
			// Its file imports four others.
			if m, err = Reflect(context.Background(), s, "/grpc.channelz.v1.Channelz/GetServer"); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Encode("/grpc.channelz.v1.Channelz/GetServer", []byte(`{"server_id": 7}`)); err != nil {
				t.Error(err)
			}
		})
	}
}

// What the server asks for is sent with the question, as with a token.
func TestReflectSendsHeaders(t *testing.T) {
	var got string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization") + " " + r.Host
		w.Header().Set("Grpc-Status", "16")
		w.Header().Set("Grpc-Message", "who are you")
	}))
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	_, err := Reflect(context.Background(), Server{Addr: server.Listener.Addr().String(), Host: "shop.example", Headers: [][2]string{{"authorization", "token"}}}, "/a.B/C")
	if err == nil || !strings.Contains(err.Error(), "gRPC status 16: who are you") {
		t.Errorf("got error %v", err)
	}
	if got != "token shop.example" {
		t.Errorf("the server saw %q", got)
	}
}

func TestReflectRefuses(t *testing.T) {
	both := served(t, "tcp", "127.0.0.1:0", func(s *grpc.Server) { reflection.Register(s) })
	for _, tt := range []struct{ name, addr, path, want string }{
		{"no reflection", served(t, "tcp", "127.0.0.1:0", func(*grpc.Server) {}), "/a.B/C", "it has no gRPC server reflection: give a file by --protoset"},
		{"no such service", both, "/a.B/C", "ask shop for the descriptors of a.B: it does not know"},
		{"no method", both, "/", `"/" is not a method`},
		{"nobody there", "127.0.0.1:1", "/a.B/C", "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Reflect(context.Background(), Server{Addr: tt.addr, Host: "shop"}, tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
		})
	}
}

// Whatever a server sends is an error at worst.
func FuzzReflectionAnswer(f *testing.F) {
	f.Add([]byte("\x22\x02\x0a\x00"))
	f.Add([]byte("\x3a\x04\x12\x02no"))
	f.Add([]byte("\x08\x01\x22\xff"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		r := &conversation{files: map[string]*descriptorpb.FileDescriptorProto{}}
		_ = r.take(answer)
		r.missing()
	})
}
