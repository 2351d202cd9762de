package strict

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// set changes the nodes as one --set KEY=VALUE says, before they are decoded: a
// value that is given on the command line is read, and refused, exactly like
// one in the file. KEY is a path. Maps on the way are made if they are not
// there; entries of lists must be. A VALUE that begins with [ { " or ' is
// read as YAML, any other is taken as it stands.
func (d *Doc) set(assignment string) {
	flag := "--set " + assignment
	fail := func(problem, hint string) {
		d.add(&Error{File: flag, Problem: problem, Hint: hint})
	}
	steps, rest, err := cutPath(assignment)
	if err != nil {
		fail(err.Error(), d.subject.Set)
		return
	}
	text, ok := strings.CutPrefix(rest, "=")
	if !ok {
		fail("has no value", d.subject.Set)
		return
	}
	value, err := flagValue(text)
	if err != nil {
		_, _, problem, hint := syntax(err, strings.Split(text, "\n"))
		fail("the value: "+problem, hint)
		return
	}
	d.own(value, flag)

	path, at := Path(""), &d.root
	for _, step := range steps {
		if *at, err = unshare(*at); err != nil {
			fail(err.Error(), "change the file instead")
			return
		}
		n := *at
		switch {
		case step.index >= 0 && n.Kind != yaml.SequenceNode:
			fail(fmt.Sprintf("%s is %s, not a list", path, kindName(n)), "")
			return
		case step.index >= len(n.Content) && step.index >= 0:
			fail(fmt.Sprintf("%s has no entry %d", path, step.index), fmt.Sprintf("it has %d, counted from 0", len(n.Content)))
			return
		case step.index >= 0:
			at = &n.Content[step.index]
		case n.Kind != yaml.MappingNode && path == "":
			fail("the file holds no map", d.subject.Map)
			return
		case n.Kind != yaml.MappingNode:
			fail(fmt.Sprintf("%s is %s, not a map", path, kindName(n)), "")
			return
		default:
			at = d.entry(n, step.key, flag)
		}
		path = step.after(path)
	}
	*at = value
}

// entry finds the value of a key in a map, and makes an empty map there if the
// key is new.
func (d *Doc) entry(n *yaml.Node, name, flag string) **yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == name {
			return &n.Content[i+1]
		}
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
	value := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	d.flags[key], d.flags[value] = flag, flag
	n.Content = append(n.Content, key, value)
	return &n.Content[len(n.Content)-1]
}

// own notes that a value and all in it came from a flag.
func (d *Doc) own(n *yaml.Node, flag string) {
	if n == nil || d.flags[n] == flag {
		return
	}
	d.flags[n] = flag
	for _, inner := range n.Content {
		d.own(inner, flag)
	}
	d.own(n.Alias, flag)
}

// flagValue reads the VALUE of a flag.
func flagValue(text string) (*yaml.Node, error) {
	if text == "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle}, nil
	}
	if !strings.ContainsRune("[{\"'", rune(text[0])) {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: text}, nil
	}
	var document yaml.Node
	if err := yaml.Load([]byte(text), &document); err != nil {
		return nil, err
	}
	return document.Content[0], nil
}

// unshare returns what may be changed at a place without changing another: of
// an alias, a copy of what it stands for. Aliases within the copy stay what
// they are until the path leads through them.
func unshare(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind != yaml.AliasNode {
		return n, nil
	}
	return clone(n.Alias, new(int))
}

func clone(n *yaml.Node, count *int) (*yaml.Node, error) {
	if *count++; *count > maxAliased {
		return nil, fmt.Errorf("an alias on the way stands for more than %d values", maxAliased)
	}
	c := *n
	c.Anchor = ""
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, inner := range n.Content {
		var err error
		if c.Content[i], err = clone(inner, count); err != nil {
			return nil, err
		}
	}
	return &c, nil
}
