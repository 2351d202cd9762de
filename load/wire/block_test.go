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
		{"indexed", "\x88" + date, Block{Status: 200, GRPCStatus: -1, Length: -1}, true},
		{"last indexed", "\x8e", Block{Status: 500, GRPCStatus: -1, Length: -1}, true},
		{"literal", "\x08\x03503", Block{Status: 503, GRPCStatus: -1, Length: -1}, true},
		{"literal never to be remembered", "\x18\x03503", Block{Status: 503, GRPCStatus: -1, Length: -1}, true},
		{"literal by another index of the name", "\x0e\x03503", Block{Status: 503, GRPCStatus: -1, Length: -1}, true},
		{"literal with its name", "\x00\x07:status\x03503", Block{Status: 503, GRPCStatus: -1, Length: -1}, true},
		{"literal by Huffman", "\x08" + huffman("201"), Block{Status: 201, GRPCStatus: -1, Length: -1}, true},
		{"name by Huffman", "\x00" + huffman(":status") + huffman("201"), Block{Status: 201, GRPCStatus: -1, Length: -1}, true},
		{"remembered", "\x48\x03999", Block{Status: 999, GRPCStatus: -1, Length: -1}, true},
		{"behind a change of the table", "\x20\x3f\x01\x88", Block{Status: 200, GRPCStatus: -1, Length: -1}, true},
		{"empty", "", Block{Status: 0, GRPCStatus: -1, Length: -1}, true},
		{"only a change of the table", "\x20", Block{Status: 0, GRPCStatus: -1, Length: -1}, true},
		{"trailers", date, Block{Status: 0, GRPCStatus: -1, Length: -1}, true},
		{"length", "\x88\x0f\x0d\x0212", Block{Status: 200, GRPCStatus: -1, Length: 12}, true},
		{"length twice the same", "\x88\x0f\x0d\x0212\x0f\x0d\x0212", Block{Status: 200, GRPCStatus: -1, Length: 12}, true},
		{"call", "\x88\x00\x0bgrpc-status\x0214", Block{Status: 200, GRPCStatus: 14, Length: -1}, true},
		{"call's trailers", "\x00\x0bgrpc-status\x010", Block{Status: 0, GRPCStatus: 0, Length: -1}, true},
		{"call's trailers in Huffman, remembered", "\x40" + huffman("grpc-status") + huffman("12"), Block{Status: 0, GRPCStatus: 12, Length: -1}, true},
		{"call's status is none", "\x00\x0bgrpc-status\x02-1", Block{Status: 0, GRPCStatus: -1, Length: -1}, true},
		{"call's status is too large", "\x00\x0bgrpc-status\x041000", Block{Status: 0, GRPCStatus: -1, Length: -1}, true},
		{"call's status is empty", "\x00\x0bgrpc-status\x00", Block{Status: 0, GRPCStatus: -1, Length: -1}, true},
		{"status is no number", "\x08\x032x0", Block{Status: -1, GRPCStatus: -1, Length: -1}, true},
		{"status is too small", "\x08\x03099", Block{Status: -1, GRPCStatus: -1, Length: -1}, true},
		{"status is too long", "\x08\x042000", Block{Status: -1, GRPCStatus: -1, Length: -1}, true},
		{"status is empty", "\x08\x00", Block{Status: -1, GRPCStatus: -1, Length: -1}, true},

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
		if got, err := NewBlockReader().Read([]byte(tt.block), 0); tt.ok && (err != nil || got != Block{Status: tt.want.Status, GRPCStatus: -1, Length: tt.want.Length}) {
			t.Errorf("%s, without grpc-status: got %v %v", tt.name, got, err)
		}
	}
}

// What no response may have ends its message, and not the connection: the
// blocks behind it are read (RFC 9113 section 8.1.1).
func TestBlockReaderTellsMalformedMessages(t *testing.T) {
	field := func(name, value string) string {
		return "\x00" + string(rune(len(name))) + name + string(rune(len(value))) + value
	}
	for name, block := range map[string]string{
		"status is not first":      field("date", "now") + "\x88",
		"status twice":             "\x88\x8d",
		"another pseudo field":     "\x88" + field(":path", "/"),
		"pseudo field of requests": "\x82",
		"capitals":                 "\x88" + field("Date", "now"),
		"a name that is no token":  "\x88" + field("a b", "now"),
		"a name with a colon":      "\x88" + field("a:", "now"),
		"no name":                  "\x88" + field("", "now"),
		"connection":               "\x88" + field("connection", "close"),
		"keep-alive":               "\x88" + field("keep-alive", "timeout=5"),
		"proxy-connection":         "\x88" + field("proxy-connection", "close"),
		"upgrade":                  "\x88" + field("upgrade", "h2c"),
		"transfer-encoding":        "\x88\x0f\x2a\x07chunked", // 15 + 42 = 57 of the static table
		"transfer-encoding, coded": "\x88\x00" + huffman("transfer-encoding") + huffman("chunked"),
		"NUL in a value":           "\x88" + field("a", "b\x00c"),
		"line end in a value":      "\x88" + field("a", "b\r\nc: d"),
		"coded line end":           "\x88\x00\x01a" + huffman("b\nc"),
		"space before a value":     "\x88" + field("a", " b"),
		"space behind a value":     "\x88" + field("a", "b\t"),
		"length is no number":      "\x88" + field("content-length", "-1"),
		"length is empty":          "\x88" + field("content-length", ""),
		"length past all numbers":  "\x88" + field("content-length", "99999999999999999999"),
		"two lengths":              "\x88" + field("content-length", "1") + field("content-length", "2"),
		"remembered":               "\x88\x40\x01A\x01b",
	} {
		r := NewBlockReader()
		for range 2 { // as the repetition of a block, too
			got, err := r.Read([]byte(block), 0)
			if err != nil || !got.Malformed {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if got, err := r.Read([]byte("\x8d"), 0); err != nil || got != (Block{Status: 404, GRPCStatus: -1, Length: -1}) {
			t.Errorf("%s: and then %+v, %v", name, got, err)
		}
		if name == "remembered" {
			if got, err := r.Read([]byte("\x88\xbe"), 0); err != nil || !got.Malformed {
				t.Errorf("by its index: %+v, %v", got, err)
			}
		}
	}
}

// A block that is like the one before means something else when what is
// remembered has changed.
func TestBlockReaderRepeats(t *testing.T) {
	r := NewBlockReader()
	read := func(block string, want Block) {
		t.Helper()
		if got, err := r.Read([]byte(block), 0); err != nil || got != want {
			t.Errorf("%x: %+v, %v, want %+v", block, got, err, want)
		}
	}
	length := func(n int64) Block { return Block{Status: 200, GRPCStatus: -1, Length: n} }
	read("\x88\x5c\x015", length(5)) // content-length: 5, to be remembered
	read("\x88\xbe", length(5))
	read("\x88\xbe", length(5))
	read("\x88\x5c\x017", length(7))
	read("\x88\xbe", length(7))
	read("\x88\x5c\x017", length(7)) // the same block again remembers it again
	read("\x88\x5c\x018", length(8))
	read("\x88\xbf", length(7))
	if _, err := r.Read([]byte("\x20"), 0); err != nil { // all is forgotten
		t.Error(err)
	}
	if _, err := r.Read([]byte("\x88\xbf"), 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("what is forgotten is known: %v", err)
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
			want := Block{Status: 100 + rng.IntN(900), GRPCStatus: -1, Length: -1}
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
// bounded, and its connection goes on with what it has remembered.
func TestBlockReaderBoundsFields(t *testing.T) {
	remembered := "\x40\x01x\x7f\xa1\x1e" + strings.Repeat("y", 4000) // 0x7f + 0x21 + 0x1e·128 = 4000
	for _, tt := range []struct {
		name, block string
		tooLarge    bool
	}{
		{"many", "\x88" + strings.Repeat("\x90", 4000), false}, // accept-encoding: gzip, deflate: 60 each
		{"too many", "\x88" + strings.Repeat("\x90", 5000), true},
		{"long", "\x88" + remembered + strings.Repeat("\xbe", 63), false}, // 64 · 4033 + 42
		{"too long", "\x88" + remembered + strings.Repeat("\xbe", 64), true},
		{"of one field", "\x88\x00\x01x\x7f\x81\xff\x0f" + strings.Repeat("y", 262144), true}, // 127 + 1 + 127·128 + 15·16384
	} {
		for _, want := range []Want{0, WantFields} {
			r := NewBlockReader()
			got, err := r.Read([]byte(tt.block), want)
			if err != nil || got.TooLarge != tt.tooLarge || got.Status != 200 {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
			if tt.tooLarge && len(r.Fields()) > 0 {
				t.Errorf("%s: %d fields are kept", tt.name, len(r.Fields()))
			}
			if strings.Contains(tt.block, remembered) {
				if _, err := r.Read([]byte("\x88\xbe"), want); err != nil {
					t.Errorf("%s: what it remembered is lost: %v", tt.name, err)
				}
			}
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
		theirs.SetMaxStringLength(maxBlock)
		for len(data) > 0 {
			n := min(int(data[0]), len(data)-1)
			block := data[1 : 1+n]
			data = data[1+n:]
			fields, err := theirs.DecodeFull(block)
			got, ourErr := ours.Read(block, WantFields)
			if err != nil {
				return
			}
			status := 0
			for _, f := range fields {
				if f.Name == ":status" && status == 0 {
					status = statusOf([]byte(f.Value))
				}
			}
			if ourErr != nil && bytes.Contains(block, []byte{0x80, 0x80, 0x80}) {
				return // a number of needless length
			}
			if ourErr != nil || got.Status != status && !got.Malformed { // of what is refused as a whole nobody asks the status
				t.Fatalf("%x: got %v %v, want status %d", block, got, ourErr, status)
			}
			var texts []string
			for _, f := range fields {
				if !strings.HasPrefix(f.Name, ":") {
					texts = append(texts, f.Name+": "+f.Value)
				}
			}
			if got := ours.texts(); !slices.Equal(got, texts) {
				t.Fatalf("%x: got fields %q, want %q", block, got, texts)
			}
		}
	})
}
