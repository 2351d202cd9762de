package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Table is the data of ${data.COLUMN}: what requests differ in. It is
// read-only while templates use it.
type Table struct {
	Names   []string   // of the columns, all different
	Columns [][]string // Columns[i] are the values of column Names[i], by row; all have as many
}

// Rows is how many there are.
func (t *Table) Rows() int {
	if len(t.Columns) == 0 {
		return 0
	}
	return len(t.Columns[0])
}

func (t *Table) column(name string) ([]string, error) {
	i := slices.Index(t.Names, name)
	if i < 0 {
		return nil, fmt.Errorf("the data has no such column; it has %s", strings.Join(t.Names, ", "))
	}
	if len(t.Columns[i]) == 0 {
		return nil, errors.New("the data has no rows")
	}
	return t.Columns[i], nil
}
