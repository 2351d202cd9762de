// Package reports renders what a run came to: the summary and a page for people,
// JSON for machines, CSV for tables, and what pipelines read.
//
//	                    ┌─▶ Text         ─▶ terminal, summary.txt
//	*result.Result ─────┼─▶ JSON         ─▶ result.json
//	                    ├─▶ HTML         ─▶ report.html, by way of package chart
//	                    ├─▶ CSV          ─▶ series.csv
//	                    ├─▶ JUnit        ─▶ junit.xml
//	                    ├─▶ Markdown     ─▶ summary.md, comment.md, the summary of a step
//	                    ├─▶ GitHub       ─▶ annotations.txt, the log of a step
//	                    ├─▶ CodeQuality  ─▶ gl-code-quality-report.json
//	                    └─▶ OpenMetrics  ─▶ metrics.txt
//
// # Design
//
// A format is a pure function from the result to bytes, in one file; a new one
// is a new file and a row in formats.go. Nothing here rules,
// rounds a ruling away or looks at the evidence: what the result does not say,
// a report does not know. [HTML] alone shows something besides: the experiment,
// which is in the run directory and in no result.
//
// Names, reasons and errors are text of others, which a terminal, a runner or a
// browser may make something of. Each format has one function that makes them
// text and nothing else, and tests that read it as hosts do: Clean, markdownText,
// commandData, labelValue.
//
// All formats say the same in the same order: first what makes the rulings
// weaker than they look (the run was cut short, the harness was not well),
// then the rulings, then the figures.
package reports
