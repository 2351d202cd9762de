package reports

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

// Formats lists the formats that Render and Write know.
func Formats() []string {
	return []string{"codequality", "comment", "csv", "github", "html", "json", "junit", "markdown", "openmetrics", "text"}
}

// Options is how formats are written. The zero value is how Render and Write do.
type Options struct {
	SkipInconclusive bool // in JUnit an inconclusive claim is skipped, and no error
}

// Check returns an error that names the known formats if one is unknown.
func Check(formats ...string) error { return among(Formats(), formats) }

func among(known, formats []string) error {
	for _, f := range formats {
		if !slices.Contains(known, f) {
			return fmt.Errorf("unknown report format %q: it is one of %s", f, strings.Join(known, ", "))
		}
	}
	return nil
}

// File is the name of a format's file in the run directory; "" if the format
// is unknown.
func File(format string) string {
	switch format {
	case "codequality":
		return "gl-code-quality-report.json" // as GitLab's own jobs call it
	case "comment":
		return "comment.md"
	case "csv":
		return "series.csv"
	case "github":
		return "annotations.txt"
	case "html":
		return "report.html"
	case "json":
		return result.File
	case "junit":
		return "junit.xml"
	case "markdown":
		return "summary.md"
	case "openmetrics":
		return "metrics.txt" // as GitLab's own jobs call it
	case "text":
		return "summary.txt"
	}
	return ""
}

// Render writes the result in one format, text without colour and at its
// usual width.
func Render(w io.Writer, format string, r *result.Result) error {
	return Options{}.Render(w, format, r)
}

// Render is Render with these options.
func (o Options) Render(w io.Writer, format string, r *result.Result) error {
	switch format {
	case "codequality":
		return CodeQuality(w, r)
	case "comment":
		return Markdown(w, r, CommentLimit)
	case "csv":
		return CSV(w, r)
	case "github":
		return GitHub(w, r)
	case "html":
		return HTML(w, r)
	case "json":
		return JSON(w, r)
	case "junit":
		return JUnit(w, r, o)
	case "markdown":
		return Markdown(w, r, SummaryLimit)
	case "openmetrics":
		return OpenMetrics(w, r)
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
	return Options{}.Write(dir, formats, r)
}

// Write is Write with these options.
func (o Options) Write(dir string, formats []string, r *result.Result) error {
	if err := Check(formats...); err != nil {
		return err
	}
	return writeAll(dir, formats, File, func(w io.Writer, format string) error { return o.Render(w, format, r) })
}

// writeAll writes a file for each format into dir.
func writeAll(dir string, formats []string, name func(format string) string, render func(w io.Writer, format string) error) error {
	formats = slices.Clone(formats)
	slices.Sort(formats)
	var errs []error
	for _, f := range slices.Compact(formats) {
		file := filepath.Join(dir, name(f))
		if err := replace(file, func(w io.Writer) error { return render(w, f) }); err != nil {
			errs = append(errs, fmt.Errorf("write report %s: %w", file, err))
		}
	}
	return errors.Join(errs...)
}

// WriteFile gives file the content that write produces, whole or not at all.
func WriteFile(file string, write func(io.Writer) error) error {
	if err := replace(file, write); err != nil {
		return fmt.Errorf("write report %s: %w", file, err)
	}
	return nil
}

// replace gives file the content that write produces, by way of a temporary
// file beside it: only a rename within one file system is atomic. Both are in the
// folder as it is opened, whatever takes its place meanwhile, and a link that stands
// at file is replaced.
func replace(file string, write func(io.Writer) error) (err error) {
	folder, err := input.OpenDir(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer folder.Close()
	name := filepath.Base(file)
	beside := "." + name + "." + rand.Text()
	tmp, err := folder.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			_ = folder.Remove(beside)
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
	return folder.Rename(beside, name)
}
