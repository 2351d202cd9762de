package requests

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Methods are the gRPC methods that a set of descriptors knows.
type Methods struct{ files *protoregistry.Files }

// ReadDescriptors reads a FileDescriptorSet with all its imports, as
// `protoc --include_imports --descriptor_set_out FILE` writes it.
func ReadDescriptors(r io.Reader) (*Methods, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("not a set of descriptors: %w", err)
	}
	if len(set.File) == 0 {
		return nil, errors.New("there is no descriptor in it")
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("%w (was it written with --include_imports?)", err)
	}
	return &Methods{files}, nil
}

// Encode makes the message of a unary call from JSON (the mapping of proto3).
// path is /package.Service/Method.
func (m *Methods) Encode(path string, json []byte) ([]byte, error) {
	method, err := m.method(path)
	if err != nil {
		return nil, err
	}
	if method.IsStreamingClient() || method.IsStreamingServer() {
		return nil, fmt.Errorf("%s: it streams; only unary calls can be made", path)
	}
	message := dynamicpb.NewMessage(method.Input())
	if len(json) == 0 {
		json = []byte("{}")
	}
	if err := (protojson.UnmarshalOptions{Resolver: dynamicpb.NewTypes(m.files)}).Unmarshal(json, message); err != nil {
		return nil, fmt.Errorf("%s: message %s: %w", path, method.Input().FullName(), err)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(message)
}

func (m *Methods) method(path string) (protoreflect.MethodDescriptor, error) {
	service, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%q is not a method: write /package.Service/Method", path)
	}
	found, err := m.files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("%s: the descriptors know no service %s", path, service)
	}
	s, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s: %s is not a service", path, service)
	}
	method := s.Methods().ByName(protoreflect.Name(name))
	if method == nil {
		return nil, fmt.Errorf("%s: service %s has no method %s", path, service, name)
	}
	return method, nil
}
