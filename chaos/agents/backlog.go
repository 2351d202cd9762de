package agents

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Samples are recorded one by one, which costs the coordinator some microseconds each,
// and counts of them are not. So what agents see is counted at once, and recorded while
// there is time to: all of it before the first fault, where the steady state is asked
// for, and at the end.

const (
	// recordShare is the part of a core that recording takes, for each agent, while the
	// load goes on.
	recordShare = 0.01
	// mostKept bounds the bytes of blocks in memory: others are fetched again from the
	// stream.
	mostKept = 16 << 20
	// fetchWithin is how long that may take.
	fetchWithin = 10 * time.Second
)

// A block is samples that are not recorded yet: where they are in a message.
type block struct {
	message  jetstream.Msg // nil has it in the stream alone
	at       uint64        // its place there
	from, to int           // of its bytes
}

func (b block) size() int { return b.to - b.from }

// keep keeps a block that has come, in memory or not.
func (k *collecting) keep(b block) block {
	if k.kept+b.size() > cmp.Or(k.mostKept, mostKept) {
		if meta, err := b.message.Metadata(); err == nil {
			b.message, b.at = nil, meta.Sequence.Stream
			return b
		}
	}
	k.kept += b.size()
	return b
}

// keepUp records what there is time for. Each second something comes, and it is called then.
func (k *collecting) keepUp() {
	agents := k.all()
	allowed := time.Duration(recordShare * float64(len(agents)) * float64(time.Since(k.begun)))
	left := true
	for left && k.spent < allowed {
		left = false
		began := time.Now()
		for _, a := range agents {
			if len(a.blocks) > 0 {
				left = true
				k.recordOrLose(a, 1)
			}
		}
		k.spent += time.Since(began)
	}
	behind := 0
	for _, a := range agents {
		behind += len(a.blocks)
	}
	k.seen.Unrecorded(behind > 0)
}

// catchUp records all that has come.
func (k *collecting) catchUp() {
	k.takeAll()
	for _, a := range k.all() {
		k.recordOrLose(a, len(a.blocks))
	}
}

func (k *collecting) recordOrLose(a *joined, blocks int) {
	if err := k.record(a, blocks); err != nil {
		k.lose(a, "what it handed over cannot be read: "+err.Error())
	}
}

// record records so many blocks of an agent, the oldest first. After an error it has none
// any more.
func (k *collecting) record(a *joined, blocks int) error {
	for range blocks {
		b := a.blocks[0]
		a.blocks = a.blocks[1:]
		data, err := k.bytesOf(b)
		if err == nil {
			err = k.recordBlock(a, data)
		}
		if err != nil {
			a.blocks = nil
			return err
		}
	}
	return nil
}

// bytesOf takes a block out of memory, or fetches it from the stream.
func (k *collecting) bytesOf(b block) ([]byte, error) {
	if b.message != nil {
		k.kept -= b.size()
		return b.message.Data()[b.from:b.to], nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchWithin)
	defer cancel()
	m, err := k.stream.GetMsg(ctx, b.at)
	if err != nil {
		return nil, fmt.Errorf("fetch it from the broker: %w", err)
	}
	if len(m.Data) < b.to {
		return nil, errFrame
	}
	return m.Data[b.from:b.to], nil
}

func (k *collecting) recordBlock(a *joined, data []byte) error {
	list, err := k.unpack.samples(data, k.steps)
	for _, s := range list {
		if s.Step == 0 {
			k.arrived.set(s.ID)
		}
		k.seen.Sample(a.shard, s)
	}
	return err
}
