package reports

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
)

// Formats lists the formats that Render and Write know.
func Formats() []string { return []string{"csv", "html", "json", "junit", "text"} }

// Check returns an error that names the known formats if one is unknown.
func Check(formats ...string) error {
	for _, f := range formats {
		if !slices.Contains(Formats(), f) {
			return fmt.Errorf("unknown report format %q: it is one of %s", f, strings.Join(Formats(), ", "))
		}
	}
	return nil
}

// File is the name of a format's file in the run directory; "" if the format
// is unknown.
func File(format string) string {
	switch format {
	case "csv":
		return "series.csv"
	case "html":
		return "report.html"
	case "json":
		return result.File
	case "junit":
		return "junit.xml"
	case "text":
		return "summary.txt"
	}
	return ""
}

// Render writes the result in one format, text without colour and at its
// usual width.
func Render(w io.Writer, format string, r *result.Result) error {
	switch format {
	case "csv":
		return CSV(w, r)
	case "html":
		return HTML(w, r)
	case "json":
		return JSON(w, r)
	case "junit":
		return JUnit(w, r)
	case "text":
		return Text(w, r, TextOptions{})
	}
	return Check(format)
}

// Write puts a file for each format into dir, each once however often it is
// named. A file is there whole or not at all: a reader while the run ends,
// or after a crash, sees the old content or the new. All formats are tried;
// the errors are joined.
func Write(dir string, formats []string, r *result.Result) error {
	if err := Check(formats...); err != nil {
		return err
	}
	formats = slices.Clone(formats)
	slices.Sort(formats)
	var errs []error
	for _, f := range slices.Compact(formats) {
		file := filepath.Join(dir, File(f))
		if err := replace(file, func(w io.Writer) error { return Render(w, f, r) }); err != nil {
			errs = append(errs, fmt.Errorf("write report %s: %w", file, err))
		}
	}
	return errors.Join(errs...)
}

// replace gives file the content that write produces, by way of a temporary
// file beside it: only a rename within one file system is atomic.
func replace(file string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	buf := bufio.NewWriter(tmp)
	if err := write(buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	// Without it a power cut can leave the new name on an empty file.
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
