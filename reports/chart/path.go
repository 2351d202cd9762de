package chart

import (
	"math"
	"strconv"
)

// pen writes a path in whole units of the inner viewport, relative from point to
// point: that is a third of the bytes of absolute ones.
type pen struct {
	out  []byte
	x, y int
}

func (p *pen) op(letter byte, numbers ...int) {
	p.out = append(p.out, letter)
	for i, n := range numbers {
		if i > 0 && n >= 0 {
			p.out = append(p.out, ' ')
		}
		p.out = strconv.AppendInt(p.out, int64(n), 10)
	}
}

func (p *pen) move(x, y int) {
	p.op('M', x, y)
	p.x, p.y = x, y
}

// across and down draw a line to there; none if it is there already.
func (p *pen) across(x int) {
	if x != p.x {
		p.op('h', x-p.x)
		p.x = x
	}
}

func (p *pen) down(y int) {
	if y != p.y {
		p.op('v', y-p.y)
		p.y = y
	}
}

func (p *pen) to(x, y int) {
	p.op('l', x-p.x, y-p.y)
	p.x, p.y = x, y
}

func (p *pen) String() string { return string(p.out) }

func (d *drawing) px(v float64) int { return int(math.Round(wide * d.chart.X.at(v))) }

func (d *drawing) py(v float64) int { return int(math.Round(float64(d.Tall) * (1 - d.chart.Y.at(v)))) }

// drawn reports whether there is a value that the axis has.
func (d *drawing) drawn(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}

// runs calls do for each run of columns that have values.
func (d *drawing) runs(y Values, do func(from, to int)) {
	n := min(len(y), d.chart.columns())
	for i := 0; i < n; {
		if !d.drawn(y[i]) {
			i++
			continue
		}
		from := i
		for i < n && d.drawn(y[i]) {
			i++
		}
		do(from, i)
	}
}

// steps draws each column as wide as it is. Neighbours of one height are one line.
func (d *drawing) steps(s Series) string {
	var p pen
	d.runs(s.Y, func(from, to int) {
		p.move(d.px(d.chart.begin(from)), d.py(s.Y[from]))
		d.along(&p, s.Y, from, to)
	})
	return p.String()
}

// along goes on over columns that have values, to the end of the last.
func (d *drawing) along(p *pen, values Values, from, to int) {
	for i := from; i < to; i++ {
		if y := d.py(values[i]); y != p.y {
			p.across(d.px(d.chart.begin(i)))
			p.down(y)
		}
	}
	p.across(d.px(d.chart.end(to - 1)))
}

// polyline goes from point to point, over those that are missing.
func (d *drawing) polyline(s Series) string {
	var p pen
	for i := range min(len(s.Y), d.chart.columns()) {
		switch x, y := d.px(d.chart.begin(i)), s.Y[i]; {
		case !d.drawn(y):
		case p.out == nil:
			p.move(x, d.py(y))
		default:
			p.to(x, d.py(y))
		}
	}
	return p.String()
}

// dots are lines of no length with round ends: those stay round however wide the
// chart is.
func (d *drawing) dots(s Series) string {
	var p pen
	for i := range min(len(s.Y), d.chart.columns()) {
		if d.drawn(s.Y[i]) {
			p.move(d.px(d.chart.begin(i)), d.py(s.Y[i]))
			p.op('h', 0)
		}
	}
	return p.String()
}

// area fills from Low to Y: there along the upper edge, and back along the lower.
func (d *drawing) area(s Series) {
	var p pen
	d.runs(s.Y, func(from, to int) {
		p.move(d.px(d.chart.begin(from)), d.py(lowAt(s, from)))
		d.along(&p, s.Y, from, to)
		for i := to - 1; i >= from; i-- {
			if y := d.py(lowAt(s, i)); y != p.y {
				p.across(d.px(d.chart.end(i)))
				p.down(y)
			}
		}
		p.across(d.px(d.chart.begin(from)))
		p.op('z')
	})
	if p.out == nil {
		return
	}
	d.Paths = append(d.Paths, path{D: p.String(), Fill: Tones[s.Tone], Class: "f-" + string(s.Tone), Opacity: "0.38"})
}
