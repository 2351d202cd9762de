package reports

import "io"

// LoadFormats lists the formats that RenderLoad and WriteLoad know.
func LoadFormats() []string { return []string{"csv", "html", "json", "markdown", "text"} }

// CheckLoad returns an error that names the known formats if one is unknown.
func CheckLoad(formats ...string) error { return among(LoadFormats(), formats) }

// LoadFile is the name of a format's file; "" if the format is unknown.
func LoadFile(format string) string {
	switch format {
	case "csv":
		return "load.csv"
	case "html":
		return "load.html"
	case "json":
		return "load.json"
	case "markdown":
		return "load.md"
	case "text":
		return "load.txt"
	}
	return ""
}

// RenderLoad writes a load in one format, text at its usual width.
func RenderLoad(w io.Writer, format string, l *Load) error {
	switch format {
	case "csv":
		return LoadCSV(w, l)
	case "html":
		return LoadHTML(w, l)
	case "json":
		return LoadJSON(w, l)
	case "markdown":
		return LoadMarkdown(w, l, SummaryLimit)
	case "text":
		return LoadText(w, l, TextOptions{})
	}
	return CheckLoad(format)
}

// WriteLoad puts a file for each format into dir, as Write does.
func WriteLoad(dir string, formats []string, l *Load) error {
	if err := CheckLoad(formats...); err != nil {
		return err
	}
	return writeAll(dir, formats, LoadFile, func(w io.Writer, format string) error { return RenderLoad(w, format, l) })
}
