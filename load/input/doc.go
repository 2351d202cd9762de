// Package input is the way in for files that a user names: experiments, lists
// of requests, recordings, tables, certificates, pid files.
//
//	name ─▶ a regular file? ─▶ no larger than its kind may be? ─▶ as text, where it is one
//
// # Design
//
// A name may lead anywhere: to /dev/zero, to a FIFO that nobody writes to, to a
// core dump. So a file is looked at before it is opened, opened without waiting,
// looked at again by its descriptor, and read to the most that its kind may
// have. It is read whole: what reads it afterwards cannot be kept waiting in the
// middle of a run.
//
// A text is told apart by its kind, not by its bytes. A byte order mark of UTF-8
// is dropped and CRLF is LF, so that a file from any editor is the same file;
// UTF-16 and UTF-32 are named, because what a parser says of them helps nobody.
// Other bytes pass: whether they must be UTF-8 is the parser's to say.
//
// Files that the program made for itself, and those of /proc and /sys, are read
// without it.
package input
