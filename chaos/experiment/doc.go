// Package experiment reads the experiment file: one YAML document that says
// what to drive, what to break, and what must hold.
//
//	bytes ─▶ YAML nodes ─▶ --set ─▶ decode into structs ─▶ check what they say ─▶ *Experiment
//	             │            │             │                        │
//	             └────────────┴──────┬──────┴────────────────────────┘
//	                                 ▼
//	             Errors: every one with file:line:column, and what would be right
//
// # Design
//
// The structs are the file. A key is a field, the field's comment is its
// manual (Schema prints it), and there is no second list of either.
//
// A type may say four things about itself, here as in the packages whose
// structs appear in the file:
//
//	Defaults()                                   what is meant by keys that are absent
//	Required() []string                          keys that may not be absent
//	Check(report func(field, problem string))    what is wrong with it, seen alone
//	Refuse(key string) (problem, hint string)    why it has no such key
//
// What takes two nouns to see, like a route to a target that is not there, is
// checked here afterwards, in the file of the noun that refers to the other.
//
// Nothing is guessed. A key that is unknown, twice there, or has no value is an
// error, and so is a value in a form that two readers may read differently
// (yes, 010, 1_000). Text is kept as it was written: YAML's own idea of types
// is used only to tell null from the rest.
//
// All errors of a file are told at once. So that one mistake is not told
// twice, what depends on a value that could not be read is not checked.
package experiment
