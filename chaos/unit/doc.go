// Package unit reads and prints the units of the experiment file: shares
// ("5%"), rates ("100k/s"), sizes ("64KiB") and durations ("250ms"); and lists of anything.
package unit
