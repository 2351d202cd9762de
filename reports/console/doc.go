// Package console is the page of a game day: people in a room look at one run
// together, and act on it by hand.
//
//	run ──event, progress──▶ board ──snapshot──▶ parts (HTML) ──SSE──▶ browsers
//	 ▲                     (mutex, bounded)     made once for all      each in its own time
//	 └── chaos.Control ◀── acts ◀── role ◀── cookie ◀── guard ◀──POST──────┘
//	                     └──▶ journal
//
// # Design
//
// The run never waits for a browser. It leaves what happened on the board, which
// takes a lock for a few assignments, and wakes who reads it. A reader that is woken
// takes the newest state: nothing is queued for one that is slow, and one that stops
// reading is left after ten seconds. What is shown is made once for all of them.
//
// A page that is loaded anew is made of the board, so that it lacks nothing; what is
// told of one by one, the lines of the timeline, has the line's number as its id, and
// a stream goes on behind the last one that its browser has seen.
//
// Everything works without scripts: forms are posted, and answered with the page. The
// script sends the same forms, and puts in place what the stream brings.
//
// What a page may do is what the experiment's palette names, by its place in it: no
// fault is described by a request, and no command is. Everybody may halt.
//
// The end of the run ends the streams, and waits for no browser.
package console
