package reports

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/series"
)

// Every series has a row for each column, windows as well, and every row is of as many
// fields as the head.
func TestCSVHasAllColumns(t *testing.T) {
	r := fixtures()["held"]
	window := *shortView().Whole
	window.From, window.To = 10e9, 12.3e9
	r.Series.Windows = []series.Window{{Fault: "x", Series: &window}}
	var out bytes.Buffer
	if err := CSV(&out, r); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || !slices.Equal(rows[0], csvHead) {
		t.Fatalf("%v, head %v", err, rows[0])
	}
	at := map[string][]string{}
	for _, row := range rows[1:] {
		if row[1] != "fault" {
			at[row[5]+" "+row[1]+" "+row[2]] = append(at[row[5]+" "+row[1]+" "+row[2]], row[0]+"+"+row[4])
		}
	}
	if len(at) != 2*(3+2+4+6+8+7) {
		t.Errorf("%d series: %v", len(at), at)
	}
	for name, got := range at {
		want := []string{"0+1", "1+1", "2+0.3"}
		if strings.HasPrefix(name, "window 1") {
			want = []string{"10+1", "11+1", "12+0.3"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: columns %v, want %v", name, got, want)
		}
	}
}

// A name is no formula in a spreadsheet.
func TestCSVHasNoFormula(t *testing.T) {
	for _, name := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "plain", "5% =x", ""} {
		r := fixtures()["hostile"]
		r.Series = shortView()
		r.Series.Whole.Routes[0].Name, r.Faults[0].Name, r.Faults[0].Injected = name, name, 1
		var out bytes.Buffer
		if err := CSV(&out, r); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row[2] != "" && strings.ContainsRune("=+-@", rune(row[2][0])) {
				t.Errorf("%q is a formula in %q", name, row)
			}
		}
	}
}

// A name does nothing in a table: no line begins with it.
func TestCSVOfHostileNames(t *testing.T) {
	r := fixtures()["hostile"]
	r.Series = shortView()
	r.Series.Whole.Routes[0].Name = "a\n::error::x\r\"b\",\x1b[2J"
	var out bytes.Buffer
	if err := CSV(&out, r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "::") || strings.ContainsAny(line, "\x1b\r") {
			t.Errorf("line %q", line)
		}
	}
	if rows, err := csv.NewReader(&out).ReadAll(); err != nil || len(rows) < 10 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

func TestCSVThatCannotBeWritten(t *testing.T) {
	if err := CSV(fullDisk{}, fixtures()["held"]); err == nil || !strings.Contains(err.Error(), "checkout-breaker") {
		t.Errorf("got %v", err)
	}
}

// A result is at most 3 MiB, a line for each list of figures, and is read back.
func TestLargeResult(t *testing.T) {
	dir := t.TempDir()
	r := largeRun()
	if err := Write(dir, []string{"json"}, r); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := JSON(&out, r); err != nil {
		t.Fatal(err)
	}
	if size := out.Len(); size > 3<<20 || size < 2<<20 {
		t.Errorf("%d bytes", size)
	}
	if lines := strings.Count(out.String(), "\n"); lines > 25_000 {
		t.Errorf("%d lines", lines)
	}
	back, err := Read(dir)
	if err != nil || len(back.Series.Whole.Routes) != len(r.Series.Whole.Routes) || back.Series.Whole.To != r.Series.Whole.To {
		t.Errorf("read back: %v", err)
	}
}
