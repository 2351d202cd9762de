package api

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// protocols are those that a proxy may speak; tcp is the default.
var protocols = []string{tcp, toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC}

// tcp is bytes, whatever they mean; all others are exchanges.
const tcp = toxic.ProtocolTCP

// newAttributes is what a toxic of this type can be told on a proxy that speaks
// this protocol. Toxiproxy's types take toxiproxy's attributes, all others the
// keys that the fault has in an experiment file.
func newAttributes(protocol, typ string) (attributes, error) {
	if typ == "noop" {
		return &noop{}, nil
	}
	bytes, exchanges := connAttributes[typ], exchangeAttributes[typ]
	a := bytes
	if protocol != tcp {
		a = exchanges
	}
	switch {
	case a != nil:
		return a(), nil
	case exchanges != nil:
		return nil, badRequest("toxic type %s is for exchanges, and this proxy speaks %s: create it with \"protocol\": %q",
			typ, protocol, toxic.ProtocolHTTP1)
	case bytes != nil:
		return nil, badRequest("toxic type %s is for bytes, and this proxy speaks %s: create it without \"protocol\"", typ, protocol)
	default:
		return nil, errToxicType
	}
}

// connAttributes make those of types that work on bytes.
var connAttributes = map[string]func() attributes{
	"latency":      func() attributes { return &latency{} },
	"bandwidth":    func() attributes { return &bandwidth{} },
	"slow_close":   func() attributes { return &slowClose{} },
	"timeout":      func() attributes { return &timeout{} },
	"reset_peer":   func() attributes { return &resetPeer{} },
	"slicer":       func() attributes { return &slicer{} },
	"limit_data":   func() attributes { return &limitData{} },
	"down":         keysOf[toxic.Down],
	"slow_connect": keysOf[toxic.SlowConnect],
	"partition":    keysOf[toxic.Partition],
	"half_open":    keysOf[toxic.HalfOpen],
	"flap":         keysOf[toxic.Flap],
}

// exchangeAttributes make those of types that work on exchanges.
var exchangeAttributes = map[string]func() attributes{
	"latency":       func() attributes { return newKeys[toxic.Latency]("latency", "delay", "jitter", "jitter") },
	"errors":        keysOf[toxic.Errors],
	"reset":         keysOf[toxic.Reset],
	"partition":     keysOf[toxic.Partition],
	"hang":          keysOf[toxic.Hang],
	"drop_response": keysOf[toxic.DropResponse],
	"truncate":      keysOf[toxic.Truncate],
	"corrupt":       keysOf[toxic.Corrupt],
	"slow_body":     keysOf[toxic.SlowBody],
	"duplicate":     keysOf[toxic.Duplicate],
}

func keysOf[T toxic.Toxic]() attributes { return newKeys[T]() }

// keys are the keys of a fault as an experiment file has them, kept as they
// were sent.
type keys struct {
	sent   map[string]json.RawMessage
	millis map[string]string // keys that may come as whole milliseconds, as toxiproxy has them, and what they are then
	read   func(text []byte) (toxic.Toxic, error)
}

// newKeys is for the fault T. millis are pairs: the key that toxiproxy has for
// a whole number of milliseconds, and ours.
func newKeys[T toxic.Toxic](millis ...string) *keys {
	k := &keys{sent: map[string]json.RawMessage{}, millis: map[string]string{}}
	k.read = func(text []byte) (toxic.Toxic, error) {
		var fault T // not a pointer to it: the relay knows some by their type
		err := strict.Read(strict.Subject{Name: "a fault"}, "attributes", text, nil, &fault).Err()
		return fault, err
	}
	for i := 0; i < len(millis); i += 2 {
		k.millis[millis[i]] = millis[i+1]
	}
	return k
}

// UnmarshalJSON takes keys over those that are there; one that is null goes.
func (k *keys) UnmarshalJSON(data []byte) error {
	var update map[string]json.RawMessage
	if err := json.Unmarshal(data, &update); err != nil {
		return err
	}
	sent := maps.Clone(k.sent)
	for key, value := range update {
		if string(value) == "null" {
			delete(sent, key)
		} else {
			sent[key] = value
		}
	}
	k.sent = sent
	return nil
}

// MarshalJSON is what was sent.
func (k *keys) MarshalJSON() ([]byte, error) { return json.Marshal(k.sent) }

func (k *keys) behave(share unit.Share) (toxic.Toxic, error) {
	told := map[string]json.RawMessage{}
	for key, value := range k.sent {
		n, err := strconv.ParseInt(string(value), 10, 64)
		if ours, ok := k.millis[key]; ok && err == nil {
			key, value = ours, quoted(strconv.FormatInt(n, 10)+"ms")
		}
		if _, twice := told[key]; twice {
			return nil, badRequest("%s is given twice", key)
		}
		told[key] = value
	}
	if _, given := told["share"]; share < 1 {
		if given {
			return nil, badRequest("share and toxicity are the same thing: give one of them")
		}
		told["share"] = quoted(share.String())
	}
	text, err := json.Marshal(told)
	if err != nil {
		return nil, err
	}
	fault, err := k.read(text)
	if err != nil {
		return nil, badRequest("%s", problemsOf(err))
	}
	if l, ok := fault.(toxic.Latency); ok && l.Recorded != "" {
		return nil, badRequest("recorded is for experiment files: the API reads no files of this machine")
	}
	return fault, nil
}

func quoted(text string) json.RawMessage { return json.RawMessage(strconv.Quote(text)) }

// problemsOf is what is wrong with attributes, without their positions: the
// text that they are in is generated.
func problemsOf(err error) string {
	var all strict.Errors
	if !errors.As(err, &all) {
		return err.Error()
	}
	var texts []string
	for _, e := range all {
		text := e.Problem
		if e.Hint != "" {
			text += ": " + e.Hint
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}
