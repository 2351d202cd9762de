// Package series is a run over its length, bounded at any length: what reports draw.
// It decides nothing, and is pure: what a second saw comes as arguments.
package series
