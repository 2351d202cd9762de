package wire

// DefaultIDHeader carries the request id beside traceparent unless another
// header is chosen.
const DefaultIDHeader = "X-Request-Id"

// ID names one request of one run. Its text is 32 lower-case hexadecimal
// digits, the run's 16 first: the form of a W3C trace id, so that systems that
// trace pass it on even if they do not know our header. Neither part is 0: W3C
// Trace Context gives a trace id of zeros no meaning.
type ID struct{ Run, Seq uint64 }

const (
	halfID  = 16         // digits of a run or of a seq
	idWidth = 2 * halfID // digits of an ID

	traceWidth = len("00-") + idWidth + len("-") + halfID + len("-01") // of a traceparent
)

// AppendID appends the text of id to dst.
func AppendID(dst []byte, id ID) []byte {
	run, seq := hex16(id.Run), hex16(id.Seq)
	return append(append(dst, run[:]...), seq[:]...)
}

// ParseID finds the request id of this run in a header's value and returns its
// Seq. The value is that of an id header (32 digits) or of a traceparent
// (version-traceid-parent-flags); what other systems joined to it behind a
// comma, a semicolon or white space is left aside. An id of another run is none.
func ParseID(value []byte, run uint64) (seq uint64, ok bool) {
	value = trim(value)
	if len(value) > idWidth+3 && value[2] == '-' {
		if value[idWidth+3] != '-' {
			return 0, false
		}
		value = value[3 : idWidth+3]
	}
	if len(value) < idWidth {
		return 0, false
	}
	if len(value) > idWidth {
		switch value[idWidth] {
		case ',', ';', ' ', '\t':
		default:
			return 0, false
		}
	}
	if got, ok := parseHex16(value[:halfID]); !ok || got != run {
		return 0, false
	}
	return parseHex16(value[halfID:idWidth])
}

func hex16(v uint64) (text [halfID]byte) {
	const digits = "0123456789abcdef"
	for i := halfID - 1; i >= 0; i-- {
		text[i] = digits[v&15]
		v >>= 4
	}
	return text
}

func parseHex16(text []byte) (v uint64, ok bool) {
	for _, c := range text {
		d := hexDigit(c)
		if d < 0 {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return v, true
}
