package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/reports"
)

// loadReports are the files that a load writes besides what it prints.
type loadReports struct {
	formats []string
	out     string // the folder that they go to
}

func (o *loadReports) AddFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.formats, "report", nil, "`formats` to write into the folder of --out: "+strings.Join(reports.LoadFormats(), ", "))
	f.StringVar(&o.out, "out", "", "`directory` for what --report writes")
}

// check refuses what makes no sense.
func (o *loadReports) check() error {
	if err := reports.CheckLoad(o.formats...); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	switch {
	case len(o.formats) > 0 && o.out == "":
		return errors.New("--report: say by --out DIR where to")
	case len(o.formats) == 0 && o.out != "":
		return errors.New("--out: say by --report what to write there: " + strings.Join(reports.LoadFormats(), ", "))
	}
	return nil
}

// prepare makes the folder before anything is sent, and refuses one that has the
// reports of another load.
func (o *loadReports) prepare() error {
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	for _, format := range o.formats {
		file := filepath.Join(o.out, reports.LoadFile(format))
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("--out: %s is there already: give another directory, or remove it", file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

func (o *loadReports) write(l *reports.Load) error {
	if o.out == "" {
		return nil
	}
	return reports.WriteLoad(o.out, o.formats, l)
}
