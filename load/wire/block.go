package wire

import "bytes"

// Block is what matters of a header block: the head of a response, or its
// trailers.
type Block struct {
	Status     int   // 100 to 999; 0 if there is none, as in trailers; -1 if its value is no status; either if Malformed
	GRPCStatus int   // 0 to 999; -1 if there is none, or it was not asked for, or its value is no number
	Length     int64 // content-length; -1 if there is none

	// Malformed says that the message is, and the connection is not (RFC 9113
	// sections 8.2 and 8.3): a field that no message may have, in a place where it
	// may not be, or different lengths.
	Malformed bool
	// TooLarge says that the fields take more than MaxList. The connection goes on.
	TooLarge bool
}

// BlockReader decodes the header blocks of one connection (RFC 7541). All of
// them must pass through it in their order. A block that is, byte by byte, the
// one before is not decoded again, as long as neither changed what is remembered.
type BlockReader struct {
	fields fieldReader
	kept   Fields
	text   []byte // of kept

	last        []byte // the last block
	lastWant    Want
	lastChanges uint64 // of fields, when it was decoded; it made none
	lastBlock   Block
	repeatable  bool
}

// Want is what Read decodes of a block beside its status. Each costs time.
type Want uint8

const (
	WantGRPCStatus Want = 1 << iota
	WantFields          // see BlockReader.Fields
)

// NewBlockReader returns one for a connection that has seen no block.
func NewBlockReader() *BlockReader {
	return &BlockReader{fields: fieldReader{max: headerTable}}
}

// Read decodes a complete block. An error wraps ErrMalformed; the connection is
// of no use then.
func (b *BlockReader) Read(block []byte, want Want) (Block, error) {
	if b.repeatable && want == b.lastWant && b.fields.changes == b.lastChanges && bytes.Equal(block, b.last) {
		return b.lastBlock, nil
	}
	before := b.fields.changes
	got, err := b.decode(block, want)
	if err != nil {
		b.repeatable = false
		return Block{}, err
	}
	if b.repeatable = b.fields.changes == before && want&WantFields == 0 && len(block) <= maxRepeated; b.repeatable {
		b.last, b.lastWant, b.lastChanges, b.lastBlock = append(b.last[:0], block...), want, before, got
	}
	return got, nil
}

// maxRepeated bounds what is kept of a block to know it again, in bytes.
const maxRepeated = 4 << 10

func (b *BlockReader) decode(block []byte, want Want) (Block, error) {
	got := Block{GRPCStatus: -1, Length: -1}
	b.kept, b.text = b.kept[:0], b.text[:0]
	b.fields.begin(block)
	size, regular := 0, false
	for {
		f, ok, err := b.fields.next()
		if err != nil {
			return Block{}, err
		}
		if !ok {
			return got, nil
		}
		if size += len(f.name) + len(f.value) + entryCost; size > MaxList {
			got.TooLarge = true // and on, for what is to be remembered
			b.kept, b.text = b.kept[:0], b.text[:0]
		}
		switch f.kind {
		case kindBad:
			got.Malformed = true
		case kindStatus:
			got.Malformed = got.Malformed || regular || got.Status != 0
			if got.Status == 0 {
				got.Status = statusOf(f.value)
			}
		case kindLength:
			n, ok := parseUint(f.value)
			got.Malformed = got.Malformed || !ok || got.Length >= 0 && got.Length != n
			got.Length = n
		case kindGRPCStatus:
			if want&WantGRPCStatus != 0 {
				got.GRPCStatus = -1
				if n, ok := parseUint(f.value); ok && n < 1000 {
					got.GRPCStatus = int(n)
				}
			}
		}
		regular = regular || f.kind != kindStatus
		if want&WantFields != 0 && !got.TooLarge && (len(f.name) == 0 || f.name[0] != ':') {
			b.keep(f)
		}
	}
}

// Fields are those of the last block, if they were asked for, without pseudo
// fields; none if it was TooLarge. They are valid until the next Read.
func (b *BlockReader) Fields() Fields { return b.kept }

func (b *BlockReader) keep(f entry) {
	start := len(b.text)
	b.text = append(append(b.text, f.name...), f.value...)
	text := b.text[start:]
	b.kept = append(b.kept, Field{Name: text[:len(f.name)], Value: text[len(f.name):]})
}

// kind is what a field is to us.
type kind uint8

const (
	kindOther kind = iota
	kindStatus
	kindLength
	kindGRPCStatus
	kindBad // no response may have it
)

// kindOf looks at a field as RFC 9113 section 8.2 wants it: lower case, nothing
// that is about an HTTP/1.1 connection, no pseudo field but :status, and a
// value without control characters or space at its ends.
func kindOf(name, value []byte) kind {
	if !only(value, inValue) || len(value) > 0 && (isBlank(value[0]) || isBlank(value[len(value)-1])) {
		return kindBad
	}
	switch string(name) {
	case ":status":
		return kindStatus
	case "content-length":
		return kindLength
	case "grpc-status":
		return kindGRPCStatus
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return kindBad
	}
	if len(name) == 0 || !only(name, inToken) {
		return kindBad
	}
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return kindBad
		}
	}
	return kindOther
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// statusOf reads three digits from 100 up; anything else is -1.
func statusOf(text []byte) int {
	if n, ok := parseUint(text); ok && len(text) == 3 && n >= 100 {
		return int(n)
	}
	return -1
}
