// Package reports renders what a run came to: the summary and a page for people,
// JSON for machines, JUnit for pipelines, CSV for tables.
//
//	                    ┌─▶ Text   ─▶ terminal, summary.txt
//	*result.Result ─────┼─▶ JSON   ─▶ result.json
//	                    ├─▶ HTML   ─▶ report.html, by way of package chart
//	                    ├─▶ JUnit  ─▶ junit.xml
//	                    └─▶ CSV    ─▶ series.csv
//
// # Design
//
// A format is a pure function from the result to bytes, in one file; a new one
// is a new file and a line in [Render] and one in [File]. Nothing here rules,
// rounds a ruling away or looks at the evidence: what the result does not say,
// a report does not know. [HTML] alone shows something besides: the experiment,
// which is in the run directory and in no result.
//
// All formats say the same in the same order: first what makes the rulings
// weaker than they look (the run was cut short, the harness was not well),
// then the rulings, then the figures.
package reports
