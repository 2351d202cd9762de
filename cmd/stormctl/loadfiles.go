package main

import (
	"bufio"
	"errors"
	"math"
	"os"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
)

const recordEvery = 100 * time.Millisecond

// recordFile is the file of --record. A nil one writes nothing.
type recordFile struct{ out *evidence.FrontWriter }

func createRecord(file string, routes []string, shards int) (*recordFile, error) {
	out, err := evidence.CreateFront(file, routes, shards, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	return &recordFile{out}, nil
}

func (f *recordFile) flush() {
	if f != nil {
		f.out.Flush(nil)
	}
}

func (f *recordFile) lost() uint64 {
	if f == nil {
		return 0
	}
	return f.out.Lost()
}

func (f *recordFile) close() error {
	if f == nil {
		return nil
	}
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
