package reports

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

// Options is how formats are written. The zero value is how Render and Write do.
type Options struct {
	SkipInconclusive bool // in JUnit an inconclusive claim is skipped, and no error
}

// formatsOf are the formats of what is shown as T, by name. Those of a result are also
// experiment.ReportFormats.
type formatsOf[T any] map[string]struct {
	file   string // its name in the folder
	render func(io.Writer, T, Options) error
}

var ofResults = formatsOf[*result.Result]{
	"codequality": {"gl-code-quality-report.json", plain(CodeQuality)}, // as GitLab's own jobs call it
	"comment":     {"comment.md", func(w io.Writer, r *result.Result, _ Options) error { return Markdown(w, r, CommentLimit) }},
	"csv":         {"series.csv", plain(CSV)},
	"github":      {"annotations.txt", plain(GitHub)},
	"html":        {"report.html", plain(HTML)},
	"json":        {result.File, plain(JSON)},
	"junit":       {junitFile, JUnit},
	"markdown":    {"summary.md", func(w io.Writer, r *result.Result, _ Options) error { return Markdown(w, r, SummaryLimit) }},
	"openmetrics": {"metrics.txt", plain(OpenMetrics)}, // as GitLab's own jobs call it
	"text":        {"summary.txt", func(w io.Writer, r *result.Result, _ Options) error { return Text(w, r, TextOptions{}) }},
}

var ofLoads = formatsOf[*Load]{
	"csv":      {"load.csv", plain(LoadCSV)},
	"html":     {"load.html", plain(LoadHTML)},
	"json":     {"load.json", plain(LoadJSON)},
	"markdown": {"load.md", func(w io.Writer, l *Load, _ Options) error { return LoadMarkdown(w, l, SummaryLimit) }},
	"text":     {"load.txt", func(w io.Writer, l *Load, _ Options) error { return LoadText(w, l, TextOptions{}) }},
}

// plain is a format that has no options.
func plain[T any](render func(io.Writer, T) error) func(io.Writer, T, Options) error {
	return func(w io.Writer, of T, _ Options) error { return render(w, of) }
}

func (k formatsOf[T]) names() []string { return slices.Sorted(maps.Keys(k)) }

func (k formatsOf[T]) check(formats ...string) error {
	for _, f := range formats {
		if _, is := k[f]; !is {
			return fmt.Errorf("unknown report format %q: it is one of %s", f, strings.Join(k.names(), ", "))
		}
	}
	return nil
}

func (k formatsOf[T]) render(w io.Writer, format string, of T, o Options) error {
	if err := k.check(format); err != nil {
		return err
	}
	return k[format].render(w, of, o)
}

// write writes a file for each format into dir.
func (k formatsOf[T]) write(dir string, formats []string, of T, o Options) error {
	if err := k.check(formats...); err != nil {
		return err
	}
	formats = slices.Clone(formats)
	slices.Sort(formats)
	var errs []error
	for _, f := range slices.Compact(formats) {
		errs = append(errs, WriteFile(filepath.Join(dir, k[f].file), func(w io.Writer) error { return k[f].render(w, of, o) }))
	}
	return errors.Join(errs...)
}

// Formats lists the formats that Render and Write know.
func Formats() []string { return ofResults.names() }

// Check returns an error that names the known formats if one is unknown.
func Check(formats ...string) error { return ofResults.check(formats...) }

// File is the name of a format's file in the run directory; "" if the format
// is unknown.
func File(format string) string { return ofResults[format].file }

// Render writes the result in one format, text without colour and at its
// usual width.
func Render(w io.Writer, format string, r *result.Result) error {
	return Options{}.Render(w, format, r)
}

// Render is Render with these options.
func (o Options) Render(w io.Writer, format string, r *result.Result) error {
	return ofResults.render(w, format, r, o)
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
	return ofResults.write(dir, formats, r, o)
}

// LoadFormats lists the formats that WriteLoad knows.
func LoadFormats() []string { return ofLoads.names() }

// CheckLoad returns an error that names the known formats if one is unknown.
func CheckLoad(formats ...string) error { return ofLoads.check(formats...) }

// LoadFile is the name of a format's file; "" if the format is unknown.
func LoadFile(format string) string { return ofLoads[format].file }

// WriteLoad puts a file for each format into dir, as Write does.
func WriteLoad(dir string, formats []string, l *Load) error {
	return ofLoads.write(dir, formats, l, Options{})
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
