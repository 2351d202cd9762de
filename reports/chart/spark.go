package chart

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
)

// mostSpark bounds the points of a sparkline: a cell of a table has no more pixels.
const mostSpark = 110

var sparkTemplate = template.Must(template.New("spark").Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="120" height="22" viewBox="0 0 {{.Wide}} {{.Tall}}" ` +
		`preserveAspectRatio="none" role="img" aria-label="{{.Title}}">` +
		`<path d="{{.D}}" fill="none" stroke="{{.Stroke}}" class="s-{{.Tone}}" stroke-width="1.5" ` +
		`vector-effect="non-scaling-stroke"/></svg>`))

// Spark draws values without axes, for a cell of a table: from the least, or 0, to
// the most. Of more than it has room for each point is the largest of several.
func Spark(title string, tone Tone, y Values) (template.HTML, error) {
	each := max(1, (len(y)+mostSpark-1)/mostSpark)
	c := &Chart{Step: 1, Y: Axis{}, Series: []Series{{Y: nil}}}
	for i := 0; i < len(y); i += each {
		most := math.NaN()
		for _, v := range y[i:min(i+each, len(y))] {
			if math.IsNaN(most) || v > most {
				most = v
			}
		}
		c.Series[0].Y = append(c.Series[0].Y, most)
	}
	c.N = len(c.Series[0].Y)
	c.X.Max = float64(c.N)
	c.Fit()
	d := &drawing{Tall: 220, chart: c}
	var out bytes.Buffer
	err := sparkTemplate.Execute(&out, struct {
		Wide, Tall             int
		Title, D, Stroke, Tone string
	}{wide, d.Tall, title, d.steps(c.Series[0]), Tones[tone], string(tone)})
	if err != nil {
		return "", fmt.Errorf("draw sparkline: %w", err)
	}
	return template.HTML(out.String()), nil //nolint:gosec // the template has escaped it
}
