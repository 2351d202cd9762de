package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stormctl/stormctl/load/input"
)

// What a file may say of a proxy, and of a toxic of it. A word that is none of
// these is a slip, and what it was meant for would never happen.
var (
	proxyKeys = []string{"name", "listen", "upstream", "enabled", "protocol", "ttl", "toxics"}
	toxicKeys = []string{"name", "type", "stream", "toxicity", "attributes", "ttl"}
)

// listKind is the kind of a file of proxies.
var listKind = input.Kind{Name: "a list of proxies", MaxSize: 1 << 20}

// Load makes the proxies that a file lists: toxiproxy's JSON, or the same in
// YAML. It returns how many there are. An error names the file and the line.
func (s *Server) Load(ctx context.Context, file string) (proxies int, err error) {
	data, err := input.Read(file, listKind)
	if err != nil {
		return 0, err
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.ops.Done()
	return s.loadList(ctx, file, data)
}

func (s *Server) loadList(ctx context.Context, file string, data []byte) (proxies int, err error) {
	list, err := readList(file, data)
	if err != nil {
		return 0, err
	}
	for i, entry := range list {
		at := func(err error) error { return fmt.Errorf("%s:%d: %w", file, entry.line, err) }
		if entry.in.Name != nil && slices.ContainsFunc(list[:i], func(e listed) bool { return *e.in.Name == *entry.in.Name }) {
			return 0, at(fmt.Errorf("proxy %s is given twice", *entry.in.Name))
		}
		if _, err := s.check(ctx, entry.in, ""); err != nil {
			return 0, at(err)
		}
	}
	for i, entry := range list {
		if _, err := s.populate(ctx, []proxyInput{entry.in}); err != nil {
			return i, fmt.Errorf("%s:%d: proxy %s: %w", file, entry.line, *entry.in.Name, asProblem(err))
		}
	}
	return len(list), nil
}

// listed is a proxy in a file.
type listed struct {
	in   proxyInput
	line int
}

// readList reads the file. JSON is YAML as well, as far as it goes here, so
// that both have lines.
func readList(file string, data []byte) (list []listed, err error) {
	wrong := func(n *yaml.Node, format string, args ...any) error {
		return fmt.Errorf("%s:%d:%d: %s", file, n.Line, n.Column, fmt.Sprintf(format, args...))
	}
	var document yaml.Node
	if json.Valid(data) {
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" ")) // indentation, where JSON has it; YAML would not
	}
	if err := yaml.Unmarshal(data, &document); err != nil {
		if at, ok := errors.AsType[*yaml.LoadError](err); ok {
			return nil, fmt.Errorf("%s:%d:%d: %s", file, max(at.Mark.Line, 1), max(at.Mark.Column, 1), at.Message)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("%s: it must be a list of proxies, like %s", file,
			`[{"name": "redis", "listen": "127.0.0.1:16379", "upstream": "127.0.0.1:6379"}]`)
	}
	for _, n := range document.Content[0].Content {
		if n.Kind != yaml.MappingNode {
			return nil, wrong(n, "a proxy must be a map with name, listen and upstream")
		}
		if key := unknownKey(n, proxyKeys); key != nil {
			return nil, wrong(key, "unknown key %q: a proxy has %s", key.Value, strings.Join(proxyKeys, ", "))
		}
		for _, t := range valuesOf(n, "toxics") {
			if key := unknownKey(t, toxicKeys); key != nil {
				return nil, wrong(key, "unknown key %q: a toxic has %s", key.Value, strings.Join(toxicKeys, ", "))
			}
		}
		var value any
		if err := n.Decode(&value); err != nil {
			return nil, wrong(n, "%v", err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, wrong(n, "%v", err)
		}
		entry := listed{line: n.Line}
		if err := json.Unmarshal(text, &entry.in); err != nil {
			return nil, wrong(n, "%s", strings.TrimPrefix(badBody(err).Text, badBodyPrefix))
		}
		list = append(list, entry)
	}
	return list, nil
}

// unknownKey is the first key of a map that is none of those; nil if n is no
// map.
func unknownKey(n *yaml.Node, known []string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(known, strings.ToLower(key.Value)) {
			return key
		}
	}
	return nil
}

// valuesOf is the entries of the list under a key.
func valuesOf(n *yaml.Node, key string) []*yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.EqualFold(n.Content[i].Value, key) {
			return n.Content[i+1].Content
		}
	}
	return nil
}
