// Package chapters cuts a soak into chapters, so that a run of any length is judged in
// the memory of one of them.
//
//	records ─▶ Writer ─▶ chapter 7 (its last requests end) ─▶ judged ─▶ chapters.jsonl ─▶ Sum: the soak's claims
//	              └────▶ chapter 8 (the present one)            │
//	                                                        Keeper: whose evidence is kept
//
// # Design
//
// A chapter is a run directory of its own, read by what reads runs and judged by what
// judges them: no claim knows of chapters. A request belongs to the chapter in which it
// was due, with its steps and every call that it caused, so that a claim which counts
// the attempts of a request sees all of them, on whichever side of the border they were.
// For that a chapter stays open, beside the next one, until its requests have ended.
//
// A border is where no fault is in force. It is fixed a moment before it comes, and
// moved while something has not healed yet.
package chapters
