package api

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// attributes are what a toxic of one type is told. They are decoded over what
// was told before, so that an update says only what changes, and encoded as
// the API answers them.
type attributes interface {
	// behave is what the relay is to do, to that share of connections or
	// exchanges; nil if it is nothing. An error says which attribute cannot be
	// meant.
	behave(share unit.Share) (toxic.Toxic, error)
}

// What follows are toxiproxy's types with toxiproxy's units, whole numbers of
// which 0 is what an absent one means.

type latency struct {
	Latency int64 `json:"latency"` // ms
	Jitter  int64 `json:"jitter"`  // ms, either way
}

func (a *latency) behave(share unit.Share) (toxic.Toxic, error) {
	return toxic.Latency{
		Delay: times(a.Latency, time.Millisecond), Jitter: times(a.Jitter, time.Millisecond), Select: toxic.Select{Share: share},
	}, notNegative("latency", a.Latency, "jitter", a.Jitter)
}

type bandwidth struct {
	Rate int64 `json:"rate"` // 1000 bytes a second; 0 lets nothing pass
}

func (a *bandwidth) behave(share unit.Share) (toxic.Toxic, error) {
	return toxic.Bandwidth{Rate: unit.Bandwidth(min(a.Rate, maxRate) * 1000), Select: toxic.Select{Share: share}},
		notNegative("rate", a.Rate)
}

type slowClose struct {
	Delay int64 `json:"delay"` // ms
}

func (a *slowClose) behave(share unit.Share) (toxic.Toxic, error) {
	return toxic.SlowClose{Delay: times(a.Delay, time.Millisecond), Select: toxic.Select{Share: share}}, notNegative("delay", a.Delay)
}

type timeout struct {
	Timeout int64 `json:"timeout"` // ms; 0 never closes
}

func (a *timeout) behave(share unit.Share) (toxic.Toxic, error) {
	return toxic.Timeout{After: times(a.Timeout, time.Millisecond), Select: toxic.Select{Share: share}}, notNegative("timeout", a.Timeout)
}

type resetPeer struct {
	Timeout int64 `json:"timeout"` // ms
}

func (a *resetPeer) behave(share unit.Share) (toxic.Toxic, error) {
	return toxic.ResetPeer{After: times(a.Timeout, time.Millisecond), Select: toxic.Select{Share: share}}, notNegative("timeout", a.Timeout)
}

type slicer struct {
	AverageSize   int64 `json:"average_size"`   // bytes
	SizeVariation int64 `json:"size_variation"` // bytes, either way
	Delay         int64 `json:"delay"`          // µs
}

func (a *slicer) behave(share unit.Share) (toxic.Toxic, error) {
	if a.AverageSize == 0 {
		return nil, badRequest("average_size must be at least 1: no data fits into slices of 0 bytes")
	}
	return toxic.Slicer{
		Size: int(min(a.AverageSize, maxSlice)), Variation: int(min(a.SizeVariation, a.AverageSize-1, maxSlice-1)),
		Delay: times(a.Delay, time.Microsecond), Select: toxic.Select{Share: share},
	}, notNegative("average_size", a.AverageSize, "size_variation", a.SizeVariation, "delay", a.Delay)
}

type limitData struct {
	Bytes int64 `json:"bytes"`
}

func (a *limitData) behave(share unit.Share) (toxic.Toxic, error) {
	return toxic.LimitData{Bytes: unit.Size(a.Bytes), Select: toxic.Select{Share: share}}, notNegative("bytes", a.Bytes)
}

type noop struct{}

func (*noop) behave(unit.Share) (toxic.Toxic, error) { return nil, nil }

// What attributes may ask for at most: no test waits longer, no machine
// sends more, and nothing is sent in larger pieces.
const (
	maxWait  = time.Hour
	maxRate  = 1e12 // 1000 bytes a second
	maxSlice = 1 << 30
)

func times(n int64, unit time.Duration) time.Duration {
	return time.Duration(min(n, int64(maxWait/unit))) * unit
}

// notNegative refuses the first number below zero. names and numbers alternate.
func notNegative(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if n := pairs[i+1].(int64); n < 0 {
			return badRequest("%s must not be negative: %d", pairs[i], n)
		}
	}
	return nil
}

// decodeAttributes reads attributes over what a has already. Absent ones and
// null leave it as it is.
func decodeAttributes(data json.RawMessage, a attributes) error {
	if len(data) == 0 || string(data) == "null" {
		return nil
	}
	err := json.Unmarshal(data, a)
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind.Field = strings.TrimSuffix("attributes."+kind.Field, ".")
	}
	if err != nil {
		return badBody(err)
	}
	return nil
}
