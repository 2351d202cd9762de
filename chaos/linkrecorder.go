//go:build unix

package chaos

import (
	"sync"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
)

// linkRecorder collects the exchanges of one link.
type linkRecorder struct {
	mu    sync.Mutex // held for an append or a swap
	batch []evidence.Exchange
	spare []evidence.Exchange

	file   *evidence.ExchangeWriter
	hist   *hist.Histogram
	log    *hist.LogFile
	errors uint64 // since the last tick
	busy   func() int
	peak   func() int
	unread func() (connections uint64, first string)

	connections bool // its records are of connections, not exchanges
}

// exchange returns what a link's relay calls for every exchange. Those of the
// warm-up are left out as its requests are, and so are late retries of them:
// evidence of the one without the other would be of a call that nobody made. Of
// connections none is left out: those from before are there still.
func (rec *recorder) exchange(link string) func(evidence.Exchange) {
	l := rec.links[link]
	return func(x evidence.Exchange) {
		if x.Begin < 0 && !l.connections || x.ID > 0 && x.ID <= rec.warmed {
			return
		}
		l.mu.Lock()
		l.batch = append(l.batch, x)
		l.mu.Unlock()
	}
}

// flush returns what it wrote, which holds until the next one.
func (l *linkRecorder) flush() []evidence.Exchange {
	l.mu.Lock()
	batch := l.batch
	l.batch = l.spare[:0]
	l.mu.Unlock()
	l.file.Write(batch)
	for i := range batch {
		l.hist.Record(batch[i].Duration())
		if batch[i].Status == 0 || batch[i].Status >= 500 {
			l.errors++
		}
	}
	l.spare = batch
	return batch
}

// lost is how many records could not be kept so far.
func (rec *recorder) lost() uint64 {
	lost := rec.samples.Lost()
	if rec.values != nil {
		lost += rec.values.Lost()
	}
	for _, l := range rec.links {
		lost += l.file.Lost()
	}
	return lost
}
