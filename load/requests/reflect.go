package requests

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxDescriptors bounds what a server may say of itself, in bytes: as much as a
// file of descriptors may have.
const maxDescriptors = 64 << 20

// Server is a gRPC server that is asked what it serves.
type Server struct {
	Addr    string      // ip:port, or unix:PATH
	TLS     *tls.Config // nil is without, by prior knowledge of HTTP/2
	Host    string      // what it is called
	Headers [][2]string // sent with each question, as with a token
}

// The services that answer, by version: the older one is all that many servers
// have. Their messages are the same.
var reflections = []string{"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}

// Reflect asks a server for the descriptors of a method, whose path is
// /package.Service/Method, by gRPC server reflection.
//
// Each question is a call of its own, of one message each way. The protocol has
// a stream for several of them, which saves what is no cost here.
func Reflect(ctx context.Context, s Server, path string) (*Methods, error) {
	service, _, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%q is not a method: write /package.Service/Method", path)
	}
	client := s.client()
	defer client.CloseIdleConnections()
	r := &conversation{ctx: ctx, server: s, client: client, files: map[string]*descriptorpb.FileDescriptorProto{}}
	if err := r.ask(fileContainingSymbol, service); err != nil {
		return nil, fmt.Errorf("ask %s for the descriptors of %s: %w", s.Host, service, err)
	}
	// Many servers send the imports along, others have to be asked for them.
	for missing := r.missing(); missing != ""; missing = r.missing() {
		if err := r.ask(fileByFilename, missing); err != nil {
			return nil, fmt.Errorf("ask %s for %s, which the descriptors of %s import: %w", s.Host, missing, service, err)
		}
		if r.files[missing] == nil {
			return nil, fmt.Errorf("ask %s for %s: it sent another file", s.Host, missing)
		}
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		set.File = append(set.File, r.files[name])
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("what %s sent is no set of descriptors: %w", s.Host, err)
	}
	return &Methods{files}, nil
}

func (s Server) client() *http.Client {
	t := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: s.TLS.Clone(), DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			network, addr := "tcp", s.Addr
			if path, is := strings.CutPrefix(s.Addr, "unix:"); is {
				network, addr = "unix", path
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// conversation is all that one server is asked.
type conversation struct {
	ctx    context.Context
	server Server
	client *http.Client
	tried  int // how many of reflections the server does not have
	files  map[string]*descriptorpb.FileDescriptorProto
	size   int
}

// Numbers of fields in ServerReflectionRequest and ServerReflectionResponse.
const (
	fileByFilename       = protowire.Number(3)
	fileContainingSymbol = protowire.Number(4)

	fileDescriptorResponse = protowire.Number(4)
	errorResponse          = protowire.Number(7)
)

// missing is an import that has not been sent; "" if there is none.
func (r *conversation) missing() string {
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		for _, d := range r.files[name].GetDependency() {
			if r.files[d] == nil {
				return d
			}
		}
	}
	return ""
}

// errUnimplemented is a server that does not have the service.
var errUnimplemented = errors.New("it has no gRPC server reflection: give a file by --protoset, or the encoded message")

// ask sends one question and takes the files that answer it.
func (r *conversation) ask(question protowire.Number, text string) error {
	message := protowire.AppendString(protowire.AppendTag(nil, question, protowire.BytesType), text)
	for ; r.tried < len(reflections); r.tried++ {
		answer, err := r.call("/"+reflections[r.tried]+"/ServerReflectionInfo", message)
		if errors.Is(err, errUnimplemented) {
			continue
		}
		if err != nil {
			return err
		}
		return r.take(answer)
	}
	return errUnimplemented
}

// call makes one gRPC call of one message each way.
func (r *conversation) call(path string, message []byte) ([]byte, error) {
	scheme := "http"
	if r.server.TLS != nil {
		scheme = "https"
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	u := url.URL{Scheme: scheme, Host: r.server.Host, Path: path}
	q, err := http.NewRequestWithContext(r.ctx, http.MethodPost, u.String(), bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	for _, h := range r.server.Headers {
		q.Header.Add(h[0], h[1])
	}
	q.Header.Set("Content-Type", "application/grpc")
	q.Header.Set("Te", "trailers")
	resp, err := r.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDescriptors+1))
	switch status := trailer(resp, "Grpc-Status"); {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotFound, status == "12":
		return nil, errUnimplemented
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s", resp.Status)
	case status != "0":
		return nil, fmt.Errorf("it answers with gRPC status %s: %s", status, trailer(resp, "Grpc-Message"))
	case len(body) < 5 || body[0] != 0 || uint64(len(body)-5) < uint64(binary.BigEndian.Uint32(body[1:])):
		return nil, errors.New("what it answers is no gRPC message")
	}
	return body[5 : 5+binary.BigEndian.Uint32(body[1:])], nil
}

// trailer is a trailer; of an answer that has no message it is a header.
func trailer(resp *http.Response, name string) string {
	if v := resp.Trailer.Get(name); v != "" {
		return v
	}
	return resp.Header.Get(name)
}

// take keeps the files of a ServerReflectionResponse.
func (r *conversation) take(answer []byte) error {
	return fields(answer, func(n protowire.Number, value []byte) error {
		switch n {
		case errorResponse: // 1 is the code, 2 the message
			text := "without a word"
			err := fields(value, func(n protowire.Number, value []byte) error {
				if n == 2 {
					text = string(value)
				}
				return nil
			})
			return errors.Join(fmt.Errorf("it does not know: %s", text), err)
		case fileDescriptorResponse:
			if r.size += len(value); r.size > maxDescriptors {
				return fmt.Errorf("more than %d bytes of descriptors", maxDescriptors)
			}
			var set descriptorpb.FileDescriptorSet // the same on the wire: files are field 1
			if err := proto.Unmarshal(value, &set); err != nil {
				return fmt.Errorf("a descriptor: %w", err)
			}
			for _, file := range set.File {
				r.files[file.GetName()] = file
			}
		}
		return nil
	})
}

// fields calls each with the fields of a message that are bytes.
func fields(message []byte, each func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		if kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return protowire.ParseError(size)
			}
			if err := each(n, value); err != nil {
				return err
			}
			message = message[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
	}
	return nil
}
