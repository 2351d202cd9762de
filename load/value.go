package load

import (
	"errors"
	"strings"

	"github.com/stormctl/stormctl/load/wire"
)

// A route that writes or reads data stands for an operation on a register: the one
// that ${key} names. What it writes is its request's own id, which no other request
// has, so that a read that finds it has named the write that it saw.
//
//	PUT /price/17  {"v": "<id of arrival 4711>"}    key 17, value 4711
//	GET /price/17  ◁ {"v": "<id of arrival 4711>"}  key 17, value 4711
//
// A load without such routes does none of this: a request has a pointer that is
// nil, and that is all it costs.

// Values is told what each request of such a route wrote or read, right before
// Observe is told of it, and as often: an arrival that was never sent has no value.
// It is on the path of the next arrival, as Observe is. value is the Seq of the
// request whose id was written or read, NoValue or ForeignValue. What a request
// read that had no answer is NoValue, and says nothing.
type Values func(shard int, id, key, value uint64)

// The values that are no request's.
const (
	NoValue      = 0          // nothing was there
	ForeignValue = ^uint64(0) // something was there that is no id of this run
)

// access is what a request does with data.
type access struct {
	writes bool
	reads  extraction // of a request that reads
}

// CheckReads returns what is wrong with a Route.Reads.
func CheckReads(where string) error {
	_, err := parseReads(where)
	return err
}

// parseReads reads where in an answer the value is. A pattern may stand between
// slashes, as in a check.
func parseReads(where string) (extraction, error) {
	if pattern, ok := strings.CutPrefix(where, "body~"); ok && len(pattern) > 2 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		where = "body~" + pattern[1:len(pattern)-1]
	}
	t, err := parseExtraction(where)
	if err != nil {
		return t, errors.New(strings.NewReplacer("prev.", "", "token", "v").Replace(err.Error()))
	}
	return t, nil
}

// prepareAccess makes ready what a request does with data.
func (w *preparedRequest) prepareAccess(writes bool, reads string) error {
	switch {
	case !writes && reads == "":
		return nil
	case writes && reads != "":
		return errors.New("a request either writes or reads: a register that does both at once is none")
	}
	a := &access{writes: writes}
	if reads != "" {
		var err error
		if a.reads, err = parseReads(reads); err != nil {
			return err
		}
		if w.checks == nil {
			w.checks = &checks{}
		}
		w.checks.value = &a.reads
		w.checks.fields = w.checks.fields || a.reads.name != nil
	}
	w.access = a
	return nil
}

// tellValue tells Plan.Values what a request wrote or read.
func (l *loop) tellValue(e *exchange, id uint64, answered bool) {
	value := id
	switch {
	case e.prepared.access.writes:
	case !answered || e.check.value == "":
		value = NoValue
	default:
		seq, ok := wire.ParseID([]byte(e.check.value), l.Run)
		if value = seq; !ok {
			value = ForeignValue
		}
	}
	l.Values(l.shard, id, wire.KeyOf(l.Seed, l.Keys, wire.ArrivalOf(id)), value)
}

// accesses reports whether any request writes or reads data.
func (g *program) accesses() bool {
	for i := range g.routes {
		for w := &g.routes[i]; w != nil; w = w.next {
			if w.access != nil {
				return true
			}
		}
	}
	return false
}
