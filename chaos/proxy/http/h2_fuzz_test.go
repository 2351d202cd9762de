package http

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// drain is a connection that takes everything.
type drain struct {
	net.Conn
	took bytes.Buffer
}

func (d *drain) Write(p []byte) (int, error)         { return d.took.Write(p) }
func (*drain) Close() error                          { return nil }
func (*drain) CloseWrite() error                     { return nil }
func (*drain) SetLinger(int) error                   { return nil }
func (*drain) SetReadDeadline(time.Time) error       { return nil }
func (*drain) SetWriteDeadline(time.Time) error      { return nil }
func (*drain) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// turn is a reader that waits for its turn, and says when it is over.
type turn struct {
	io.Reader
	begin, end <-chan struct{}
	over       func()
}

func (r *turn) Read(p []byte) (int, error) {
	<-r.begin
	n, err := r.Reader.Read(p)
	if err != nil {
		r.over()
		<-r.end
	}
	return n, err
}

// FuzzMux lets both peers say anything, under any toxic. Every exchange is told
// once, nothing hangs, and what goes out are frames and header blocks.
func FuzzMux(f *testing.F) {
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	framer.AllowIllegalWrites = true
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	written := func(write func(head func(id uint32, end bool, fields ...string))) []byte {
		out.Reset()
		write(func(id uint32, end bool, fields ...string) {
			block.Reset()
			for i := 0; i < len(fields); i += 2 {
				_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
			}
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: end, EndHeaders: true})
		})
		return bytes.Clone(out.Bytes())
	}
	caller := written(func(head func(uint32, bool, ...string)) {
		_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5})
		head(1, false, ":method", "POST", ":path", "/a?b", "content-type", "application/grpc")
		_ = framer.WriteData(1, false, []byte("\x00\x00\x00\x00\x01x"))
		head(3, true, ":method", "HEAD", ":path", "/")
		head(1, true, "sum", "x")
		head(5, false, ":method", "GET", ":path", "/", "expect", "100-continue")
		_ = framer.WriteDataPadded(5, true, []byte("y"), []byte{0, 0})
		_ = framer.WritePing(false, [8]byte{1})
		_ = framer.WriteWindowUpdate(0, 100)
		_ = framer.WriteWindowUpdate(1, 100)
		_ = framer.WriteRSTStream(3, http2.ErrCodeCancel)
		_ = framer.WriteGoAway(0, 0, []byte("x"))
	})
	encoder = hpack.NewEncoder(&block)
	up := written(func(head func(uint32, bool, ...string)) {
		_ = framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		head(1, false, ":status", "103")
		head(1, false, ":status", "200", "content-length", "10")
		_ = framer.WriteData(1, false, []byte("0123456789"))
		head(1, true, "grpc-status", "5")
		head(3, true, ":status", "204", "retry-after", "1")
		_ = framer.WriteGoAway(3, 0, nil)
		_ = framer.WriteRSTStream(5, http2.ErrCodeNo)
	})
	toxics := []toxic.Toxic{
		nil, toxic.Errors{Status: toxic.Statuses{503}, Body: "no", Select: toxic.All}, toxic.Reset{Select: toxic.All}, toxic.Reset{When: "during", Select: toxic.All},
		toxic.Reset{When: "after", Connection: true, Select: toxic.All}, toxic.Truncate{After: 3, Select: toxic.All}, toxic.Corrupt{Bytes: 0.5, Select: toxic.All},
		toxic.Corrupt{Bytes: 0.5, On: "request", Select: toxic.All}, toxic.SlowBody{Piece: 4, Pause: time.Microsecond, Select: toxic.All}, toxic.Duplicate{Select: toxic.All},
		toxic.DropResponse{Then: "reset", Select: toxic.All}, toxic.DropResponse{Select: toxic.All}, toxic.Latency{Delay: time.Microsecond, Select: toxic.All},
		toxic.Partition{Select: toxic.All}, toxic.Hang{Select: toxic.All}, toxic.Reset{Connection: true, Select: toxic.All}, toxic.Reset{When: "after", Select: toxic.All},
	}
	for i := range toxics {
		f.Add(caller, up, uint8(i))
	}
	f.Fuzz(func(t *testing.T, caller, up []byte, pick uint8) {
		defer time.AfterFunc(wiretest.Patience, func() { panic("it hangs") }).Stop()
		r := &Relay{config: Config{Protocol: toxic.ProtocolGRPC}, conns: map[connection]struct{}{}}
		list := []*active{}
		if tx, ok := toxics[int(pick)%len(toxics)].(toxic.ExchangeToxic); ok {
			list = append(list, newActive(tx, &link.Mark{}, 0))
		}
		r.life.Start()
		r.toxics.Store(&list)
		var mu sync.Mutex
		told := map[uint64]int{}
		r.Record(time.Now(), func(x evidence.Exchange) {
			mu.Lock()
			defer mu.Unlock()
			told[x.Seq]++
		})
		toCaller, toUp := &drain{}, &drain{}
		m := newH2Conn(r, 1, toCaller)
		m.up.conn, m.cancel = toUp, func() {}

		begun, fed, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		close(begun)
		feed := sync.OnceFunc(func() { close(fed) })
		var wg, readers sync.WaitGroup
		wg.Go(func() { m.write(&m.caller) })
		wg.Go(func() { m.write(&m.up) })
		readers.Go(func() {
			m.read(&m.caller, &turn{bytes.NewReader(caller), begun, done, feed}, m.fromCaller)
			feed()
		})
		readers.Go(func() {
			m.read(&m.up, &turn{bytes.NewReader(up), fed, begun, func() {}}, m.fromDependency)
			close(done)
		})
		readers.Wait()
		m.shut(false)
		wg.Wait()
		r.life.WG.Wait()

		if n := r.InFlight(); n != 0 {
			t.Errorf("%d exchanges in flight at the end", n)
		}
		mu.Lock()
		defer mu.Unlock()
		if seq := r.Began(); uint64(len(told)) != seq {
			t.Errorf("told of %d exchanges, there were %d", len(told), seq)
		}
		for seq, n := range told {
			if n != 1 {
				t.Errorf("told %d times of exchange %d", n, seq)
			}
		}
		for _, side := range []*drain{toCaller, toUp} {
			framer := http2.NewFramer(io.Discard, &side.took)
			framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			framer.MaxHeaderListSize = 4 * maxList
			for {
				if _, err := framer.ReadFrame(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("what goes out is not HTTP/2: %v", err)
				}
			}
		}
	})
}
