package reports

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	columns := []column{{title: "route"}, {title: "due", right: true}, {title: "response p50", right: true},
		{title: "p99", right: true, full: "service p99", rank: 2}, {title: "max", right: true, rank: 1}, {title: "other than ok"}}
	rows := [][]string{
		{"pay", "7,500", "1.2ms", "8.8ms", "10.0s", "5xx:" + noBreak + "2,898; timed_out:" + noBreak + "12"},
		{"browse the shop", "12", "0.42ms", "1.9ms", "31ms", "-"},
		{"支付", "1", "9ms", "9ms", "9ms", "-"}, // four columns wide
	}
	for _, c := range []struct {
		width int
		want  string
	}{
		{100, `
  route              due  response p50    p99    max  other than ok
  pay              7,500         1.2ms  8.8ms  10.0s  5xx: 2,898; timed_out: 12
  browse the shop     12        0.42ms  1.9ms   31ms  -
  支付                 1           9ms    9ms    9ms  -
`},
		// The widest gives way first: the title of the response, then what there is other than ok.
		{60, `
                     response
  route         due       p50    p99    max  other than ok
  pay         7,500     1.2ms  8.8ms  10.0s  5xx: 2,898;
                                             timed_out: 12
  browse the     12    0.42ms  1.9ms   31ms  -
  shop
  支付            1       9ms    9ms    9ms  -
`},
		// 6+5+8+6+5+13 and six gaps are 55: both ranks go, as 6+5+8+5+13 and five gaps are 47.
		{40, `
                 response
  route     due       p50  other than ok
  pay     7,500     1.2ms  5xx: 2,898;
                           timed_out: 12
  browse     12    0.42ms  -
  the
  shop
  支付        1       9ms  -
  not shown at this width:
    service p99, max
`},
		// Words are broken where nothing else is left to do.
		{30, `
                 response  other
  route     due       p50  than ok
  pay     7,500     1.2ms  5xx: 2,8
                           98;
                           timed_ou
                           t: 12
  browse     12    0.42ms  -
  the
  shop
  支付        1       9ms  -
  not shown at this width:
    service p99, max
`},
	} {
		var out bytes.Buffer
		table(&out, c.width, columns, rows)
		if diff := cmp.Diff(c.want, "\n"+out.String()); diff != "" {
			t.Errorf("width %d (-want +got):\n%s\n%s", c.width, diff, out.String())
		}
	}
}
