package toxic

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Verb is what the relay does with an exchange, ordered by how much it hides:
// of two verbs the greater one wins.
type Verb uint8

const (
	Pass     Verb = iota // let it through
	Respond              // answer in the dependency's place, which never sees it
	Break                // reset the caller's connection (RST)
	Withhold             // neither pass the request on nor begin the response, until the fault is healed or the caller leaves
	Stall                // let nothing through, either way, until the fault is healed or the caller leaves
)

// Act is what the relay does to an exchange that it lets through: a set of bits.
type Act uint8

const (
	Twice       Act = 1 << iota // deliver the request twice, and drop the second response
	Drop                        // drop the whole response, and leave the caller waiting until the fault is healed
	DropBreak                   // drop the whole response, and reset the caller's connection; Drop wins over it
	BreakDuring                 // reset the caller's connection in the middle of the response
	BreakAfter                  // reset it behind the response, also behind the answer of a Respond
)

// Fate is what happens to one exchange. The zero Fate lets it pass untouched.
// Fates can be compared: equal ones mean the same.
type Fate struct {
	Delay time.Duration // before the request is passed on or answered; Break does not wait for it
	Late  time.Duration // before the response is passed on, from when it begins to come; an answer waits for it behind Delay
	Verb  Verb
	Acts  Act

	// For Respond.
	Status     int
	RetryAfter time.Duration // 0 sends no Retry-After
	Body       string
	Fields     Fields
	GRPCStatus int // to a gRPC call, if not 0; then Status may be 0

	// For Break.
	Connection bool // the connection of a stream, and not the stream alone

	Truncate       Truncation // of the response's body
	Pace           Pace       // of the response's body
	Corrupt        Corruption // of the response's body
	CorruptRequest Corruption // of the request's body
}

// And joins two fates of one exchange: delays add up, of everything else the
// worse one wins. It commutes and associates, so the order of toxics means
// nothing. The greater verb wins with its answer; between two answers the
// higher status does.
func (f Fate) And(g Fate) Fate {
	sum := f
	if cmp.Or(cmp.Compare(g.Verb, f.Verb), g.compareAnswer(f)) > 0 {
		sum = g
	}
	sum.Delay = f.Delay + g.Delay
	sum.Late = f.Late + g.Late
	sum.Acts = f.Acts | g.Acts
	sum.Connection = f.Connection || g.Connection
	sum.Truncate = f.Truncate.and(g.Truncate)
	sum.Pace = f.Pace.and(g.Pace)
	sum.Corrupt = f.Corrupt.and(g.Corrupt)
	sum.CorruptRequest = f.CorruptRequest.and(g.CorruptRequest)
	return sum
}

// compareAnswer orders answers; which comes first matters less than that every
// two that differ have an order.
func (f Fate) compareAnswer(g Fate) int {
	return cmp.Or(cmp.Compare(f.Status, g.Status), cmp.Compare(f.RetryAfter, g.RetryAfter),
		cmp.Compare(f.Body, g.Body), cmp.Compare(f.Fields, g.Fields), cmp.Compare(f.GRPCStatus, g.GRPCStatus))
}

// AtOnce reports whether it touches the exchange as soon as it is decided. Everything
// else touches it when it comes to it: a response of 10 bytes is not truncated after
// 100, and a fault that is healed before its answer is begun gives none.
func (f Fate) AtOnce() bool { return f.Delay > 0 || f.Verb > Respond }

// Answers reports whether it answers in the dependency's place.
func (f Fate) Answers() bool { return f.Verb == Respond }

// IsLate reports whether it delays the response, which touches the exchange when
// there is one to wait.
func (f Fate) IsLate() bool { return f.Late > 0 }

// OnBody reports whether something happens to the response's body.
func (f Fate) OnBody() bool {
	return f.Truncates() || f.Paces() || f.Corrupts() || f.BreaksDuring()
}

func (f Fate) Truncates() bool       { return f.Truncate.On }
func (f Fate) Paces() bool           { return f.Pace != Pace{} }
func (f Fate) Corrupts() bool        { return f.Corrupt != Corruption{} }
func (f Fate) CorruptsRequest() bool { return f.CorruptRequest != Corruption{} }
func (f Fate) Duplicates() bool      { return f.Acts&Twice != 0 }
func (f Fate) Drops() bool           { return f.Acts&(Drop|DropBreak) != 0 }
func (f Fate) BreaksDuring() bool    { return f.Acts&BreakDuring != 0 }
func (f Fate) BreaksAfter() bool     { return f.Acts&BreakAfter != 0 }

// Truncation ends a response before its end, as if it were whole (FIN).
type Truncation struct {
	On    bool
	After int64 // bytes of the body that reach the caller; a body of no more than that is not touched
}

// and is the one that leaves less.
func (t Truncation) and(u Truncation) Truncation {
	if !t.On || u.On && u.After < t.After {
		return u
	}
	return t
}

// Pace is how a body is passed on: Piece bytes, a Pause, and so on. The zero
// Pace passes it on as it comes.
type Pace struct {
	Piece int64 // more than 0
	Pause time.Duration
}

// and is the slower one; of two that take the same time, the one with longer
// pauses.
func (p Pace) and(q Pace) Pace {
	if cmp.Or(cmp.Compare(q.perByte(), p.perByte()), cmp.Compare(q.Pause, p.Pause), cmp.Compare(q.Piece, p.Piece)) > 0 {
		return q
	}
	return p
}

func (p Pace) perByte() float64 {
	if p.Piece == 0 {
		return 0
	}
	return float64(p.Pause) / float64(p.Piece)
}

// Corruption changes bytes of a body and keeps its length. Which bytes, and to
// what, depends on Seed and on how far into the body they are, not on how the
// body is cut into pieces.
type Corruption struct {
	Share float64 // of the bytes, 0 to 1
	Seed  uint64
}

// and is the one that changes more.
func (c Corruption) and(d Corruption) Corruption {
	if cmp.Or(cmp.Compare(d.Share, c.Share), cmp.Compare(d.Seed, c.Seed)) > 0 {
		return d
	}
	return c
}

// Fields are header fields as one text that can be compared: lines of
// "name: value", in the order of the names.
type Fields string

// MakeFields joins names and values. Neither may hold a line's end.
func MakeFields(fields map[string]string) Fields {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		b.WriteString(name)
		b.WriteString(": ")
		b.WriteString(fields[name])
		b.WriteByte('\n')
	}
	return Fields(b.String())
}

// All goes through names and values.
func (f Fields) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for line := range strings.Lines(string(f)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if !yield(name, value) {
				return
			}
		}
	}
}

// Head is what a toxic may look at: one request's head, and which exchange of
// those that concern it this is. Its slices are valid only during Decide.
type Head struct {
	Method, Path []byte // Path without query
	Header       func(name string) (value []byte, ok bool)
	Conn         uint64 // number of the caller's connection on this link, from 1

	// Ordinal is which one it is of those that matched since this toxic was injected,
	// from 1; counted only for a toxic whose Select needs it.
	Ordinal uint64
	Since   time.Duration // since this toxic was injected; told only to a toxic whose Select needs it
}
