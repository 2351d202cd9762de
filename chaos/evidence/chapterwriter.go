package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/load/wire"
)

// ChapterWriter writes one chapter of a soak: its records, and in its timeline the
// seconds with what is its own of what ended in them. Two chapters are written to at
// once while requests of the first are under way. It is used by one goroutine; events
// may come from others.
type ChapterWriter struct {
	Dir string

	root     *os.Root // Dir, as it was when it was made
	header   Header
	timeline *TimelineWriter
	samples  *csvFile
	links    map[string]*chapterLink
	others   map[string]*csvFile // further files of records, by name
	most     int64               // bytes of a file

	routes   map[string][load.Outcomes]uint64 // what was recorded since the last tick
	steps    uint64                           // of it
	arrivals uint64                           // so far: requests that are no steps
	ticked   time.Duration                    // when the last tick was
}

type chapterLink struct {
	file          *ExchangeWriter
	ended, errors uint64 // since the last tick
}

// CreateChapter makes the folder of a chapter in that of all, which must not have it,
// and its files. No file of records will grow past most bytes.
func CreateChapter(in *os.Root, name string, h Header, most int64) (w *ChapterWriter, err error) {
	if err := in.Mkdir(name, 0o700); err != nil {
		return nil, err
	}
	root, err := input.Folder(in, name)
	if err != nil {
		return nil, err
	}
	w = &ChapterWriter{Dir: filepath.Clean(root.Name()), root: root, header: h,
		links: map[string]*chapterLink{}, others: map[string]*csvFile{}, most: most,
		routes: map[string][load.Outcomes]uint64{}, ticked: h.Chapter.From.Duration()}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.closeFiles())
		}
	}()
	if err = root.Mkdir("evidence", 0o700); err != nil {
		return w, err
	}
	if w.samples, err = createCSV(root, SamplesFile, sampleHeader, most); err != nil {
		return w, err
	}
	for i := range h.Links {
		name := h.Links[i].Name
		file, err := createCSV(root, ExchangesFile(name), exchangeHeader, most)
		if err != nil {
			return w, err
		}
		w.links[name] = &chapterLink{file: &ExchangeWriter{file}}
	}
	file, err := createIn(root, TimelineFile) // last: what has one is a chapter
	if err != nil {
		return w, err
	}
	w.timeline = TimelineIn(file)
	w.timeline.Add(Event{At: h.Chapter.From, Kind: KindStart, Start: &h})
	return w, w.timeline.Err()
}

// Sample records a request by its line.
func (w *ChapterWriter) Sample(line []byte, s *load.Sample) {
	w.samples.buf = append(w.samples.buf, line...)
	w.samples.pending++
	route := w.header.Routes[s.Route]
	n := w.routes[route]
	n[s.Outcome]++
	w.routes[route] = n
	if wire.ArrivalOf(s.ID) == s.ID {
		w.arrivals++
	} else if s.Outcome != load.Unsent {
		w.steps++
	}
}

// Arrivals is how many requests were recorded that are no steps of others.
func (w *ChapterWriter) Arrivals() uint64 { return w.arrivals }

// Exchanges records those of a link.
func (w *ChapterWriter) Exchanges(link string, exchanges []Exchange) {
	l := w.links[link]
	if l == nil || len(exchanges) == 0 {
		return
	}
	l.file.Write(exchanges)
	l.ended += uint64(len(exchanges))
	for i := range exchanges {
		if x := &exchanges[i]; x.Status == 0 || x.Status >= 500 {
			l.errors++
		}
	}
}

// Line records a line of a further file of records, which is named as in a run
// directory and has a header of its own.
func (w *ChapterWriter) Line(file, header string, line []byte) error {
	s := w.others[file]
	if s == nil {
		var err error
		if s, err = createCSV(w.root, file, header, w.most); err != nil {
			return err
		}
		w.others[file] = s
	}
	s.buf = append(s.buf, line...)
	s.pending++
	return nil
}

// Flush hands to the kernel what was recorded.
func (w *ChapterWriter) Flush() {
	w.samples.flushPending()
	for _, s := range w.others {
		s.flushPending()
	}
}

// Tick ends a second, of which t has what is of the whole soak. What ended in it is
// counted as the chapter's own records have it.
func (w *ChapterWriter) Tick(at time.Duration, t Tick) {
	t.Ended, t.Unsent, t.Steps, t.Routes = 0, 0, w.steps, w.routes
	for _, outcomes := range w.routes {
		for _, n := range outcomes {
			t.Ended += n
		}
		t.Ended -= outcomes[load.Unsent]
		t.Unsent += outcomes[load.Unsent]
	}
	w.routes, w.steps = map[string][load.Outcomes]uint64{}, 0
	t.Lost += w.Lost()
	t.Extent = w.samples.extent()
	all := t.Links
	t.Links = nil
	for name, l := range w.links {
		if t.Links == nil {
			t.Links = map[string]LinkTick{}
		}
		tick := all[name]
		tick.Ended, tick.Errors, tick.Extent = l.ended, l.errors, l.file.Extent()
		l.ended, l.errors = 0, 0
		t.Links[name] = tick
	}
	w.ticked = at
	w.timeline.Add(Event{At: Seconds(at), Kind: KindTick, Tick: &t})
}

// Ticked is when the last second ended, or when the chapter began.
func (w *ChapterWriter) Ticked() time.Duration { return w.ticked }

// Add appends an event, whose time is of the soak.
func (w *ChapterWriter) Add(e Event) { w.timeline.Add(e) }

// Lost is how many records its files had no room for.
func (w *ChapterWriter) Lost() uint64 {
	n := w.samples.lost
	for _, l := range w.links {
		n += l.file.Lost()
	}
	for _, s := range w.others {
		n += s.lost
	}
	return n
}

// Err is why writes to its files failed; nil if none did. That a file has reached its
// bound is no such error: Lost counts what was left out.
func (w *ChapterWriter) Err() error {
	errs := []error{w.samples.failed(), w.timeline.Err()}
	for _, l := range w.links {
		errs = append(errs, l.file.Err())
	}
	for _, s := range w.others {
		errs = append(errs, s.failed())
	}
	return errors.Join(errs...)
}

// Close ends the chapter, whose last arrival was due before end, and closes its files.
func (w *ChapterWriter) Close(end time.Duration) error {
	w.Flush()
	w.timeline.Add(Event{At: Seconds(end), Kind: KindEnd})
	return w.closeFiles()
}

func (w *ChapterWriter) closeFiles() error {
	errs := []error{w.root.Close()}
	if w.timeline != nil {
		errs = append(errs, w.timeline.Close())
	}
	if w.samples != nil {
		errs = append(errs, w.samples.file.Close(), w.samples.failed())
	}
	for _, l := range w.links {
		errs = append(errs, l.file.csv.file.Close(), l.file.Err())
	}
	for _, s := range w.others {
		errs = append(errs, s.file.Close(), s.failed())
	}
	return errors.Join(errs...)
}
