package agents

import (
	"encoding/binary"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// mostStatus is the largest status that a tally counts.
const mostStatus = 999

// counts are what an agent has counted of the samples that it handed over before. nil is
// none.
type counts struct {
	warm, rest *load.Counts // of the warm-up, and of what is measured
}

// appendCounts appends them: figures as varints, without the routes of which nothing ended.
func appendCounts(b []byte, c counts) []byte {
	return appendTally(appendTally(b, c.warm), c.rest)
}

func appendTally(b []byte, i *load.Counts) []byte {
	if i == nil {
		return append(b, 0)
	}
	filled := 0
	for row := range i.Outcomes {
		if i.Outcomes[row] != ([load.Outcomes]uint64{}) {
			filled++
		}
	}
	b = binary.AppendUvarint(b, uint64(filled))
	if filled == 0 {
		return b
	}
	for row, outcomes := range i.Outcomes {
		if outcomes == ([load.Outcomes]uint64{}) {
			continue
		}
		b = binary.AppendUvarint(b, uint64(row))
		for _, n := range outcomes {
			b = binary.AppendUvarint(b, n)
		}
		b = i.Times.Service[row].Append(i.Times.Response[row].Append(b))
	}
	b = i.Times.Late.Append(i.Times.Lag.Append(b))
	for status, n := range i.Statuses {
		if n > 0 {
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(status)+1), n)
		}
	}
	return binary.AppendVarint(append(b, 0), i.Received)
}

// readCounts is the inverse of appendCounts, for a plan with so many kinds of request.
// What no agent of this plan can have counted is an error.
func readCounts(b []byte, rows int) (c counts, err error) {
	r := countsReader{b: b}
	c.warm, c.rest = r.tally(rows), r.tally(rows)
	if r.bad || len(r.b) > 0 {
		return counts{}, errFrame
	}
	return c, nil
}

type countsReader struct {
	b   []byte
	bad bool // and nothing more is read
}

// number reads one that is at most so large.
func (r *countsReader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > most {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *countsReader) histogram(h *hist.Histogram) {
	rest, err := h.Read(r.b)
	r.b, r.bad = rest, r.bad || err != nil
}

func (r *countsReader) tally(rows int) *load.Counts {
	filled := r.number(uint64(rows))
	if filled == 0 || r.bad {
		return nil
	}
	i := &load.Counts{Times: hist.NewSet(rows), Outcomes: make([][load.Outcomes]uint64, rows), Statuses: make([]uint64, mostStatus+1)}
	for ; filled > 0 && !r.bad; filled-- {
		row := r.number(uint64(rows) - 1)
		for o := range i.Outcomes[row] {
			i.Outcomes[row][o] = r.number(mostArrivals)
		}
		r.histogram(i.Times.Response[row])
		r.histogram(i.Times.Service[row])
	}
	r.histogram(i.Times.Lag)
	r.histogram(i.Times.Late)
	for status := r.number(mostStatus + 1); status > 0; status = r.number(mostStatus + 1) {
		i.Statuses[status-1] = r.number(mostArrivals)
	}
	received, size := binary.Varint(r.b)
	if size <= 0 || received < 0 {
		r.b, r.bad = nil, true
		return i
	}
	i.Received, r.b = received, r.b[size:]
	return i
}

// rowsOf is where in a tally each route is counted, its steps behind it, and how many rows
// there are: the same that the run has.
func rowsOf(routes []load.Route) (first []int, rows int) {
	for _, r := range routes {
		first = append(first, rows)
		rows += 1 + len(r.Then)
	}
	return first, rows
}
