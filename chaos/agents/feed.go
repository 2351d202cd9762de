package agents

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// What an agent hands over is a sequence of frames, numbered from 1, each of one kind.
//
//	s s c t   s s s c t   s c t   ...   s c d
//
// The samples of a block count once what it counted of them has come: an agent that is
// lost in between has no sample counted that nobody sees, and none seen that is not
// counted.
const (
	frameSamples = 's' // a block of samples, see packer
	frameCounts  = 'c' // what it counted of the samples since the last one: counts
	frameSecond  = 't' // what it knew of itself in a second: a second in JSON
	frameDone    = 'd' // the last one: done in JSON
)

// second is what an agent knew of itself at the end of one second of the run.
type second struct {
	At   evidence.Seconds `json:"at_s"` // as the run counts, negative in the warm-up
	Tick evidence.Tick    `json:"tick"` // its figures of harness and host
}

// done is what an agent came to.
type done struct {
	Samples uint64 `json:"samples"` // that it has handed over
	Lost    uint64 `json:"lost"`    // that it could not
	Why     string `json:"why"`     // why it ended before its time; "" if it did not
}

// appendSample appends a sample: numbers as varints, times from when it was due.
func appendSample(b []byte, s *load.Sample) []byte {
	b = binary.AppendUvarint(b, s.ID)
	b = binary.AppendUvarint(b, uint64(s.Route))
	b = binary.AppendUvarint(b, uint64(s.Step))
	b = binary.AppendVarint(b, int64(s.Intended))
	sent := int64(0) // of one that was not sent it is 0 whenever it was due
	if s.Outcome != load.Unsent {
		sent = int64(s.Sent - s.Intended)
	}
	b = binary.AppendVarint(b, sent)
	b = binary.AppendVarint(b, int64(s.Late))
	b = binary.AppendVarint(b, int64(s.Done-s.Intended))
	b = binary.AppendVarint(b, s.Received)
	b = binary.AppendUvarint(b, uint64(s.Status))
	outcome := uint64(s.Outcome) << 1
	if s.Skipped {
		outcome |= 1
	}
	return binary.AppendUvarint(b, outcome)
}

var errFrame = errors.New("it is not what an agent writes")

// readSample is the inverse of appendSample. Routes and steps are those of the plan:
// steps has how many each route has. What no agent of this plan can have written is an
// error.
func readSample(b []byte, steps []int) (s load.Sample, rest []byte, err error) {
	var fields [10]int64
	for i := range fields {
		var n int
		if i == 3 || i >= 4 && i <= 7 {
			fields[i], n = binary.Varint(b)
		} else {
			var v uint64
			v, n = binary.Uvarint(b)
			fields[i] = int64(v)
			if i > 0 && fields[i] < 0 { // an ID has all its bits
				return s, nil, errFrame
			}
		}
		if n <= 0 {
			return s, nil, errFrame
		}
		b = b[n:]
	}
	if fields[1] >= int64(len(steps)) || fields[2] > int64(steps[fields[1]]) || fields[8] > 999 || fields[9]>>1 >= int64(load.Outcomes) {
		return s, nil, errFrame
	}
	s = load.Sample{
		ID: uint64(fields[0]), Route: int(fields[1]), Step: int(fields[2]), Intended: time.Duration(fields[3]),
		Late: time.Duration(fields[5]),
		Done: time.Duration(fields[3] + fields[6]), Received: fields[7], Status: int(fields[8]), Outcome: load.Outcome(fields[9] >> 1),
		Skipped: fields[9]&1 == 1,
	}
	if s.Outcome != load.Unsent {
		s.Sent = time.Duration(fields[3] + fields[4])
	}
	return s, b, nil
}

// readSamples appends those of a frame, without its kind, to list.
func readSamples(list []load.Sample, b []byte, steps []int) (_ []load.Sample, err error) {
	for len(b) > 0 {
		var s load.Sample
		if s, b, err = readSample(b, steps); err != nil {
			return list, err
		}
		if list = append(list, s); len(list) > mostSamples {
			return list, errFrame
		}
	}
	return list, nil
}

// jsonFrame makes a frame of a kind that is in JSON.
func jsonFrame(kind byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("agents: %v", err)) // they are structs of ours
	}
	return append([]byte{kind}, text...)
}
