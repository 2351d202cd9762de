package wire

import "golang.org/x/net/http2/hpack"

// Block is what matters of a header block: the head of a response, or its
// trailers.
type Block struct {
	Status     int // 100 to 999; 0 if the first field is not :status, as in trailers; -1 if its value is no status
	GRPCStatus int // 0 to 999; -1 if there is none, or it was not asked for, or its value is no number
}

// BlockReader decodes the header blocks of one connection (RFC 7541). All of
// them must pass through it in their order. Fields other than those of Block
// are not looked at unless they are asked for, so that no strings are made of
// them but those that the peer wants remembered.
type BlockReader struct {
	decoder *hpack.Decoder
	first   bool // the next field emitted is the block's first
	want    Want
	block   Block
	fields  Fields
	text    []byte // of fields
	err     error
}

// Want is what is asked for of a block beside its status, as it costs.
type Want uint8

const (
	WantGRPCStatus Want = 1 << iota
	WantFields          // see BlockReader.Fields
)

// headerTable is the default of SETTINGS_HEADER_TABLE_SIZE.
const headerTable = 4096

// NewBlockReader returns one for a connection that has seen no block.
func NewBlockReader() *BlockReader {
	b := &BlockReader{}
	b.decoder = hpack.NewDecoder(headerTable, b.emit)
	b.decoder.SetMaxStringLength(MaxHead)
	return b
}

// Read decodes a complete block. An error wraps ErrMalformed or ErrTooLarge; the
// connection is of no use then.
func (b *BlockReader) Read(block []byte, want Want) (Block, error) {
	b.block, b.fields, b.text = Block{GRPCStatus: -1}, b.fields[:0], b.text[:0]
	status, n, ok := peekStatus(block)
	if !ok {
		return Block{}, errBlock
	}
	b.first, b.want = n > 0, want
	b.decoder.SetEmitEnabled(true)
	if _, err := b.decoder.Write(block[:n]); err != nil {
		return Block{}, errBlock
	}
	b.first = false
	b.decoder.SetEmitEnabled(want != 0)
	if _, err := b.decoder.Write(block[n:]); err != nil {
		return Block{}, errBlock
	}
	if err := b.decoder.Close(); err != nil {
		return Block{}, errBlock
	}
	if b.err != nil {
		return Block{}, b.err
	}
	if n == 0 {
		b.block.Status = status
	}
	return b.block, nil
}

// Fields are those of the last block, if they were asked for, without pseudo
// fields. They are valid until the next Read.
func (b *BlockReader) Fields() Fields { return b.fields }

func (b *BlockReader) emit(f hpack.HeaderField) {
	if b.first && f.Name == ":status" {
		b.block.Status = statusOf(f.Value)
	}
	b.first = false
	if b.want&WantGRPCStatus != 0 && f.Name == "grpc-status" {
		b.block.GRPCStatus = -1
		if n, ok := parseUint([]byte(f.Value)); ok && n < 1000 {
			b.block.GRPCStatus = int(n)
		}
	}
	if b.want&WantFields != 0 && !f.IsPseudo() {
		b.keep(f)
	}
}

// keep adds a field, within the bounds that a head has over HTTP/1.1 too: one
// byte of a block can stand for thousands, by the table.
func (b *BlockReader) keep(f hpack.HeaderField) {
	if len(b.fields) == MaxFields {
		b.err = errFields
		return
	}
	if len(b.text)+len(f.Name)+len(f.Value) > MaxHead {
		b.err = errHeadSize
		return
	}
	start := len(b.text)
	b.text = append(append(b.text, f.Name...), f.Value...)
	text := b.text[start:]
	b.fields = append(b.fields, Field{Name: text[:len(f.Name)], Value: text[len(f.Name):]})
}

// The static table from :status 200 on (RFC 7541 appendix A).
var staticStatuses = [...]int{200, 204, 206, 304, 400, 404, 500}

const (
	firstStatus = 8
	lastStatus  = firstStatus + len(staticStatuses) - 1
)

// staticTable is how many entries it has; what is above is remembered.
const staticTable = 61

// peekStatus finds the status without decoding where it can: a field of the
// static table, or a literal that is not compressed, as most servers have it.
// n is where the block's first field ends, if that has to be decoded to know
// the status, and 0 if not; ok is false if it is cut off.
func peekStatus(block []byte) (status, n int, ok bool) {
	start := 0
	for start < len(block) && block[start]&0xe0 == 0x20 { // the table's size changes
		_, size := varint(block[start:], 5)
		if size == 0 {
			return 0, 0, false
		}
		start += size
	}
	if start == len(block) {
		return 0, 0, true
	}
	p := block[start:]
	if p[0]&0x80 != 0 { // an indexed field
		switch index, size := varint(p, 7); {
		case size == 0:
			return 0, 0, false
		case index > staticTable:
			return 0, start + size, true
		case index >= firstStatus && index <= lastStatus:
			return staticStatuses[index-firstStatus], 0, true
		default:
			return 0, 0, true
		}
	}
	status, n, ok = peekLiteral(p)
	if n > 0 {
		n += start
	}
	return status, n, ok
}

// peekLiteral is peekStatus for a literal.
func peekLiteral(p []byte) (status, n int, ok bool) {
	bits := 4
	if p[0]&0x40 != 0 { // to be remembered
		bits = 6
	}
	index, n := varint(p, bits)
	if n == 0 {
		return 0, 0, false
	}
	isStatus, known := index >= firstStatus && index <= lastStatus, index <= staticTable
	if index == 0 {
		name, coded, size := peekString(p[n:])
		if size == 0 {
			return 0, 0, false
		}
		isStatus, known = string(name) == ":status", !coded
		n += size
	}
	value, coded, size := peekString(p[n:])
	switch {
	case size == 0:
		return 0, 0, false
	case !known || isStatus && coded:
		return 0, n + size, true
	case isStatus:
		return statusOf(string(value)), 0, true
	default:
		return 0, 0, true
	}
}

// peekString returns a string as it was sent: coded by Huffman or not. size is
// 0 if it is cut off.
func peekString(p []byte) (text []byte, coded bool, size int) {
	length, digits := varint(p, 7)
	if digits == 0 || length > len(p)-digits {
		return nil, false, 0
	}
	size = digits + length
	return p[digits:size], p[0]&0x80 != 0, size
}

// varint reads an integer with a prefix of so many bits (RFC 7541 section 5.1).
// size is 0 if it is cut off, or past MaxHead, where nothing can be.
func varint(p []byte, bits int) (value, size int) {
	if len(p) == 0 {
		return 0, 0
	}
	most := 1<<bits - 1
	if value = int(p[0]) & most; value < most {
		return value, 1
	}
	for i := 1; i < min(len(p), 5); i++ {
		value += int(p[i]&0x7f) << (7 * (i - 1))
		if p[i]&0x80 == 0 {
			if value > MaxHead {
				return 0, 0
			}
			return value, i + 1
		}
	}
	return 0, 0
}

// statusOf reads three digits from 100 up; anything else is -1.
func statusOf(text string) int {
	if len(text) != 3 || text[0] == '0' {
		return -1
	}
	status := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return -1
		}
		status = status*10 + int(text[i]-'0')
	}
	return status
}
