package reports

import (
	"bytes"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// parse reads a report back as a pipeline does.
func parse(r *result.Result, o Options) (junitSuites, error) {
	var doc junitSuites
	var out bytes.Buffer
	if err := JUnit(&out, r, o); err != nil {
		return doc, err
	}
	// Unmarshal stops at the end of the root; nothing may come after it either.
	d := xml.NewDecoder(&out)
	if err := d.Decode(&doc); err != nil {
		return doc, err
	}
	for {
		switch token, err := d.Token(); {
		case err == io.EOF:
			return doc, nil
		case err != nil:
			return doc, err
		default:
			if text, ok := token.(xml.CharData); !ok || strings.TrimSpace(string(text)) != "" {
				return doc, &xml.SyntaxError{Msg: "something after the root"}
			}
		}
	}
}

func TestJUnitGates(t *testing.T) {
	type gate struct{ Tests, Failures, Errors, Skipped int }
	for _, c := range []struct {
		name string
		skip bool
		want gate
	}{
		{"held", false, gate{Tests: 2}},
		{"refuted", false, gate{Tests: 2, Failures: 1}},
		{"inconclusive", false, gate{Tests: 2, Errors: 1}},         // not checked is not passed
		{"partial", false, gate{Tests: 4, Failures: 1, Errors: 2}}, // three claims and the run itself
		{"empty", false, gate{Tests: 1, Errors: 1}},                // nothing claimed is not passed
		{"missing", false, gate{Tests: 3, Errors: 3}},              // the run lacks faults, and so both claims
		{"refuted", true, gate{Tests: 2, Failures: 1}},
		{"inconclusive", true, gate{Tests: 2, Skipped: 1}},
		{"partial", true, gate{Tests: 4, Failures: 1, Errors: 1, Skipped: 1}}, // cut short is more than inconclusive
		{"empty", true, gate{Tests: 1, Skipped: 1}},
		{"missing", true, gate{Tests: 3, Skipped: 3}},
	} {
		name, want := c.name, c.want
		doc, err := parse(fixtures()[name], Options{SkipInconclusive: c.skip})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		suite := doc.Suites[0]
		if diff := cmp.Diff(want, gate{suite.Tests, suite.Failures, suite.Errors, suite.Skipped}); diff != "" {
			t.Errorf("%s: counted (-want +got):\n%s", name, diff)
		}
		// What is counted is what is there: some readers trust one, some the other.
		var there gate
		for _, c := range suite.Cases {
			there.Tests++
			if c.Failure != nil {
				there.Failures++
			}
			if c.Error != nil {
				there.Errors++
			}
			if c.Skipped != nil {
				there.Skipped++
			}
		}
		if diff := cmp.Diff(want, there); diff != "" {
			t.Errorf("%s: there (-want +got):\n%s", name, diff)
		}
	}
}

func TestJUnitTellsClaimsApart(t *testing.T) {
	r := fixtures()["hostile"] // makes the same claim twice
	r.Verdicts = append(r.Verdicts, judge.Verdict{Kind: "steady", Name: "run"})
	doc, err := parse(r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range doc.Suites[0].Cases {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"retry", "retry (2)", "run", "run (2)"}, names); diff != "" { // the last is that it was stopped
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// What identifies a case is the same whatever was measured or claimed, and nobody
// who reads content alone misses anything.
func TestJUnitIsStable(t *testing.T) {
	type identity struct{ Class, Name, File string }
	identities := func(r *result.Result) (all []identity) {
		doc, err := parse(r, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range doc.Suites[0].Cases {
			all = append(all, identity{c.Classname, c.Name, c.File})
		}
		return all
	}
	r := breakerRun(judge.Refuted)
	r.Name = "checkout.v2" // a dot would be a package of its own
	before := identities(r)
	want := []identity{
		{"stormctl.checkout_v2", "steady: route pay", "examples/breaker.yaml"},
		{"stormctl.checkout_v2", "checkout-breaks", "examples/breaker.yaml"},
	}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		v.Claim, v.Reason, v.Ruling, v.Line = strings.ReplaceAll(v.Claim, "9", "8"), "another", judge.Held, v.Line+7
	}
	r.Seconds, r.Seed = 99, 8
	if diff := cmp.Diff(before, identities(r)); diff != "" {
		t.Errorf("another run has other cases (-before +after):\n%s", diff)
	}
	doc, err := parse(breakerRun(judge.Refuted), Options{})
	if err != nil {
		t.Fatal(err)
	}
	failure := doc.Suites[0].Cases[1].Failure
	for _, part := range []string{failure.Message, "examples/breaker.yaml:24", "2801"} {
		if !strings.Contains(failure.Text, part) {
			t.Errorf("the content lacks %q: %s", part, failure.Text)
		}
	}
}

func TestJUnitTimesAreOfTheClaims(t *testing.T) {
	r := breakerRun(judge.Held) // 30 s, with a fault from 5.0004 s to 15.0012 s
	r.Verdicts = append(r.Verdicts, judge.Verdict{Kind: "recovery"})
	times := func() (all []string) {
		doc, err := parse(r, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range doc.Suites[0].Cases {
			all = append(all, c.Time)
		}
		return all
	}
	if diff := cmp.Diff([]string{"5.000", "30.000", "14.999"}, times()); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
	r.Faults[0].Injected, r.Faults[0].Healed = -1, -1 // never injected: all of the run was steady, or not
	if diff := cmp.Diff([]string{"30.000", "30.000", "30.000"}, times()); diff != "" {
		t.Errorf("times without a fault (-want +got):\n%s", diff)
	}
}

// Whatever a system under test put into a name or a reason, the report is XML
// with a case for the claim.
func TestJUnitIsXML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		any := rapid.Custom(func(t *rapid.T) string {
			return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		})
		doc, err := parse(&result.Result{
			Name: any.Draw(t, "name"), About: any.Draw(t, "about"), Dir: any.Draw(t, "dir"),
			Verdicts: []judge.Verdict{{
				Claim: any.Draw(t, "claim"), Kind: "steady", Ruling: judge.Ruling(rapid.IntRange(0, 2).Draw(t, "ruling")),
				Reason: any.Draw(t, "reason"), Numbers: judge.Numbers{{Name: any.Draw(t, "number"), Value: 1}},
			}},
			Harness: result.Harness{Problems: []string{any.Draw(t, "problem")}},
		}, Options{SkipInconclusive: rapid.Bool().Draw(t, "skip")})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(doc.Suites[0].Cases); n != 1 {
			t.Fatalf("%d cases, want 1", n)
		}
	})
}

// The structure that Jenkins' xUnit plugin wants (its schema junit-10), with the one
// attribute besides that GitLab reads.
func TestJUnitHasTheCommonStructure(t *testing.T) {
	type element struct{ attributes, needs, children string }
	problem := element{attributes: "type message"}
	schema := map[string]element{
		"testsuites": {attributes: "name time tests failures errors", children: "testsuite"},
		"testsuite": {attributes: "name tests failures errors group time skipped timestamp hostname id package file log url",
			needs: "name tests failures errors", children: "properties testcase system-out system-err"},
		"testcase": {attributes: "name time classname group file", needs: "name", // file is GitLab's
			children: "skipped error failure system-out system-err"},
		"properties": {children: "property"}, "property": {attributes: "name value", needs: "name value"},
		"skipped": problem, "error": problem, "failure": problem, "system-out": {}, "system-err": {},
	}
	all := fixtures()
	all["markup"] = markupRun()
	for name, r := range all {
		for _, skip := range []bool{false, true} {
			var out bytes.Buffer
			if err := JUnit(&out, r, Options{SkipInconclusive: skip}); err != nil {
				t.Fatal(err)
			}
			within := []string{""}
			in := xml.NewDecoder(&out)
			for {
				token, err := in.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				switch token := token.(type) {
				case xml.EndElement:
					within = within[:len(within)-1]
				case xml.StartElement:
					is, parent := token.Name.Local, within[len(within)-1]
					of, known := schema[is]
					if !known || parent != "" && !slices.Contains(strings.Fields(schema[parent].children), is) {
						t.Errorf("%s: %s stands in %q", name, is, parent)
					}
					var has []string
					for _, a := range token.Attr {
						has = append(has, a.Name.Local)
						if !slices.Contains(strings.Fields(of.attributes), a.Name.Local) {
							t.Errorf("%s: %s has the attribute %s", name, is, a.Name.Local)
						}
					}
					for _, need := range strings.Fields(of.needs) {
						if !slices.Contains(has, need) {
							t.Errorf("%s: %s lacks the attribute %s", name, is, need)
						}
					}
					within = append(within, is)
				}
			}
		}
	}
}
