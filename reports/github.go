package reports

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// mostAnnotations is how many of a kind GitHub shows of one step; it drops the
// rest without a word.
const mostAnnotations = 10

// GitHub writes the result as workflow commands, which a runner of GitHub makes
// annotations of: a line for each claim that did not hold, at its line of the
// experiment. Refuted ones are errors, inconclusive ones warnings. Of more than
// GitHub shows, the last says how many there are besides. A run all of whose claims
// held, to its end, writes nothing.
//
// Commands do something: they are for the log of a runner, and for nobody else.
func GitHub(w io.Writer, r *result.Result) error {
	var failed, open []annotation
	names := claimNames(r)
	for i, v := range r.Verdicts {
		a := annotation{file: r.File, line: v.Line, title: v.Ruling.String() + ": " + names[i], text: v.Reason}
		switch v.Ruling {
		case judge.Refuted:
			failed = append(failed, a)
		case judge.Inconclusive:
			open = append(open, a)
		}
	}
	switch problem := wholeRun(r); {
	case problem == nil:
	case r.Partial:
		failed = append(failed, annotation{file: r.File, title: "stopped early", text: problem.Message})
	default:
		open = append(open, annotation{file: r.File, title: "inconclusive", text: problem.Message})
	}
	var out bytes.Buffer
	annotate(&out, "error", failed)
	annotate(&out, "warning", open)
	_, err := w.Write(out.Bytes())
	return err
}

// annotation is one message of GitHub's.
type annotation struct {
	file        string // "" is none
	line        int    // 0 is none
	title, text string
}

func annotate(out *bytes.Buffer, kind string, all []annotation) {
	if n := len(all); n > mostAnnotations {
		more := annotation{file: all[0].file, title: fmt.Sprintf("%d more", n-mostAnnotations+1), text: "all of them are in " + junitFile}
		all = append(all[:mostAnnotations-1:mostAnnotations-1], more)
	}
	for _, a := range all {
		var properties []string
		if a.file != "" {
			properties = append(properties, "file="+commandProperty(a.file))
			if a.line > 0 {
				properties = append(properties, "line="+strconv.Itoa(a.line))
			}
		}
		properties = append(properties, "title="+commandProperty(a.title))
		fmt.Fprintf(out, "::%s %s::%s\n", kind, strings.Join(properties, ","), commandData(a.text))
	}
}

// commandData is foreign text as the data of a workflow command, in one line.
func commandData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(Clean(text))
}

// commandProperty is foreign text as a property of a workflow command.
func commandProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(commandData(text))
}
