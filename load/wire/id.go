package wire

// DefaultIDHeader carries the request id beside traceparent unless another
// header is chosen.
const DefaultIDHeader = "X-Request-Id"

// ID names one request of one run. Its text is 32 lower-case hexadecimal
// digits, the run's 16 first: the form of a W3C trace id, so that systems that
// trace pass it on even if they do not know our header. Neither part is 0: W3C
// Trace Context gives a trace id of zeros no meaning.
//
// Seq is the number of an arrival, from 1, and of the step of its chain that the
// request is: see SeqOf. So requests that belong together have ids of their own.
type ID struct{ Run, Seq uint64 }

const (
	stepAt   = 48            // the lowest bit of a Seq that is of the step
	MaxStep  = 1<<16 - 1     // the last step that a Seq can tell
	arrivals = 1<<stepAt - 1 // at a million a second that is eight years
)

// SeqOf is the Seq of a step of an arrival; 0 is the arrival's own request.
func SeqOf(arrival uint64, step int) uint64 { return uint64(step)<<stepAt | arrival }

// ArrivalOf is the arrival of a Seq.
func ArrivalOf(seq uint64) uint64 { return seq & arrivals }

const (
	halfID  = 16         // digits of a run or of a seq
	idWidth = 2 * halfID // digits of an ID
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
