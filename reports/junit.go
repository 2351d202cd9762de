package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// The elements that Jenkins and GitLab both read. The attributes' names and
// order follow the XSD of Jenkins' xUnit plugin.
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
		Time      string        `xml:"time,attr"`
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

// JUnit writes a test case per claim, so that a pipeline gates on claims as it
// does on tests: refuted is a failure, inconclusive an error, because a claim
// that could not be checked must not pass. A run that ended early, that lacked a
// fault or that claimed nothing has one more case with an error, for the same
// reason.
//
// Each case carries the time of the whole run: that is how long its claim was
// put to the test. Texts are cleaned as Clean does, line by line.
func JUnit(w io.Writer, r *result.Result) error {
	seconds := strconv.FormatFloat(r.Seconds, 'f', 3, 64)
	suite := junitSuite{
		Name:      Clean(r.Name),
		Time:      seconds,
		Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
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
	seen := map[string]int{}
	for _, v := range r.Verdicts {
		suite.Cases = append(suite.Cases, claimCase(suite.Name, seconds, v, seen))
	}
	if problem := wholeRun(r); problem != nil {
		suite.Cases = append(suite.Cases, junitCase{Classname: suite.Name, Name: "run", Time: seconds, Error: problem})
	}
	for _, c := range suite.Cases {
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Error != nil {
			suite.Errors++
		}
	}
	doc := junitSuites{Name: "stormctl", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors,
		Time: seconds, Suites: []junitSuite{suite}}
	text, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("write result of %s as JUnit: %w", r.Name, err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

// claimCase is one claim as a test case. Readers tell cases apart by name
// alone, so a claim that is made twice is numbered.
func claimCase(class, seconds string, v judge.Verdict, seen map[string]int) junitCase {
	name := Clean(claimTitle(v))
	if seen[name]++; seen[name] > 1 {
		name = fmt.Sprintf("%s (%d)", name, seen[name])
	}
	c := junitCase{Classname: class, Name: name, Time: seconds, SystemOut: figures(v)}
	switch problem := (&junitProblem{Type: v.Ruling.String(), Message: Clean(v.Reason), Text: CleanLines(proof(v))}); v.Ruling {
	case judge.Held:
		c.SystemOut = strings.TrimSpace(CleanLines(v.Reason) + "\n" + c.SystemOut)
	case judge.Refuted:
		c.Failure = problem
	default:
		c.Error = problem
	}
	return c
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

// proof is the reason with the ids that prove it.
func proof(v judge.Verdict) string {
	if len(v.IDs) == 0 {
		return v.Reason
	}
	return v.Reason + "\nrequests " + joinIDs(v.IDs)
}

// startTime prints the start of a run for people: in UTC, so that it can be
// laid beside logs of any machine.
func startTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
