package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// raw is a frame made by hand.
func raw(t FrameType, flags uint8, stream uint32, payload string) string {
	return string(appendFrameHead(nil, len(payload), t, flags, stream)) + payload
}

func word(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// told is what a FrameReader tells of some bytes, in text: DATA of one frame put
// together, however it was cut.
type told struct {
	Frames []string
	Size   int // of all that was told
	Err    string
	err    error
}

// readFrames gives data to a FrameReader in pieces that end at cuts. What it
// keeps of a piece must be its own: each is wiped once it is read.
func readFrames(data []byte, cuts ...int) (got told) {
	var r FrameReader
	flow, open, body := 0, false, ""
	from := 0
	for _, to := range append(cuts, len(data)) {
		piece := bytes.Clone(data[from:to])
		from = to
		for p := piece; len(p) > 0; {
			n, ok, err := r.Next(p)
			if err != nil {
				got.Err, got.err = err.Error(), err
				if _, _, again := r.Next([]byte("more")); again != err {
					panic("the error does not stay")
				}
				return got
			}
			if p = p[n:]; !ok {
				if len(p) > 0 {
					panic("neither a frame nor all taken")
				}
				break
			}
			f := &r.Frame
			got.Size += f.Size
			if f.Type == FrameData {
				if !open {
					got.Frames, flow, body = append(got.Frames, ""), 0, ""
				}
				flow, open, body = flow+f.Flow, r.have > 0, body+string(f.Payload)
				got.Frames[len(got.Frames)-1] = fmt.Sprintf("data on %d: %d of %d, %q, end %t", f.Stream, flow, r.length, body, f.End)
				continue
			}
			got.Frames = append(got.Frames, fmt.Sprintf("%d on %d: %q, end %t, ack %t", f.Type, f.Stream, f.Payload, f.End, f.Ack))
		}
		clear(piece)
	}
	return got
}

func TestFrameReader(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       []string
	}{
		{"settings", raw(FrameSettings, 0, 0, "") + raw(FrameSettings, 0, 0, "123456") + raw(FrameSettings, 1, 0, ""), []string{`4 on 0: "", end false, ack false`, `4 on 0: "123456", end false, ack false`, `4 on 0: "", end false, ack true`}},
		{"data", raw(FrameData, 0, 1, "abc") + raw(FrameData, 1, 3, "") + raw(FrameData, 9, 5, "\x02ab\x00\x00"), []string{`data on 1: 3 of 3, "abc", end false`, `data on 3: 0 of 0, "", end true`, `data on 5: 5 of 5, "ab", end true`}},
		{"data that is all padding", raw(FrameData, 8, 1, "\x03\x00\x00\x00") + raw(FrameData, 8, 1, "\x00"), []string{`data on 1: 4 of 4, "", end false`, `data on 1: 1 of 1, "", end false`}},
		{"head", raw(FrameHeaders, 5, 1, "block"), []string{`1 on 1: "block", end true, ack false`}},
		{"head in padding with priority", raw(FrameHeaders, 0x2c, 1, "\x03"+"\x00\x00\x00\x07\x10"+"block"+"\x00\x00\x00"), []string{`1 on 1: "block", end false, ack false`}},
		{"nothing but padding", raw(FrameHeaders, 0xc, 1, "\x01\x00"), []string{`1 on 1: "", end false, ack false`}},
		{"continued", raw(FrameHeaders, 9, 1, "\x01bl\x00") + raw(frameContinuation, 0, 1, "") + raw(frameContinuation, 4, 1, "ock"), []string{`1 on 1: "block", end true, ack false`}},
		{"the reserved bit is nobody's", raw(FrameHeaders, 4, 1<<31|1, "block"), []string{`1 on 1: "block", end false, ack false`}},
		{"others", raw(FrameReset, 0, 1, word(8)) + raw(FramePing, 1, 0, "12345678") + raw(FrameGoAway, 0, 0, word(1)+word(2)+"why") + raw(FrameWindowUpdate, 0, 7, word(9)), []string{
			`3 on 1: "\x00\x00\x00\b", end false, ack false`, `6 on 0: "12345678", end false, ack true`, `7 on 0: "\x00\x00\x00\x01\x00\x00\x00\x02why", end false, ack false`, `8 on 7: "\x00\x00\x00\t", end false, ack false`}},
		{"of no interest", raw(10, 0xff, 0, "") + raw(200, 0xff, 9, "what") + raw(FramePriority, 0, 1, "12345"), nil},
		{"as large as may be", raw(FrameHeaders, 4, 1, strings.Repeat("x", MaxFrame)), []string{fmt.Sprintf("1 on 1: %q, end false, ack false", strings.Repeat("x", MaxFrame))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(tt.data)
			whole := readFrames(data)
			if diff := cmp.Diff(tt.want, whole.Frames); diff != "" || whole.Err != "" || tt.want != nil && whole.Size != len(data) {
				t.Errorf("%d bytes told of %d, error %q: %s", whole.Size, len(data), whole.Err, diff)
			}
			var each []int
			for i := range min(len(data), 1000) {
				if got := readFrames(data, i); !cmp.Equal(got.Frames, whole.Frames) || got.Size != whole.Size {
					t.Errorf("cut at %d: %q, %d bytes", i, got.Frames, got.Size)
				}
				each = append(each, i)
			}
			if got := readFrames(data, each...); !cmp.Equal(got.Frames, whole.Frames) || got.Size != whole.Size {
				t.Errorf("byte by byte: %q, %d bytes", got.Frames, got.Size)
			}
		})
	}
}

func TestFrameReaderRefuses(t *testing.T) {
	large := func(t FrameType) string { return string(appendFrameHead(nil, MaxFrame+1, t, 0, 1)) }
	part := raw(frameContinuation, 0, 1, strings.Repeat("x", MaxFrame))
	for _, tt := range []struct {
		name, data string
		want       error
	}{
		{"large data", large(FrameData), ErrMalformed},
		{"large unknown", large(99), ErrMalformed},
		{"large block", raw(FrameHeaders, 0, 1, "") + strings.Repeat(part, 64), ErrTooLarge},                                              // 64·(9 + 16384) + 9 > 1048576
		{"endless block of nothing", raw(FrameHeaders, 0, 1, "") + strings.Repeat(raw(frameContinuation, 0, 1, ""), 116508), ErrTooLarge}, // 116509·9 = 1048581
		{"data on the connection", raw(FrameData, 0, 0, "x"), ErrMalformed},
		{"head on the connection", raw(FrameHeaders, 4, 0, "x"), ErrMalformed},
		{"reset of the connection", raw(FrameReset, 0, 0, "1234"), ErrMalformed},
		{"priority of the connection", raw(FramePriority, 0, 0, "12345"), ErrMalformed},
		{"settings of a stream", raw(FrameSettings, 0, 1, ""), ErrMalformed},
		{"ping on a stream", raw(FramePing, 0, 1, "12345678"), ErrMalformed},
		{"stream goes away", raw(FrameGoAway, 0, 1, "12345678"), ErrMalformed},
		{"reset short", raw(FrameReset, 0, 1, "123"), ErrMalformed},
		{"reset long", raw(FrameReset, 0, 1, "12345"), ErrMalformed},
		{"priority short", raw(FramePriority, 0, 1, "1234"), ErrMalformed},
		{"settings cut off", raw(FrameSettings, 0, 0, "1234567"), ErrMalformed},
		{"ack with settings", raw(FrameSettings, 1, 0, "123456"), ErrMalformed},
		{"ping long", raw(FramePing, 0, 0, "123456789"), ErrMalformed},
		{"goes away short", raw(FrameGoAway, 0, 0, "1234567"), ErrMalformed},
		{"window short", raw(FrameWindowUpdate, 0, 0, "123"), ErrMalformed},
		{"window by nothing", raw(FrameWindowUpdate, 0, 0, word(1<<31)), ErrMalformed}, // the highest bit does not count
		{"push", raw(framePushPromise, 4, 1, word(2)), ErrMalformed},
		{"data without its padding's length", raw(FrameData, 8, 1, ""), ErrMalformed},
		{"data all padding and more", raw(FrameData, 8, 1, "\x01"), ErrMalformed},
		{"head without its padding's length", raw(FrameHeaders, 12, 1, ""), ErrMalformed},
		{"head all padding and more", raw(FrameHeaders, 12, 1, "\x02x"), ErrMalformed},
		{"head without its priority", raw(FrameHeaders, 0x24, 1, "1234"), ErrMalformed},
		{"head padded into its priority", raw(FrameHeaders, 0x2c, 1, "\x0112345"), ErrMalformed},
		{"continues nothing", raw(frameContinuation, 4, 1, "x"), ErrMalformed},
		{"continued on another stream", raw(FrameHeaders, 0, 1, "x") + raw(frameContinuation, 4, 3, "x"), ErrMalformed},
		{"not continued", raw(FrameHeaders, 0, 1, "x") + raw(FramePing, 0, 0, "12345678"), ErrMalformed},
		{"not continued, but unknown", raw(FrameHeaders, 0, 1, "x") + raw(99, 0, 1, ""), ErrMalformed},
		{"continued twice", raw(FrameHeaders, 0, 1, "x") + raw(frameContinuation, 4, 1, "x") + raw(frameContinuation, 4, 1, "x"), ErrMalformed},
	} {
		if got := readFrames([]byte(tt.data)); !errors.Is(got.err, tt.want) {
			t.Errorf("%s: %q, error %v; want %v", tt.name, got.Frames, got.err, tt.want)
		}
	}
}

func TestSettings(t *testing.T) {
	of := func(pairs ...uint32) []byte {
		var p []byte
		for i := 0; i < len(pairs); i += 2 {
			p = appendSetting(p, uint16(pairs[i]), pairs[i+1])
		}
		return p
	}
	for _, tt := range []struct {
		payload []byte
		want    Settings
		ok      bool
	}{
		{nil, Settings{MaxStream, 65535, false}, true},
		{of(1, 9, 2, 0, 3, 7, 4, 0, 5, 1<<14, 6, 1, 99, 1), Settings{7, 0, true}, true},
		{of(3, 1<<32-1, 4, 1<<31-1, 5, 1<<24-1), Settings{MaxStream, 1<<31 - 1, false}, true},
		{of(3, 1, 3, 2), Settings{2, 65535, false}, true}, // the last one counts
		{of(1, 4096, 1, 8192), Settings{MaxStream, 65535, false}, true},
		{of(1, 4095, 1, 4096), Settings{MaxStream, 65535, true}, true}, // the smallest must be told of: RFC 7541 section 4.2
		{of(2, 1), Settings{}, false},
		{of(4, 1<<31), Settings{}, false},
		{of(5, 1<<14-1), Settings{}, false},
		{of(5, 1<<24), Settings{}, false},
	} {
		got := DefaultSettings()
		err := got.Update(tt.payload)
		if tt.ok && (err != nil || got != tt.want) || !tt.ok && !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: got %v %v, want %v", tt.payload, got, err, tt.want)
		}
	}
}

// However bytes are cut into reads, the frames are the same, none is told of
// that is not there, and nothing panics.
func FuzzFrameReader(f *testing.F) {
	head, more := raw(FrameHeaders, 0, 1, "bl"), raw(frameContinuation, 4, 1, "ock")
	for _, seed := range []string{
		"", "HTTP/1.1 400 Bad Request\r\n\r\n",
		raw(FrameSettings, 0, 0, "\x00\x03\x00\x00\x00\x64") + raw(FrameHeaders, 5, 1, "\x88"),
		raw(FrameHeaders, 0x2d, 1, "\x0112345\x88\x00") + raw(FrameData, 9, 1, "\x01x\x00"),
		head + more, head + head, head + raw(FramePing, 0, 0, "12345678"), head + raw(frameContinuation, 4, 3, ""), more,
		raw(FrameReset, 0, 1, word(8)) + raw(FrameGoAway, 0, 0, "12345678bye") + raw(FrameWindowUpdate, 0, 0, word(1)),
		raw(FrameData, 0, 1, "") + raw(FrameData, 1, 1, strings.Repeat("x", 300)), raw(framePushPromise, 4, 1, word(2)),
		raw(77, 1, 9, "what") + raw(FramePriority, 0, 1, "12345"), string(appendFrameHead(nil, MaxFrame+1, 0, 0, 1)),
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(9))
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole := readFrames(data)
		if whole.Size > len(data) {
			t.Errorf("%d bytes were told of, but there are %d", whole.Size, len(data))
		}
		var cuts []int
		for i := int(step); step > 0 && i < len(data); i += int(step) {
			cuts = append(cuts, i)
		}
		pieces := readFrames(data, cuts...)
		if whole.err == nil && pieces.err == nil && len(whole.Frames) == len(pieces.Frames) || whole.Err == pieces.Err {
			if diff := cmp.Diff(whole.Frames, pieces.Frames); diff != "" && whole.err == nil {
				t.Errorf("every %d bytes: %s", step, diff)
			}
			return
		}
		t.Errorf("every %d bytes: error %q, want %q", step, pieces.Err, whole.Err)
	})
}
