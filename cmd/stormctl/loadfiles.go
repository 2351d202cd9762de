package main

import (
	"bufio"
	"errors"
	"math"
	"os"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

const (
	recordEvery = 100 * time.Millisecond
	recordRing  = 16 // 2^16 samples per loop: over half a second at 100,000/s through one
)

// recordFile is the file of --record. A nil one writes nothing.
type recordFile struct {
	out   *evidence.FrontWriter
	rings []*load.Ring
	batch []load.Sample
}

func createRecord(file string, routes []string, shards int) (*recordFile, error) {
	out, err := evidence.CreateFront(file, routes, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	f := &recordFile{out: out}
	for range shards {
		f.rings = append(f.rings, load.NewRing(recordRing))
	}
	return f, nil
}

func (f *recordFile) flush() {
	if f == nil {
		return
	}
	f.batch = f.batch[:0]
	for _, r := range f.rings {
		f.batch = r.Drain(f.batch)
	}
	f.out.Write(f.batch)
}

func (f *recordFile) lost() uint64 {
	if f == nil {
		return 0
	}
	n := f.out.Lost()
	for _, r := range f.rings {
		n += r.Lost()
	}
	return n
}

func (f *recordFile) close() error {
	if f == nil {
		return nil
	}
	f.flush()
	return f.out.Close()
}

// hlogFile is the file of --hlog. A nil one writes nothing.
type hlogFile struct {
	file *os.File
	out  *bufio.Writer
	log  *hist.LogWriter
	err  error
}

func createHlog(name string, start time.Time) (*hlogFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriter(f)
	log, err := hist.NewLogWriter(out, start, "stormctl load")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &hlogFile{file: f, out: out, log: log}, nil
}

func (f *hlogFile) write(from, to time.Duration, times *hist.Set) {
	if f == nil || f.err != nil {
		return
	}
	f.err = f.log.Write(from, to, hist.Tagged{Tag: "response", Histogram: times.AllResponse()},
		hist.Tagged{Tag: "service", Histogram: times.AllService()}, hist.Tagged{Tag: "send_lag", Histogram: times.Lag})
	f.err = errors.Join(f.err, f.out.Flush())
}

func (f *hlogFile) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.err, f.file.Close())
}
