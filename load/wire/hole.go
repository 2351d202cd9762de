package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Placeholder stands for the request id in a path, a header value or a body.
const Placeholder = "${id}"

// placeholders are what may stand in a template, for people.
const placeholders = "${id}, ${seq}, ${key}, ${rand:LOW-HIGH} and ${data.COLUMN}; a plain ${ is written $${"

// Fill is what the placeholders of a template are replaced by:
//
//	${id}             the request id: 32 hexadecimal digits, of Run and seq
//	${seq}            the number of the request's arrival, decimal
//	${key}            a whole number from 1 to Keys: the same wherever it stands in a request
//	${rand:LOW-HIGH}  a whole number from LOW to HIGH, both included
//	${data.COLUMN}    a value of row (number−1) mod rows of Data: arrival 1 has the first
//	${prev.WHAT}      what was taken from the response before, see Prev
//	$${               a plain ${
//
// A random number depends on Seed, on the arrival and on which ${rand} of the
// template it is, and on nothing else: with the same seed a run says the same
// again. So the steps of a chain have the same number and the same row, and ids
// of their own.
type Fill struct {
	Run  uint64
	Seed uint64
	Data *Table // nil: there is no ${data.COLUMN}
	Keys uint64 // 0: there is no ${key}
	// Prev returns for each ${prev.WHAT} which of the values for AppendExtracted it
	// is; nil: there is none.
	Prev func(what string) (extracted int, err error)
}

// hole is a place in a request that is filled anew each time.
type hole struct {
	kind   holeKind
	low    uint64   // of a random number
	count  uint64   // how many different ones
	salt   uint64   // keeps the random numbers of one request apart
	values []string // of a column, as they are written in this place
	index  int      // of an extracted value
	where  place    // of an extracted value
}

type holeKind uint8

const (
	none          holeKind = iota
	digits                 // the 16 hexadecimal digits of seq
	number                 // seq, decimal
	random                 // ${rand}
	keyed                  // ${key}, which is drawn like it
	datum                  // ${data}
	bodyLength             // of the body, decimal
	messageLength          // in a body's first bytes: the length of the rest, as gRPC has it
	prevValue              // ${prev}
)

// append fills the hole. body is the length of the request's body.
func (h *hole) append(dst []byte, seq uint64, body int, values []string) []byte {
	switch h.kind {
	case digits:
		text := hex16(seq)
		return append(dst, text[:]...)
	case number:
		return strconv.AppendUint(dst, ArrivalOf(seq), 10)
	case random, keyed:
		return strconv.AppendUint(dst, h.draw(seq), 10)
	case datum:
		return append(dst, h.row(seq)...)
	case bodyLength:
		return strconv.AppendUint(dst, uint64(body), 10)
	case messageLength:
		return binary.BigEndian.AppendUint32(dst, uint32(body-messageHead))
	case prevValue:
		switch h.where {
		case inPath:
			return appendEncoded(dst, values[h.index])
		case atPathStart:
			return appendTarget(dst, values[h.index])
		default:
			return append(dst, values[h.index]...)
		}
	default:
		return dst
	}
}

// size is how many bytes append appends in a body.
func (h *hole) size(seq uint64, values []string) int {
	switch h.kind {
	case digits:
		return halfID
	case number:
		return decimals(ArrivalOf(seq))
	case random, keyed:
		return decimals(h.draw(seq))
	case datum:
		return len(h.row(seq))
	case messageLength:
		return messageHead - 1
	case prevValue:
		return len(values[h.index])
	default:
		return 0
	}
}

// most is the largest size that the hole can have, in a request whose body is
// at most body long; nothing is known of an extracted value.
func (h *hole) most(body int) int {
	switch h.kind {
	case digits:
		return halfID
	case number:
		return decimals(arrivals)
	case random, keyed:
		return decimals(h.low + h.count - 1)
	case datum:
		n := 0
		for _, v := range h.values {
			n = max(n, len(v))
		}
		return n
	case bodyLength:
		return decimals(uint64(body))
	case messageLength:
		return messageHead - 1
	default:
		return 0
	}
}

// fixed reports whether the size is always the same.
func (h *hole) fixed() bool { return h.kind == none || h.kind == digits }

// draw takes the high word of a product with count instead of a remainder: no
// division, and a bias below count/2⁶⁴ (Lemire, ACM TOMACS 29, 2019).
func (h *hole) draw(seq uint64) uint64 {
	high, _ := bits.Mul64(Mix(h.salt^Mix(ArrivalOf(seq))), h.count)
	return h.low + high
}

func (h *hole) row(seq uint64) string { return h.values[(ArrivalOf(seq)-1)%uint64(len(h.values))] }

// decimals is the number of decimal digits of v.
func decimals(v uint64) int {
	n := 1
	for ; v >= 10; v /= 10 {
		n++
	}
	return n
}

// Mix spreads every bit of x over all bits of the result (the finalizer of
// SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Literal writes text so that a template has it as it is.
func Literal(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// IsPlaceholder reports whether text, with ${ and }, is one that needs no data.
func IsPlaceholder(text string) bool {
	name, found := strings.CutPrefix(text, "${")
	name, closed := strings.CutSuffix(name, "}")
	if !found || !closed {
		return false
	}
	if name == "id" {
		return true
	}
	_, err := (&Fill{Keys: 1}).hole(name, inBody)
	return err == nil
}

// place is where in a request a hole is: what a value may be there.
type place uint8

const (
	inPath place = iota
	inHeader
	inHost
	inBody
	atPathStart // where the path begins, and where a URL may stand
)

// hole makes the hole that name, which is not "id", stands for.
func (f *Fill) hole(name string, where place) (hole, error) {
	if name == "seq" {
		return hole{kind: number}, nil
	}
	if name == "key" {
		if f.Keys == 0 {
			return hole{}, errors.New("placeholder ${key}: there are no keys")
		}
		return keyHole(f.Seed, f.Keys), nil
	}
	if bounds, ok := strings.CutPrefix(name, "rand:"); ok {
		return randomHole(bounds)
	}
	if column, ok := strings.CutPrefix(name, "data."); ok {
		return f.dataHole(column, where)
	}
	if what, ok := strings.CutPrefix(name, "prev."); ok {
		if f.Prev == nil {
			return hole{}, fmt.Errorf("placeholder ${%s}: there is no response before this request", name)
		}
		index, err := f.Prev(what)
		if err != nil {
			return hole{}, fmt.Errorf("placeholder ${%s}: %w", name, err)
		}
		return hole{kind: prevValue, index: index, where: where}, nil
	}
	return hole{}, fmt.Errorf("unknown placeholder ${%s}: there are %s", name, placeholders)
}

// keyHole draws the keys of a load: unlike the draw of the route, and any ${rand}.
func keyHole(seed, keys uint64) hole {
	return hole{kind: keyed, low: 1, count: keys, salt: Mix(seed ^ Mix(1<<63|1))}
}

// KeyOf is what ${key} is in the requests of an arrival, from 1 to keys; 0 if there
// are none.
func KeyOf(seed, keys, arrival uint64) uint64 {
	if keys == 0 {
		return 0
	}
	h := keyHole(seed, keys)
	return h.draw(arrival)
}

func randomHole(bounds string) (hole, error) {
	first, last, found := strings.Cut(bounds, "-")
	low, errLow := strconv.ParseUint(first, 10, 63)
	high, errHigh := strconv.ParseUint(last, 10, 63)
	if !found || errLow != nil || errHigh != nil || low > high {
		return hole{}, fmt.Errorf("placeholder ${rand:%s}: write two whole numbers, the lower first, like ${rand:1-1000}", bounds)
	}
	return hole{kind: random, low: low, count: high - low + 1}, nil
}

func (f *Fill) dataHole(column string, where place) (hole, error) {
	if f.Data == nil {
		return hole{}, fmt.Errorf("placeholder ${data.%s}: there is no data", column)
	}
	raw, err := f.Data.column(column)
	if err != nil {
		return hole{}, fmt.Errorf("placeholder ${data.%s}: %w", column, err)
	}
	h := hole{kind: datum, values: raw}
	if where == inPath {
		h.values = make([]string, len(raw))
	}
	for row, v := range raw {
		switch {
		case where == inPath:
			h.values[row] = percentEncode(v)
		case where == inHeader && !only([]byte(v), inValue):
			return hole{}, fmt.Errorf("placeholder ${data.%s}: row %d: %q cannot be in a header: it has a control character",
				column, row+1, v)
		case where == inHost && (v == "" || checkHost(v) != nil):
			return hole{}, fmt.Errorf("placeholder ${data.%s}: row %d: %q is not part of a host", column, row+1, v)
		}
	}
	return h, nil
}

// percentEncode is appendEncoded for what is known beforehand.
func percentEncode(v string) string { return string(appendEncoded(nil, v)) }

// appendEncoded percent-encodes all but the unreserved characters (RFC 3986
// section 2.3), so that a value means itself in a path and in a query alike.
func appendEncoded(dst []byte, v string) []byte {
	for i := range len(v) {
		switch c := v[i]; {
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-._~", c) >= 0:
			dst = append(dst, c)
		default:
			dst = appendByte(dst, c)
		}
	}
	return dst
}

func appendByte(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}

// appendTarget appends a path with its query, or that of a URL, such as Location
// has it; what cannot be sent is percent-encoded.
func appendTarget(dst []byte, v string) []byte {
	if _, rest, isURL := strings.Cut(v, "://"); isURL && !strings.HasPrefix(v, "/") {
		v = rest[min(len(rest), strings.IndexAny(rest+"/", "/?")):]
	}
	v, _, _ = strings.Cut(v, "#")
	if !strings.HasPrefix(v, "/") {
		dst = append(dst, '/')
	}
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c >= 0x7f {
			dst = appendByte(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// nextHole returns what comes before the first placeholder, its name, and what
// comes behind it.
func nextHole(text string) (before, name, after string, found bool, err error) {
	for from := 0; ; {
		at := strings.Index(text[from:], "${")
		if at < 0 {
			return text, "", "", false, nil
		}
		at += from
		if at > from && text[at-1] == '$' {
			text = text[:at-1] + text[at:]
			from = at + 1
			continue
		}
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return "", "", "", false, fmt.Errorf("placeholder %q is not closed by }; a plain ${ is written $${", clip(text[at:]))
		}
		return text[:at], text[at+2 : at+end], text[at+end+1:], true, nil
	}
}

// clip shortens text that is shown in an error.
func clip(text string) string {
	const enough = 32
	if len(text) > enough {
		return text[:enough] + "..."
	}
	return text
}
