package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/targets/reference"
)

// completed is what the shell is told for the last of some words: values, then
// the directive, of which 4 is no files, 8 files with one of the endings that
// are the values, 16 folders, and 0 any file.
func completed(t *testing.T, words ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := execute(append([]string{"__completeNoDesc"}, words...), &out, &errs); code != exitHeld {
		t.Fatalf("%v: exit %d: %s", words, code, errs.String())
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		words string // the last is what is typed, after a space nothing
		want  string
	}{
		{"run ", "yaml yml json :8"},
		{"validate ", "yaml yml json :8"},
		{"judge ", ":16"},
		{"report ", ":16"},
		{"watch ", ":16"},
		{"target ", strings.Join(reference.Names(), " ") + " :4"},
		{"load ", ":4"}, // a URL
		{"run --report ", strings.Join(reports.Formats(), " ") + " :4"},
		{"run --report json,", "json," + strings.Join(reports.Formats(), " json,") + " :4"},
		{"load --report ", strings.Join(reports.LoadFormats(), " ") + " :4"},
		{"load --out ", ":16"},
		{"report --inconclusive ", "error skipped :4"},
		{"run --out ", ":16"},
		{"run --seed ", ":4"},
		{"run --set ", ":4"},
		{"report --format ", strings.Join(reports.Formats(), " ") + " :4"},
		{"load --protocol ", "http1 h2 grpc auto :4"},
		{"load --arrivals ", "constant poisson :4"},
		{"load --when-stalled ", "queue skip burst= :4"},
		{"load --har ", "har json :8"},
		{"load --cacert ", "pem crt cer key :8"},
		{"load --hlog ", ":0"},
		{"load --unix ", ":0"},
		{"load --rate ", ":4"},
		{"proxy --config ", "json yaml yml :8"},
		{"heal ", ":4"},
	} {
		if got := completed(t, strings.Split(c.words, " ")...); got != c.want {
			t.Errorf("%q completes to %q, want %q", c.words, got, c.want)
		}
	}
	if got := completed(t, "target", "--flaw", ""); !strings.HasPrefix(got, "never-opens ") || !strings.HasSuffix(got, " :4") {
		t.Errorf("--flaw completes to %q", got)
	}
}
