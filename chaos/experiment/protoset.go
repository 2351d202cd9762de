package experiment

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/load/requests"
	"github.com/stormctl/stormctl/load/wire"
)

// protoset reads the descriptors of a target that speaks gRPC.
func (r *rules) protoset(name string, at strict.Path, t *Target) {
	if !r.Has(at) {
		return
	}
	if t.Protocol != load.GRPC {
		r.WrongKey(at, "protoset: goes with protocol: grpc only", "")
		return
	}
	if !r.opts.Here || !r.Sound(at) {
		return
	}
	methods, err := input.Parse(r.beside(t.Protoset), input.Descriptors, requests.ReadDescriptors)
	if err != nil {
		r.Wrong(at, "protoset: "+err.Error(), "")
		return
	}
	if r.methods == nil {
		r.methods = map[string]*requests.Methods{}
	}
	r.methods[name] = methods
}

// message checks a gRPC message that is written as JSON.
func (r *rules) message(a asked) {
	body, post := a.path.Child("body"), a.path.Child("post")
	if strings.Contains(a.Body, "${") && r.Sound(body) {
		r.Wrong(body, "body: a message in JSON has no placeholders", "they would change lengths that it holds")
		return
	}
	if r.methods[a.name] == nil || !r.Sound(post) {
		return
	}
	_, err := encodeMessage(r.methods[a.name], a.Request)
	switch {
	case err == nil:
	case r.Sound(body):
		r.Wrong(body, "body: "+err.Error(), "")
	case !r.Has(body):
		r.Wrong(post, "post: "+err.Error(), "")
	}
}

// encodeMessage is what is sent for a body in JSON; none is the empty message.
func encodeMessage(methods *requests.Methods, r *Request) ([]byte, error) {
	body := r.Body
	body = cmp.Or(body, "{}")
	return methods.Encode(r.Post, []byte(body))
}

// readMessages encodes the bodies of the routes to targets with descriptors.
func (x *Experiment) readMessages() (map[string][]byte, error) {
	messages := map[string][]byte{}
	known := map[string]*requests.Methods{}
	for i := range x.Load.Routes {
		route := &x.Load.Routes[i]
		target := route.To.Targets()[0] // the others have the same
		file := x.Targets[target].Protoset
		if file == "" {
			continue
		}
		var err error
		if known[file] == nil {
			if known[file], err = input.Parse(file, input.Descriptors, requests.ReadDescriptors); err != nil {
				return nil, fmt.Errorf("target %s: protoset: %w", target, err)
			}
		}
		message, err := encodeMessage(known[file], &route.Request)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", route.Name, err)
		}
		messages[route.Name] = []byte(wire.Literal(string(message))) // what looks like a placeholder is none
	}
	return messages, nil
}
