package reports

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// parse reads a report back as a pipeline does.
func parse(r *result.Result) (junitSuites, error) {
	var doc junitSuites
	var out bytes.Buffer
	if err := JUnit(&out, r); err != nil {
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
	type gate struct{ Tests, Failures, Errors int }
	for name, want := range map[string]gate{
		"held":         {Tests: 2},
		"refuted":      {Tests: 2, Failures: 1},
		"inconclusive": {Tests: 2, Errors: 1},              // not checked is not passed
		"partial":      {Tests: 4, Failures: 1, Errors: 2}, // three claims and the run itself
		"empty":        {Tests: 1, Errors: 1},              // nothing claimed is not passed
	} {
		doc, err := parse(fixtures()[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		suite := doc.Suites[0]
		if diff := cmp.Diff(want, gate{suite.Tests, suite.Failures, suite.Errors}); diff != "" {
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
		}
		if diff := cmp.Diff(want, there); diff != "" {
			t.Errorf("%s: there (-want +got):\n%s", name, diff)
		}
	}
}

func TestJUnitTellsClaimsApart(t *testing.T) {
	doc, err := parse(fixtures()["hostile"]) // makes the same claim twice
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range doc.Suites[0].Cases {
		if names[c.Name] {
			t.Errorf("two cases are called %q", c.Name)
		}
		names[c.Name] = true
	}
	if len(names) != 3 { // the claim twice, and the run that was stopped
		t.Errorf("%d cases, want 3", len(names))
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
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(doc.Suites[0].Cases); n != 1 {
			t.Fatalf("%d cases, want 1", n)
		}
	})
}
