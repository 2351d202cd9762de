// Package experiment is the experiment file: one YAML document that says what
// to drive, what to break, and what must hold.
//
//	bytes ─▶ strict.Read ─▶ structs ─▶ rules ─▶ resolve ─▶ *Experiment
//	             │                       │
//	             └───────────┬───────────┘
//	                         ▼
//	    strict.Errors: each with file:line:column, and what would be right
//
// # Design
//
// The structs are the file. A key is a field, the field's comment is its
// manual (Schema prints it), and there is no second list of either. What a type
// may say about itself is listed in package strict, which reads the file.
//
// What takes two nouns to see, like a route to a target that is not there, is
// checked here afterwards (rules), in the file of the noun that refers to the
// other.
package experiment
