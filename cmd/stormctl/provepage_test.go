package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

const (
	pageHead = `# Implementations

What stormctl finds of implementations that people use, set up as their own documentation has it. Each is an experiment of
[targets/proving](../targets/proving), which claims the documented figures. Made by ` + "`make prove`" + `, of the versions and on the
days named: nothing stands here that was not measured. One row again: ` + "`make prove ONLY='^gobreaker$'`" + `.

- *discovered* is what ` + "`stormctl discover`" + ` measured with nothing claimed: ✓ within a tenth of the documented figure or an
  interval that has it, ✗ something is not, ? something was not found, and it says itself that the machine was not well.
- *ruling* is how often all documented figures held, of so many runs.
- *false figures* are the same runs ruled on again with one number off, by ×0.5 to ×2 and by 1, in each direction that makes it false.
  None may be held.

What is inconclusive is mostly the spread of waits, hidden by a host that has other things to do: on two cores, up to five are
measured at a time. How long each of *replicas* waited nobody can tell who sees but the one link behind all three.

Traefik is not in it: v3.7.13 does not build from its module (2026-11-30). Its go.mod has github.com/traefik/traefik/dynamic/ext
in a folder that the module's archive lacks (*replacement directory ./pkg/config/dynamic/ext does not exist*), and of the 2,425
packages of its middlewares circuitbreaker and retry alone, 419 are go-acme/lego's, which needs 14 modules of versions
that are not to be had. Its circuitBreaker is vulcand/oxy's, which has a row.

| implementation | version | documented | discovered | ruling | false figures | date |
| --- | --- | --- | --- | --- | --- | --- |
`
	rowStart = "| ["
)

// rewritePage puts what was measured into the table, and leaves the rows of what was not
// measured this time as they are. The order is that of the list.
func rewritePage(file string, proofs []*proof) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rows := rowsOf(string(before))
	for _, p := range proofs {
		if row := p.row(); row != "" {
			rows[p.of.name] = row
		}
	}
	var b strings.Builder
	b.WriteString(pageHead)
	for _, i := range implementations {
		if row := rows[i.name]; row != "" {
			b.WriteString(row + "\n")
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// rowsOf are the rows of a page by implementation.
func rowsOf(page string) map[string]string {
	rows := map[string]string{}
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, rowStart); ok {
			name, _, _ := strings.Cut(rest, "]")
			rows[name] = strings.TrimSuffix(line, "\n")
		}
	}
	return rows
}

// row is the proof as a row; "" if nothing was measured.
func (p *proof) row() string {
	if p.unrunnable != "" || len(p.found) == 0 || len(p.quiet) == 0 {
		return ""
	}
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	return rowStart + p.of.name + "](../targets/proving/" + p.of.name + ".yaml) | " + strings.Join([]string{
		cell(p.version), cell(p.documented), cell(p.discovered()), p.ruling(), p.lies(), p.date,
	}, " | ") + " |"
}

// A row that was measured takes the place of its last one; others stay, and what was not
// run leaves no row.
func TestRewritePage(t *testing.T) {
	file := t.TempDir() + "/page.md"
	first := proof{of: implementations[0], version: "v1", documented: "a | b", quiet: []trial{{outcome: right}}, found: []found{{}}}
	other := proof{of: implementations[1], version: "v1", quiet: []trial{{outcome: leftOpen}}, found: []found{{}}}
	missing := proof{of: implementations[2], unrunnable: "not installed"}
	if err := rewritePage(file, []*proof{&other, &first, &missing}); err != nil {
		t.Fatal(err)
	}
	other.version, other.quiet = "v2", []trial{{outcome: right}, {outcome: right}}
	if err := rewritePage(file, []*proof{&other}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{pageHead, "a \\| b", "| v2 |", "held 2 of 2"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	rows := rowsOf(text)
	if len(rows) != 2 || strings.Contains(rows[other.of.name], "v1") || !strings.Contains(rows[first.of.name], "held 1 of 1") {
		t.Errorf("got %d rows: %v", len(rows), rows)
	}
	if strings.Index(text, rows[first.of.name]) > strings.Index(text, rows[other.of.name]) {
		t.Error("the rows are not in the order of the list")
	}
}
