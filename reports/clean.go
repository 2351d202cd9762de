package reports

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/input"
)

// Clean makes one line of text that others chose, to be read and to do nothing
// else: names, reasons and errors may carry bytes of a system under test, of a
// file or of a file's name. All that prints such text goes through it, or through
// CleanLines.
//
// White space becomes a space. What moves the cursor, colours a terminal, turns
// the direction of writing or is not UTF-8 is shown as Go would quote it, like
// \x1b and \u202e. So is the first sign of what a CI system would take for a
// command in a log, like ::error:: and ##[group].
func Clean(text string) string {
	return withoutCommands(input.Printable(text))
}

func withoutCommands(text string) string {
	if strings.Contains(text, "::") || strings.Contains(text, "##") {
		text = colonCommand.ReplaceAllString(text, `$1\x3a:$2`)
		text = hashCommand.ReplaceAllString(text, `\x23#$1`)
	}
	return text
}

// CleanLines is Clean for each line of text.
func CleanLines(text string) string {
	return unit.List(strings.Split(text, "\n"), "\n", Clean)
}

// The commands of GitHub's runners stand at the beginning of a line, where any
// word may come by wrapping, after any white space, a no-break space included; those
// of Azure and TeamCity anywhere. An IPv6 address that begins with :: is none of them.
var (
	colonCommand = regexp.MustCompile(`(^|[\s\x{a0}])::([A-Za-z-]+(?:::|\s))`)
	hashCommand  = regexp.MustCompile(`(?i)##(\[|vso\[|teamcity\[)`)
)

// CleanJSON writes what does something in JSON's own escapes: the value stays
// the same. encoding/json does so for those below the space alone.
func CleanJSON(text []byte) []byte {
	text = hashCommand.ReplaceAll(text, []byte(`\u0023#$1`))
	if bytes.IndexFunc(text, risky) < 0 {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case !risky(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return b.Bytes()
}

// risky reports whether a character of a JSON document can only be within a
// string, and does something.
func risky(r rune) bool { return r != '\n' && !input.Shown(r) }
