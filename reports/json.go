package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

// JSON writes the result as one indented document that ends in a newline: the
// content of result.json, and of `run --json`. The same result gives the same
// bytes. Lists are lists even when they are empty; one of figures is one line.
func JSON(w io.Writer, r *result.Result) error {
	complete := *r
	complete.Verdicts = orEmpty(r.Verdicts)
	complete.Routes = orEmpty(r.Routes)
	complete.Links = orEmpty(r.Links)
	complete.Faults = orEmpty(r.Faults)
	text, err := indented(&complete)
	if err != nil {
		return fmt.Errorf("write result of %s as JSON: %w", r.Name, err)
	}
	_, err = w.Write(append(CleanJSON(text), '\n'))
	return err
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// ErrNoResult says that a run directory has no result.json: the run was killed
// before it could rule. Its evidence can still be judged.
var ErrNoResult = errors.New("no result.json: the run did not end by itself")

// ErrDamaged says that result.json is empty, cut short or otherwise no JSON. The
// evidence beside it can still be judged.
var ErrDamaged = errors.New("it is damaged")

// Read reads the result of a run directory. A directory without one is
// ErrNoResult, one that holds something else ErrDamaged; a result of a schema that this version does not know is an
// error, because fields may have changed their meaning.
func Read(dir string) (*result.Result, error) {
	file := filepath.Join(dir, result.File)
	text, err := input.ReadBelow(dir, result.File, input.Result)
	if errors.Is(err, fs.ErrNotExist) {
		if info, dirErr := os.Stat(dir); dirErr == nil && info.IsDir() {
			return nil, fmt.Errorf("read %s: %w", dir, ErrNoResult)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	var r result.Result
	if err := json.Unmarshal(text, &r); !json.Valid(text) {
		return nil, fmt.Errorf("read %s: %w: %w", file, ErrDamaged, err)
	} else if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if r.Schema != result.Schema {
		return nil, fmt.Errorf("read %s: its schema is %d, this version reads %d", file, r.Schema, result.Schema)
	}
	r.Dir = dir
	return &r, nil
}
