package reports

import (
	"strconv"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports/chart"
)

// mostEvents bounds the events that are drawn: more could not be told apart.
const mostEvents = 20

// eventMarks are the events of a run on the time axis, by numbers, and the lanes that say
// what they are. Others are in the notes of the page.
func eventMarks(events []result.Event, end float64) (marks []chart.Mark, lanes []chart.Lane) {
	for i, e := range events {
		if i == mostEvents {
			break
		}
		tone := chart.Gray
		if e.Kind == "death" {
			tone = chart.Red
		}
		number := strconv.Itoa(i + 1)
		marks = append(marks, chart.Mark{At: e.At, X: true, Label: number, Tone: tone})
		lanes = append(lanes, chart.Lane{Name: number + "  " + shown(e.Text, 80),
			Spans: []chart.Stretch{{From: e.At, To: e.At + end/200, Tone: tone, Level: 1}}})
	}
	return marks, lanes
}
