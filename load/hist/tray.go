package hist

import (
	"math/bits"
	"time"
)

// The shape of every Histogram, as hdrhistogram makes it of resolution, Highest
// and digits: times of one unit, 2^unitBits ns, up to 2^lineBits of them, and
// from there half as many for each doubling.
const (
	unitBits = 9  // 512 ns, the largest power of two that resolution allows
	lineBits = 11 // 2,048 units, the smallest power of two that tells 2·10^digits apart
	cells    = 24 << (lineBits - 1)
)

// tray counts times as a Histogram does, with less work for each: it is what
// event loops count in, until it is poured into a Histogram. A count wraps
// at 2^32, which is more than an hour of a million a second. It takes memory for the
// times that come: a page is made when the first of its times does, and kept.
type tray struct {
	doublings [cells / line]*pages
	clamped   int64
}

// pages are the cells of one doubling of times; two of them are below the first.
type pages [line / pageCells]*page

type page [pageCells]uint32

const (
	line      = 1 << (lineBits - 1) // cells of a doubling
	pageCells = 32
)

// record is Histogram.Record.
func (t *tray) record(d time.Duration) {
	if uint64(d) > uint64(Highest) { // below 0 too
		t.clamped++
		d = min(max(d, 0), Highest)
	}
	at := uint(cell(d))
	if doubling := t.doublings[at/line]; doubling != nil {
		if p := doubling[at%line/pageCells]; p != nil {
			p[at%pageCells]++
			return
		}
	}
	t.page(at)[at%pageCells]++
}

// page makes the page of a cell.
func (t *tray) page(at uint) *page {
	doubling := &t.doublings[at/line]
	if *doubling == nil {
		*doubling = &pages{}
	}
	p := &page{}
	(*doubling)[at%line/pageCells] = p
	return p
}

// pour adds what was counted to both, and forgets it.
func (t *tray) pour(interval, total *Histogram) {
	for i, doubling := range t.doublings {
		if doubling == nil {
			continue
		}
		for j, p := range doubling {
			if p != nil {
				p.pour(i*line+j*pageCells, interval, total)
			}
		}
	}
	interval.clamped += t.clamped
	total.clamped += t.clamped
	t.clamped = 0
}

// pour adds a page, whose first cell is the from-th.
func (p *page) pour(from int, interval, total *Histogram) {
	for k, n := range p {
		if n > 0 {
			interval.add(least(from+k), int64(n))
			total.add(least(from+k), int64(n))
			p[k] = 0
		}
	}
}

// cell is where a time is counted, which is from 0 to Highest.
func cell(d time.Duration) int {
	const first = 1<<(unitBits+lineBits) - 1
	doublings := bits.Len64(uint64(d)|first) - (unitBits + lineBits)
	return doublings<<(lineBits-1) + int(uint64(d)>>(doublings+unitBits))
}

// least is the least time that is counted in a cell.
func least(cell int) time.Duration {
	doublings := max(0, cell/line-1)
	return time.Duration(cell-doublings*line) << (doublings + unitBits)
}

// trays are what a Set is made of.
type trays struct {
	response, service []tray
	lag, late         tray
}

func newTrays(routes int) *trays {
	return &trays{response: make([]tray, routes), service: make([]tray, routes)}
}

// pour adds what was counted to both, and forgets it.
func (t *trays) pour(interval, total *Set) {
	for i := range t.response {
		t.response[i].pour(interval.Response[i], total.Response[i])
		t.service[i].pour(interval.Service[i], total.Service[i])
	}
	t.lag.pour(interval.Lag, total.Lag)
	t.late.pour(interval.Late, total.Late)
}
