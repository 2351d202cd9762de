// Package chart says what a chart shows, and draws it.
//
//	         ┌─▶ SVG   ─▶ what is there without scripts, and on paper
//	Chart ───┼─▶ JSON  ─▶ the page's script, which draws the same on a canvas
//	         └─▶ Table ─▶ what a screen reader reads
//
// # Design
//
// A chart is data and no drawing: what is to be seen (columns over an axis, bands,
// marks, lanes) and how it is told apart (a tone and a dash, or a height), but no
// coordinate. So both renderers show the same, and a test compares numbers.
//
// The SVG has presentation attributes only, as a style attribute, and a style sheet
// too, are turned off by some servers of artifacts. Its width is that of what it
// stands in: text and bands are placed in percent, and what is drawn stands in an
// inner viewport whose strokes do not scale. So it can be read on a phone without
// a script.
//
// Nothing is thinned out here: who makes a chart merges columns, and knows how.
package chart
