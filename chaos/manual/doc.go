// Package manual makes descriptions of the comments of the source: a schema is published with
// what the code says of its fields, so that there is one text of each.
package manual
