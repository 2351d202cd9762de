package chart

import "math"

// MaxRows bounds a table: a longer one is read by nobody.
const MaxRows = 60

// Table is the chart as figures. Where there are more columns than MaxRows, a row is
// several of them and has the largest of each figure: nothing that was high is left
// out.
type Table struct {
	Caption string
	Heads   []string
	Rows    [][]string
}

// Table makes the table of the chart's series, or of its lanes.
func (c *Chart) Table() Table {
	if len(c.Lanes) > 0 {
		return c.laneTable()
	}
	n := c.columns()
	each := max(1, (n+MaxRows-1)/MaxRows)
	t := Table{Caption: c.Title, Heads: []string{c.X.head()}}
	if each > 1 {
		t.Caption += ": each row is " + thousands(float64(each), usualDigits) + " columns, and has the largest figure of them"
	}
	for _, s := range c.Series {
		t.Heads = append(t.Heads, s.Name)
	}
	for i := 0; i < n; i += each {
		row := []string{c.X.text(c.begin(i))}
		for _, s := range c.Series {
			most := math.NaN()
			for j := i; j < min(i+each, len(s.Y)); j++ {
				v := s.Y[j]
				if s.Area && j < len(s.Low) && !s.Range {
					v -= s.Low[j]
				}
				if math.IsNaN(most) || v > most {
					most = v
				}
			}
			if math.IsNaN(most) {
				row = append(row, "–")
			} else {
				row = append(row, c.Y.text(most))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (c *Chart) laneTable() Table {
	t := Table{Caption: c.Title, Heads: []string{"row", "what", "from", "to"}}
	for _, lane := range c.Lanes {
		for i, s := range lane.Spans {
			if i == MaxRows {
				break
			}
			t.Rows = append(t.Rows, []string{lane.Name, s.Name, c.X.text(s.From), c.X.text(s.To)})
		}
	}
	return t
}

// head is what stands above the column of the x axis.
func (a Axis) head() string {
	switch {
	case a.Label != "":
		return a.Label
	case a.Kind == Time:
		return "from"
	}
	return string(a.Kind)
}
