// Package strict reads YAML into structs and says everything that is wrong with
// it, with the place and what would be right. It knows structs, not what they
// are about.
//
//	bytes ─▶ nodes ─▶ --set ─▶ structs ─▶ checks of the caller
//	parse.go           set.go   decode.go       │
//	   └────────────────┴──────────┴────────────┘
//	                    ▼
//	   Doc (document.go): Errors, each with file:line:column and a hint
//
// # Design
//
// The structs are the file: a key is an exported field with a yaml tag. A type
// may say more about itself:
//
//	Defaults()                                   what is meant by keys that are absent
//	Required() []string                          keys that may not be absent
//	Check(report func(field, problem string))    what is wrong with it, seen alone
//	Refuse(key string) (problem, hint string)    why it has no such key
//	Set, String, Notation                        how it is written, see Notation
//
// What takes several structs to see is checked by the caller after Read. Such a
// check looks at a value only if it was read without an error (Sound), and
// reports one that is not there through Lacks.
//
// Nothing is guessed. A key that is unknown, twice there, or has no value is an
// error, and so is a value in a form that two readers may read differently
// (yes, 010, 1_000). Text is kept as it was written: YAML's own idea of types
// is used only to tell null from the rest.
//
// All errors of a file are reported at once. So that one mistake is not
// reported twice, what depends on a value that could not be read is not
// checked.
package strict
