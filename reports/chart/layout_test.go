package chart

import (
	"strconv"
	"strings"
	"testing"
)

// box is where something is on a screen, in pixels.
type box struct {
	name                     string
	left, right, top, bottom float64
}

// inPixels is a place across, as the drawing writes it, on a plot of that width.
func inPixels(t *testing.T, part string, width float64) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(part, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v / 100 * width
}

// glyphs is how wide a word is in 11 pixels of DejaVu Sans, the widest of the fonts a
// page may get.
func glyphs(word string) (width float64) {
	for _, r := range word {
		switch {
		case r == 'm':
			width += 10.7
		case strings.ContainsRune(".:/ il", r):
			width += 3.6
		default:
			width += 7
		}
	}
	return width
}

// words are those that are shown on a plot of that width, where the style sheet takes
// less than 640 for narrow.
func (d *drawing) words(t *testing.T, width float64) (all []box) {
	t.Helper()
	for _, w := range d.Texts {
		if hidden := " wide"; width < 600 && strings.HasSuffix(w.Class, hidden) || width >= 600 && w.Hidden {
			continue
		}
		length := glyphs(w.Text)
		left := inPixels(t, w.X, width) + float64(w.Dx)
		switch w.Anchor {
		case "middle":
			left -= length / 2
		case "end":
			left -= length
		}
		all = append(all, box{w.Text, left, left + length, float64(w.Y) - 10, float64(w.Y) + 3})
	}
	return all
}

// stretches are the rows' rectangles; of one that is drawn twice, both together.
func (d *drawing) stretches(t *testing.T, width float64) (all []box) {
	t.Helper()
	for _, r := range d.Rects {
		left := inPixels(t, r.X, width)
		right := left + float64(r.Pixels)
		switch {
		case r.Ends:
			left, right = left-float64(r.Pixels), left
		case r.Pixels == 0:
			right = left + inPixels(t, r.W, width)
		}
		if last := len(all) - 1; r.Pixels > 0 {
			all[last].left, all[last].right = min(left, all[last].left), max(right, all[last].right)
			continue
		}
		all = append(all, box{r.Title, left, right, float64(r.Y), float64(r.Y + r.H)})
	}
	return all
}

// stairs is one request with exchanges of these ends, on an axis of milliseconds.
func stairs(last float64, ends ...[2]float64) *Chart {
	c := &Chart{X: Axis{Kind: Millis, Max: last}, Stairs: true}
	for _, e := range ends {
		c.Lanes = append(c.Lanes, Lane{Name: "ledger: POST", Spans: []Stretch{{From: e[0], To: e[1], Tone: Green, Level: 0.6}}})
	}
	return c
}

// still are points of one value.
func still(kind Kind, v float64) *Chart {
	return &Chart{X: Axis{Kind: Time, Max: 19}, Y: Axis{Kind: kind}, At: Values{1, 9, 19}, Height: 170,
		Series: []Series{{Name: "each", Tone: Blue, Dots: true, Y: Values{v, v, v}}}}
}

// Words are within the drawing and not upon each other, and what is drawn in a row can
// be seen: on a phone, on paper and on a screen.
func TestLayout(t *testing.T) {
	for name, c := range map[string]*Chart{
		"a tick near the end":          stairs(0.2643, [2]float64{0, 0.259}), // 0.25ms is at 94.6%
		"a longer one":                 stairs(314, [2]float64{0, 308}),
		"short ones far apart":         stairs(4090, [2]float64{0, 6.6}, [2]float64{7.07, 7.13}, [2]float64{4009, 4009.1}),
		"a short one at the end":       stairs(100, [2]float64{0, 50}, [2]float64{99.9, 100}),
		"a day":                        {X: Axis{Kind: Time, Max: 86400}, Lanes: []Lane{{Spans: []Stretch{{To: 86400, Level: 1}}}}},
		"points of one value":          still(Plain, 8),
		"points of 0":                  still(Plain, 0),
		"points of 100%":               still(Percent, 100),
		"points that hardly differ":    {X: Axis{Max: 2}, At: Values{0, 2}, Series: []Series{{Dots: true, Y: Values{8, 8.0000001}}}},
		"areas high beside each other": areasSideBySide(),
	} {
		t.Run(name, func(t *testing.T) {
			c.ID = "a"
			c.Fit()
			d := c.draw()
			for _, width := range []float64{316, 753, 1140} {
				words := d.words(t, width)
				for i, w := range words {
					if w.left < -1 || w.right > width+1 || w.top < -2 || w.bottom > float64(d.Height)+2 {
						t.Errorf("%v wide: %s is cut off: from %.1f to %.1f", width, w.name, w.left, w.right)
					}
					for _, o := range words[i+1:] {
						if min(w.right, o.right)-max(w.left, o.left) > 2 && min(w.bottom, o.bottom)-max(w.top, o.top) > 6 {
							t.Errorf("%v wide: %s and %s are one upon the other", width, w.name, o.name)
						}
					}
				}
				for _, s := range d.stretches(t, width) {
					if s.right-s.left < 4 || s.left < 0 || s.right > width+1 {
						t.Errorf("%v wide: %s is drawn from %.1f to %.1f", width, s.name, s.left, s.right)
					}
				}
			}
		})
	}
}

// areasSideBySide are exchanges without error for four seconds, then errors, each with
// room for a name in the middle of its own seconds, but not for both.
func areasSideBySide() *Chart {
	return &Chart{X: Axis{Kind: Time, Max: 11}, Y: Axis{Kind: Rate}, Step: 1, N: 11, Height: 110, Series: []Series{
		{Name: "without error", Tone: Blue, Area: true, Y: Values{183, 185, 183, 183, 0, 0, 0, 0, 0, 72, 8}},
		{Name: "errors", Tone: Red, Area: true, Y: Values{183, 185, 183, 184, 181, 47, 0, 1, 0, 72, 8},
			Low: Values{183, 185, 183, 183, 0, 0, 0, 0, 0, 72, 8}},
	}}
}
