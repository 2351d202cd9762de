package wire

import (
	"golang.org/x/net/http2/hpack"
)

// headerTable is the default of SETTINGS_HEADER_TABLE_SIZE, in bytes as RFC 7541
// section 4.1 counts them: entryCost for each entry beside its texts.
const (
	headerTable = 4096
	entryCost   = 32
)

// fieldReader decodes the fields of header blocks (RFC 7541), one after another,
// and what a peer wants remembered. It allocates for entries of its table until
// each has had one of that length, and for nothing else. The zero value is not
// ready: max must be headerTable.
type fieldReader struct {
	block []byte // what is left of it
	first bool   // no field of this block has been read
	text  []byte // strings that were coded by Huffman, of this field

	entries [headerTable / entryCost]entry // a ring
	newest  int                            // index of the newest
	count   int
	size    int // of the entries
	max     int // that size may be
	changes uint64
}

// entry is a field with what is known of it.
type entry struct {
	name, value []byte
	kind        kind
}

// begin begins a block.
func (r *fieldReader) begin(block []byte) { r.block, r.first = block, true }

// next reads a field. Its texts are valid until the next call. ok is false at the
// end of the block.
func (r *fieldReader) next() (f entry, ok bool, err error) {
	for {
		if len(r.block) == 0 {
			return entry{}, false, nil
		}
		switch b := r.block[0]; {
		case b&0x80 != 0:
			return r.indexed()
		case b&0x40 != 0:
			return r.literal(6, true)
		case b&0xe0 == 0x20:
			if err := r.resize(); err != nil {
				return entry{}, false, err
			}
		default:
			return r.literal(4, false)
		}
	}
}

func (r *fieldReader) indexed() (entry, bool, error) {
	index, err := r.number(7)
	if err != nil {
		return entry{}, false, err
	}
	r.first = false
	e := r.at(index)
	if e == nil {
		return entry{}, false, errBlock
	}
	return *e, true, nil
}

// literal reads a field that is there in full, or but for its name.
func (r *fieldReader) literal(bits int, remember bool) (entry, bool, error) {
	index, err := r.number(bits)
	if err != nil {
		return entry{}, false, err
	}
	r.first = false
	r.text = r.text[:0]
	var name []byte
	if index == 0 {
		if name, err = r.string(); err != nil {
			return entry{}, false, err
		}
	} else {
		known := r.at(index)
		if known == nil {
			return entry{}, false, errBlock
		}
		name = known.name
		if remember && index > len(staticTable) { // what is remembered may take its place
			start := len(r.text)
			r.text = append(r.text, name...)
			name = r.text[start:]
		}
	}
	value, err := r.string()
	if err != nil {
		return entry{}, false, err
	}
	f := entry{name: name, value: value, kind: kindOf(name, value)}
	if remember {
		r.remember(f)
	}
	return f, true, nil
}

// at returns the field with an index, nil if there is none.
func (r *fieldReader) at(index int) *entry {
	switch {
	case index == 0:
		return nil
	case index <= len(staticTable):
		return &staticTable[index-1]
	case index-len(staticTable) > r.count:
		return nil
	}
	back := index - len(staticTable) - 1
	return &r.entries[(r.newest-back+len(r.entries))%len(r.entries)]
}

// remember puts a field in front of the table.
func (r *fieldReader) remember(f entry) {
	r.changes++
	size := len(f.name) + len(f.value) + entryCost
	r.evict(r.max - size)
	if size > r.max {
		return // RFC 7541 section 4.4: it empties the table, and that is no error
	}
	r.newest = (r.newest + 1) % len(r.entries)
	e := &r.entries[r.newest]
	text := append(append(e.name[:0], f.name...), f.value...)
	e.name, e.value, e.kind = text[:len(f.name)], text[len(f.name):], f.kind
	r.count++
	r.size += size
}

// evict forgets the oldest fields until the rest takes at most so much.
func (r *fieldReader) evict(most int) {
	for r.count > 0 && r.size > most {
		oldest := &r.entries[(r.newest-r.count+1+len(r.entries))%len(r.entries)]
		r.size -= len(oldest.name) + len(oldest.value) + entryCost
		r.count--
	}
}

// resize takes a change of the table's size, which should stand before all fields.
func (r *fieldReader) resize() error {
	size, err := r.number(5)
	if err != nil || size > headerTable || !r.first && r.size > 0 { // too late, and it would matter
		return errBlock
	}
	r.changes++
	r.max = size
	r.evict(size)
	return nil
}

// number reads an integer with a prefix of so many bits (RFC 7541 section 5.1).
func (r *fieldReader) number(bits int) (int, error) {
	most := 1<<bits - 1
	value := int(r.block[0]) & most
	r.block = r.block[1:]
	if value < most {
		return value, nil
	}
	for shift := 0; shift <= 21 && len(r.block) > 0; shift += 7 { // 28 bits, and no block is as long
		b := r.block[0]
		r.block = r.block[1:]
		if value += int(b&0x7f) << shift; b&0x80 == 0 {
			return value, nil
		}
	}
	return 0, errBlock
}

// string reads a string (RFC 7541 section 5.2). It is a piece of the block, or of
// r.text if it was coded.
func (r *fieldReader) string() ([]byte, error) {
	if len(r.block) == 0 {
		return nil, errBlock
	}
	coded := r.block[0]&0x80 != 0
	length, err := r.number(7)
	if err != nil || length > len(r.block) {
		return nil, errBlock
	}
	text := r.block[:length:length]
	r.block = r.block[length:]
	if !coded {
		return text, nil
	}
	start := len(r.text)
	if _, err := hpack.HuffmanDecode((*appender)(&r.text), text); err != nil {
		return nil, errBlock
	}
	return r.text[start:], nil
}

// appender is a slice to write to.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// staticTable is the static table (RFC 7541 appendix A), which hpack has and does
// not show: what it decodes an index to is what stands there.
var staticTable = func() (fields [61]entry) {
	d := hpack.NewDecoder(0, nil)
	for i := range fields {
		decoded, err := d.DecodeFull([]byte{0x80 | byte(i+1)})
		if err != nil || len(decoded) != 1 {
			panic("wire: the static table of RFC 7541 has 61 entries")
		}
		name, value := []byte(decoded[0].Name), []byte(decoded[0].Value)
		fields[i] = entry{name, value, kindOf(name, value)}
	}
	return fields
}()
