package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestBlockReader(t *testing.T) {
	const date = "\x0f\x12\x03now"
	for _, tt := range []struct {
		name  string
		block string
		want  Block
		ok    bool
	}{
		{"indexed", "\x88" + date, Block{200, -1}, true},
		{"last indexed", "\x8e", Block{500, -1}, true},
		{"literal", "\x08\x03503", Block{503, -1}, true},
		{"literal never to be remembered", "\x18\x03503", Block{503, -1}, true},
		{"literal by another index of the name", "\x0e\x03503", Block{503, -1}, true},
		{"literal with its name", "\x00\x07:status\x03503", Block{503, -1}, true},
		{"literal by Huffman", "\x08" + huffman("201"), Block{201, -1}, true},
		{"name by Huffman", "\x00" + huffman(":status") + huffman("201"), Block{201, -1}, true},
		{"remembered", "\x48\x03999", Block{999, -1}, true},
		{"behind a change of the table", "\x20\x3f\x01\x88", Block{200, -1}, true},
		{"empty", "", Block{0, -1}, true},
		{"only a change of the table", "\x20", Block{0, -1}, true},
		{"trailers", date, Block{0, -1}, true},
		{"status is not first", date + "\x88", Block{0, -1}, true},
		{"status twice", "\x88\x8d", Block{200, -1}, true},
		{"another pseudo field", "\x82", Block{0, -1}, true},
		{"call", "\x88\x00\x0bgrpc-status\x0214", Block{200, 14}, true},
		{"call's trailers", "\x00\x0bgrpc-status\x010", Block{0, 0}, true},
		{"call's trailers in Huffman, remembered", "\x40" + huffman("grpc-status") + huffman("12"), Block{0, 12}, true},
		{"call's status is none", "\x00\x0bgrpc-status\x02-1", Block{0, -1}, true},
		{"call's status is too large", "\x00\x0bgrpc-status\x041000", Block{0, -1}, true},
		{"call's status is empty", "\x00\x0bgrpc-status\x00", Block{0, -1}, true},
		{"status is no number", "\x08\x032x0", Block{-1, -1}, true},
		{"status is too small", "\x08\x03099", Block{-1, -1}, true},
		{"status is too long", "\x08\x042000", Block{-1, -1}, true},
		{"status is empty", "\x08\x00", Block{-1, -1}, true},

		{"index 0", "\x80", Block{}, false},
		{"index out of range", "\xbe", Block{}, false},
		{"name out of range", "\x7e\x00", Block{}, false},
		{"index cut off", "\xff", Block{}, false},
		{"index without end", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Block{}, false},
		{"value cut off", "\x08\x0350", Block{}, false},
		{"value missing", "\x08", Block{}, false},
		{"name cut off", "\x00\x07:stat", Block{}, false},
		{"Huffman that is none", "\x08\x81\x00", Block{}, false},
		{"table too large", "\x3f\xe2\x1f\x88", Block{}, false}, // 31 + 0x62 + 0x1f·128 = 4097
		{"table too late", "\x88\x48\x03418\x20", Block{}, false},
		{"later field cut off", "\x88\x0f", Block{}, false},
	} {
		got, err := NewBlockReader().Read([]byte(tt.block), WantGRPCStatus)
		if tt.ok && (err != nil || got != tt.want) || !tt.ok && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v %v, want %v", tt.name, got, err, tt.want)
		}
		if got, err := NewBlockReader().Read([]byte(tt.block), 0); tt.ok && (err != nil || got != Block{tt.want.Status, -1}) {
			t.Errorf("%s, without grpc-status: got %v %v", tt.name, got, err)
		}
	}
}

// huffman is a string as HPACK has it, in Huffman code.
func huffman(s string) string {
	coded := hpack.AppendHuffmanString(nil, s)
	return string(append([]byte{0x80 | byte(len(coded))}, coded...))
}

// Whatever an encoder remembers and forgets, the statuses come out right, block
// after block on one connection.
func TestBlockReaderKeepsItsTable(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var buf bytes.Buffer
		enc := hpack.NewEncoder(&buf)
		r := NewBlockReader()
		for i := range 500 {
			buf.Reset()
			var fields []string
			if rng.IntN(20) == 0 {
				enc.SetMaxDynamicTableSize(uint32(rng.IntN(headerTable + 1)))
			}
			want := Block{Status: 100 + rng.IntN(900), GRPCStatus: -1}
			enc.WriteField(hpack.HeaderField{Name: ":status", Value: fmt.Sprint(want.Status), Sensitive: rng.IntN(2) == 0})
			for range rng.IntN(10) {
				f := hpack.HeaderField{Name: fmt.Sprint("x-", rng.IntN(30)), Value: fmt.Sprint(rng.IntN(100)), Sensitive: rng.IntN(3) == 0}
				enc.WriteField(f)
				fields = append(fields, f.Name+": "+f.Value)
			}
			wants := Want(rng.IntN(4))
			if wants&WantGRPCStatus != 0 {
				want.GRPCStatus = rng.IntN(17)
				fields = append(fields, fmt.Sprint("grpc-status: ", want.GRPCStatus))
				enc.WriteField(hpack.HeaderField{Name: "grpc-status", Value: fmt.Sprint(want.GRPCStatus), Sensitive: rng.IntN(3) == 0})
			}
			if got, err := r.Read(buf.Bytes(), wants); err != nil || got != want {
				t.Fatalf("seed %d, block %d: got %v %v, want %v", seed, i, got, err, want)
			}
			if wants&WantFields == 0 {
				fields = nil
			}
			if got := r.texts(); !slices.Equal(got, fields) {
				t.Fatalf("seed %d, block %d: got fields %q, want %q", seed, i, got, fields)
			}
		}
	}
}

// texts are the fields of the last block.
func (b *BlockReader) texts() (texts []string) {
	for _, f := range b.Fields() {
		texts = append(texts, string(f.Name)+": "+string(f.Value))
	}
	return texts
}

// A block of a few bytes can stand for fields without end: what is kept of it is
// bounded as a head over HTTP/1.1 is.
func TestBlockReaderBoundsFields(t *testing.T) {
	remembered := "\x40\x01x\x7f\xa1\x1e" + strings.Repeat("y", 4000) // 0x7f + 0x21 + 0x1e·128 = 4000
	for _, tt := range []struct {
		name, block string
		want        error
	}{
		{"as many as may be", "\x88" + strings.Repeat("\x90", MaxFields), nil}, // accept-encoding: gzip, deflate
		{"too many", "\x88" + strings.Repeat("\x90", MaxFields+1), ErrTooLarge},
		{"as long as may be", "\x88" + remembered + strings.Repeat("\xbe", 15), nil}, // 16 · 4001 = 64016
		{"too long", "\x88" + remembered + strings.Repeat("\xbe", 16), ErrTooLarge},
	} {
		if _, err := NewBlockReader().Read([]byte(tt.block), WantFields); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if _, err := NewBlockReader().Read([]byte(tt.block), 0); err != nil {
			t.Errorf("%s, not asked for: error %v", tt.name, err)
		}
	}
}

// FuzzBlockReader compares with all that hpack's decoder makes of the same
// blocks: each begins with its length.
func FuzzBlockReader(f *testing.F) {
	for _, seed := range []string{"\x01\x88", "\x05\x48\x03503\x01\xbe", "\x06\x08\x82\x10\x01\x01\x01", "\x0c\x40\x07:status\x03418\x01\xbe", "\x03\x20\x3f\x01\x01\x8d", "\x02\x0f\x12", "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := NewBlockReader(), hpack.NewDecoder(headerTable, nil)
		theirs.SetMaxStringLength(MaxHead)
		for len(data) > 0 {
			n := min(int(data[0]), len(data)-1)
			block := data[1 : 1+n]
			data = data[1+n:]
			fields, err := theirs.DecodeFull(block)
			got, ourErr := ours.Read(block, WantFields)
			if err != nil {
				// A string that is not wanted is not decoded, so a wrong one may pass.
				return
			}
			want := Block{GRPCStatus: -1}
			if len(fields) > 0 && fields[0].Name == ":status" {
				want.Status = statusOf(fields[0].Value)
			}
			if ourErr != nil && bytes.Contains(block, []byte{0x80, 0x80, 0x80}) {
				return // a number of needless length
			}
			if errors.Is(ourErr, ErrTooLarge) {
				return
			}
			if ourErr != nil || got != want {
				t.Fatalf("%x: got %v %v, want %v", block, got, ourErr, want)
			}
			var texts []string
			for _, f := range fields {
				if !f.IsPseudo() {
					texts = append(texts, f.Name+": "+f.Value)
				}
			}
			if got := ours.texts(); !slices.Equal(got, texts) {
				t.Fatalf("%x: got fields %q, want %q", block, got, texts)
			}
		}
	})
}
