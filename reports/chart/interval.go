package chart

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
)

// Interval is a figure that is known to lie within two, beside what it may be. Ends
// may be infinite.
type Interval struct {
	ID                      string
	SeenLow, SeenHigh       float64
	AllowedLow, AllowedHigh float64
	Text                    string // the same in words
	SeenText, AllowedText   string
	Tone                    Tone // of what was seen
}

var intervalTemplate = template.Must(template.New("interval").Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="40" role="img" aria-label="{{.Text}}" ` +
		`font-family="system-ui, sans-serif" font-size="11">` +
		`<rect x="0" y="17" width="100%" height="8" fill="#c4ccd4" class="f-gray" fill-opacity="0.25"/>` +
		`{{with .Allowed}}<rect x="{{.X}}%" y="14" width="{{.W}}%" height="14" fill="#22813f" class="f-green" fill-opacity="0.3"/>{{end}}` +
		`<rect x="{{.Seen.X}}%" y="17" width="{{.Seen.W}}%" height="8" rx="2" fill="{{.Fill}}" class="f-{{.Tone}}"/>` +
		`<text x="{{.At}}%" y="10" text-anchor="{{.Anchor}}" fill="{{.Fill}}" class="f-{{.Tone}}" font-weight="600">{{.SeenText}}</text>` +
		`{{with .AllowedText}}<text x="0" y="38" fill="#52606d" class="tick">claimed {{.}}</text>{{end}}</svg>`))

// seenShare is the part of the width that a character takes where there is least room.
const seenShare = 0.038

// SVG draws it on an axis of its own: what is allowed as a shade, what was seen as a
// bar upon it. So the eye sees whether all of it, a part or none is within.
func (v Interval) SVG() (template.HTML, error) {
	low, high := v.ends()
	at := func(x float64) float64 { return min(1, max(0, (x-low)/(high-low))) }
	span := func(from, to float64) *rect {
		begin := at(from)
		return &rect{X: percent(min(begin, 0.985)), W: percent(max(at(to)-begin, 0.015))}
	}
	seen := span(v.SeenLow, v.SeenHigh)
	// The text stands over the middle, as far as it is not cut off by an edge.
	middle, anchor := (at(v.SeenLow)+at(v.SeenHigh))/2, "middle"
	switch half := seenShare * float64(len(v.SeenText)) / 2; {
	case middle < half:
		middle, anchor = 0, "start"
	case middle > 1-half:
		middle, anchor = 1, "end"
	}
	var allowed *rect
	if v.AllowedText != "" {
		allowed = span(v.AllowedLow, v.AllowedHigh)
	}
	var out bytes.Buffer
	err := intervalTemplate.Execute(&out, struct {
		Interval
		Seen, Allowed *rect
		At, Anchor    string
		Fill          string
	}{v, seen, allowed, percent(middle), anchor, Tones[v.Tone]})
	if err != nil {
		return "", fmt.Errorf("draw interval %s: %w", v.ID, err)
	}
	return template.HTML(out.String()), nil //nolint:gosec // the template has escaped it
}

// ends are those of the axis: from 0, unless all of it is far away from there.
func (v Interval) ends() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, x := range []float64{v.SeenLow, v.SeenHigh, v.AllowedLow, v.AllowedHigh} {
		if !math.IsInf(x, 0) && !math.IsNaN(x) {
			low, high = min(low, x), max(high, x)
		}
	}
	switch {
	case math.IsInf(low, 1):
		return 0, 1
	case low >= 0 && low < 0.6*high || high == low:
		low = min(0, low)
	default:
		low -= (high - low) / 2
	}
	if high <= low {
		return low, low + 1
	}
	return low, high + (high-low)*0.12
}
