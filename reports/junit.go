package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// The elements that Jenkins and GitLab both read, in the order of the schema of
// Jenkins' xUnit plugin. What it does not have is file of a test case, which GitLab
// shows and links: Jenkins' own junit step takes that, the xUnit plugin does not.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		File       string          `xml:"file,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		SystemOut  string          `xml:"system-out,omitempty"`
		SystemErr  string          `xml:"system-err,omitempty"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Classname string        `xml:"classname,attr"`
		Name      string        `xml:"name,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Time      string        `xml:"time,attr"`
		Skipped   *junitProblem `xml:"skipped"`
		Failure   *junitProblem `xml:"failure"`
		Error     *junitProblem `xml:"error"`
		SystemOut string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

const junitFile = "junit.xml"

// JUnit writes a test case per claim, so that a pipeline gates on claims as it
// does on tests: refuted is a failure, inconclusive an error, because a claim
// that could not be checked must not pass; with SkipInconclusive it is skipped. A run
// that ended early, that lacked a fault or that claimed nothing has one more case
// with an error, for the same reason.
//
// Pipelines compare cases by class and name with those of other runs, so a name has
// no figure in it, neither measured nor claimed. GitLab reads no message: all that is
// to be known stands in the content. The time of a case is that of the stretch of
// the run that its claim is about, where that is not the whole. Texts are cleaned as
// Clean does, line by line.
func JUnit(w io.Writer, r *result.Result, o Options) error {
	name := Clean(r.Name)
	suite := junitSuite{
		Name:      name,
		Time:      junitTime(r.Seconds),
		Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
		File:      Clean(r.File),
		Properties: []junitProperty{
			{"seed", strconv.FormatUint(r.Seed, 10)},
			{"ruling", r.Ruling.String()},
			{"partial", strconv.FormatBool(r.Partial)},
			{"harness_healthy", strconv.FormatBool(r.Harness.Healthy)},
		},
		SystemOut: CleanLines(r.About),
		SystemErr: CleanLines(strings.Join(r.Harness.Problems, "\n")),
	}
	for _, fault := range r.Missing {
		suite.Properties = append(suite.Properties, junitProperty{"fault_missing", Clean(fault)})
	}
	if r.Dir != "" {
		suite.Properties = append(suite.Properties, junitProperty{"run_directory", Clean(r.Dir)})
	}
	class := "stormctl." + strings.ReplaceAll(name, ".", "_") // a dot would be one more package
	names := claimNames(r)
	for i, v := range r.Verdicts {
		suite.Cases = append(suite.Cases, claimCase(r, v, o))
		suite.Cases[i].Name = names[i]
	}
	if problem := wholeRun(r); problem != nil {
		c := junitCase{Name: "run", Time: suite.Time, File: suite.File, Error: problem}
		for n := 2; slices.Contains(names, c.Name); n++ {
			c.Name = fmt.Sprintf("run (%d)", n)
		}
		if o.SkipInconclusive && !r.Partial { // one that was cut short is more than inconclusive
			c.Error, c.Skipped = nil, problem
		}
		suite.Cases = append(suite.Cases, c)
	}
	for i := range suite.Cases {
		c := &suite.Cases[i]
		c.Classname = class
		suite.count(c)
	}
	doc := junitSuites{Name: "stormctl", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors,
		Time: suite.Time, Suites: []junitSuite{suite}}
	text, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("write result of %s as JUnit: %w", r.Name, err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

func (s *junitSuite) count(c *junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

// junitTime is a length in seconds, as the schema has it.
func junitTime(seconds float64) string { return strconv.FormatFloat(seconds, 'f', 3, 64) }

// claimNames are what reports call the claims, each another.
func claimNames(r *result.Result) []string {
	names := result.Names(r.Verdicts)
	for i := range names {
		names[i] = Clean(names[i])
	}
	return names
}

// claimCase is one claim as a test case that has no name yet.
func claimCase(r *result.Result, v judge.Verdict, o Options) junitCase {
	c := junitCase{File: Clean(r.File), Time: junitTime(stretch(r, v.Kind)), SystemOut: figures(v)}
	switch problem := (&junitProblem{Type: v.Ruling.String(), Message: Clean(v.Reason), Text: CleanLines(proof(r, v))}); {
	case v.Ruling == judge.Held:
		c.SystemOut = strings.TrimSpace(CleanLines(proof(r, v)) + "\n" + c.SystemOut)
	case v.Ruling == judge.Refuted:
		c.Failure = problem
	case o.SkipInconclusive:
		c.Skipped = problem
	default:
		c.Error = problem
	}
	return c
}

// stretch is how long a claim of a kind was put to the test, in seconds: the
// steady state and what requests call until the first fault, a recovery from the
// last healing on, others all of the run.
func stretch(r *result.Result, kind string) float64 {
	first, last := r.Seconds, 0.0
	for _, f := range r.Faults {
		if f.Injected >= 0 {
			first = min(first, f.Injected)
		}
		last = max(last, f.Healed)
	}
	switch kind {
	case "steady", "fanout":
		return first
	case "recovery":
		return max(0, r.Seconds-last)
	}
	return r.Seconds
}

// wholeRun is what keeps the run as a whole from passing, whatever its claims
// came to; nil if nothing does.
func wholeRun(r *result.Result) *junitProblem {
	switch {
	case r.Partial:
		return &junitProblem{Type: "partial", Message: Clean(stopped(r)), Text: CleanLines(stopped(r))}
	case len(r.Missing) > 0:
		text := CleanLines(strings.Join(r.Missing, "\n"))
		return &junitProblem{Type: "fault_missing", Message: Clean(strings.Join(r.Missing, "; ")), Text: text}
	case len(r.Verdicts) == 0:
		return &junitProblem{Type: "inconclusive", Message: nothingClaimed, Text: nothingClaimed}
	}
	return nil
}

// figures is what a verdict's parts came to and its numbers, one a line, named
// as in result.json.
func figures(v judge.Verdict) string {
	var b strings.Builder
	for _, p := range v.Parts {
		ruling := p.Ruling.String()
		if p.Note {
			ruling = "note"
		}
		fmt.Fprintf(&b, "%s: %s: %s\n", p.Name, ruling, p.Reason)
	}
	if v.Despite != "" {
		fmt.Fprintf(&b, "stands all the same: %s\n", v.Despite)
	}
	for _, n := range v.Numbers {
		fmt.Fprintf(&b, "%s = %s\n", n.Name, strconv.FormatFloat(n.Value, 'g', -1, 64))
	}
	return CleanLines(strings.TrimSuffix(b.String(), "\n"))
}

// proof is the reason, what was claimed and where, and the ids that prove it.
func proof(r *result.Result, v judge.Verdict) string {
	text := v.Reason + "\nclaimed: " + claimTitle(v)
	if at := place(r, v); at != "" {
		text += "\nat " + at
	}
	if len(v.IDs) > 0 {
		text += "\nrequests " + joinIDs(v.IDs)
	}
	return text
}

// place is where a claim stands, FILE:LINE; "" if that is not known.
func place(r *result.Result, v judge.Verdict) string {
	switch {
	case r.File == "":
		return ""
	case v.Line == 0:
		return r.File
	}
	return fmt.Sprintf("%s:%d", r.File, v.Line)
}

// startTime prints the start of a run for people: in UTC, so that it can be
// laid beside logs of any machine.
func startTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
