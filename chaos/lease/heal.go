package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// performAll performs steps: those of one hold one after another, the latest
// first, and different holds at once, because one that takes long must not make
// another late. Each is told, one at a time; what tell returns is joined.
func performAll(ctx context.Context, steps []step, tell func(step, error) error) error {
	holds := map[int][]step{}
	for _, s := range steps {
		holds[s.hold] = append(holds[s.hold], s)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, hold := range holds {
		slices.SortFunc(hold, func(a, b step) int { return cmp.Compare(b.number, a.number) })
		wg.Go(func() {
			for _, s := range hold {
				err := s.undo.perform(ctx)
				if err != nil {
					err = fmt.Errorf("%s: %w", s.undo, err)
				}
				mu.Lock()
				if err := tell(s, err); err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Left is one thing that could not be undone.
type Left struct {
	Fault  string // what it belongs to
	Undo   string // what was to be done
	ByHand string // the command line that does it
	Why    string // it could not be done
}

// Found is a journal that heal looked at.
type Found struct {
	Header
	Journal string
	Alive   bool     // the run goes on, and nothing was touched unless forced
	Undone  []string // what was undone now
	Left    []Left
}

// Heal undoes what runs that are no more left behind in a folder. It leaves
// runs alone that are alive, unless forced. It may be called at any time, by
// anyone, and again. The error is for a folder or a journal that cannot be
// read; the other journals are done all the same.
func Heal(ctx context.Context, dir string, force bool) ([]Found, error) {
	paths, err := journals(dir)
	if err != nil {
		return nil, err
	}
	return each(paths, func(path string) (Found, bool, error) {
		found, err := healOne(ctx, path, force)
		return found, true, err
	})
}

// each does something to journals, at once: one that must be waited for makes
// no other late. What is returned is in their order; those that are done with
// meanwhile are left out.
func each[T any](paths []string, do func(path string) (result T, wanted bool, err error)) ([]T, error) {
	results := make([]T, len(paths))
	wanted := make([]bool, len(paths))
	errs := make([]error, len(paths))
	var wg sync.WaitGroup
	for i, path := range paths {
		wg.Go(func() {
			results[i], wanted[i], errs[i] = do(path)
			if errs[i] != nil {
				wanted[i] = false
			}
			if errors.Is(errs[i], fs.ErrNotExist) {
				errs[i] = nil // its guardian has removed it just now
			}
		})
	}
	wg.Wait()
	var all []T
	for i, result := range results {
		if wanted[i] {
			all = append(all, result)
		}
	}
	return all, errors.Join(errs...)
}

func healOne(ctx context.Context, path string, force bool) (Found, error) {
	j, err := openJournal(path, 0)
	if err != nil {
		return Found{}, err
	}
	defer j.file.Close()
	f := Found{Journal: path}
	if f.Header, _, err = j.read(); err != nil {
		return f, err
	}
	if f.Alive, err = j.alive(f.Header); err != nil {
		return f, err
	}
	if f.Alive && !force {
		return f, nil
	}
	f.Undone, f.Left, err = j.heal(ctx, "heal", f.Alive)
	return f, err
}

// heal undoes what a journal has open, and removes it when nothing is left.
// early is for a run that is not dead: its steps stay open.
func (j *journal) heal(ctx context.Context, by string, early bool) (undone []string, left []Left, err error) {
	if _, err := j.lock(lockUndo, true); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, j.unlock(lockUndo)) }()
	header, open, err := j.read() // under the lock: another may have been at it
	if err != nil {
		return nil, nil, err
	}
	boot, _, _ := proc.View()
	undoing, cancel := context.WithTimeout(ctx, undoWithin)
	defer cancel()
	foreign := func(s step) bool { return s.undo.ofBoot() && header.Boot == boot && !header.here() }
	moot := func(s step) bool { return s.undo.ofBoot() && header.Boot != boot }
	tell := func(s step, err error) error {
		if err != nil {
			left = append(left, Left{Fault: s.why, Undo: s.undo.String(), ByHand: s.undo.ByHand(), Why: err.Error()})
			return j.append(entry{Failed: s.number, By: by, Error: err.Error()})
		}
		undone = append(undone, s.why+": "+s.undo.String())
		e := entry{Done: s.number, By: by}
		if early {
			e = entry{Early: s.number, By: by}
		}
		return j.append(e)
	}
	var errs []error
	open = slices.DeleteFunc(open, func(s step) bool {
		switch {
		case moot(s):
			errs = append(errs, j.append(entry{Done: s.number, By: "restart of the machine"}))
			return true
		case foreign(s):
			errs = append(errs, tell(s, errors.New("its process ids are those of another container, or of another time namespace: run "+
				"heal there")))
			return true
		}
		return false
	})
	errs = append(errs, performAll(undoing, open, tell))
	if len(left) == 0 && !early {
		if len(undone) > 0 {
			j.keep(header)
		}
		if err := removeJournal(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return undone, left, errors.Join(errs...)
}

// KeptFile is a copy of the journal in the directory of a run that had to be
// undone by others.
const KeptFile = "lease.jsonl"

// keep leaves the journal with the run, as a record of what happened. The run
// directory may be in another user's folder by now: the file is made anew in
// what is opened, through no link. Without it nothing is worse, so that it
// cannot be written is not told.
func (j *journal) keep(h Header) {
	text, err := os.ReadFile(j.path)
	if err != nil {
		return
	}
	dir, err := os.OpenRoot(h.Dir)
	if err != nil {
		return
	}
	defer dir.Close()
	_ = dir.Remove(KeptFile) // of an earlier heal
	f, err := dir.OpenFile(KeptFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = f.Write(text)
	_ = f.Close()
}

// Run is one that is alive.
type Run struct {
	Header
	Journal string
}

// Runs lists the runs of a folder that are alive.
func Runs(dir string) ([]Run, error) {
	paths, err := journals(dir)
	if err != nil {
		return nil, err
	}
	return each(paths, func(path string) (Run, bool, error) {
		j, err := openJournal(path, 0)
		if err != nil {
			return Run{}, false, err
		}
		defer j.file.Close() // it was only read
		h, _, err := j.read()
		if err != nil {
			return Run{}, false, err
		}
		alive, err := j.alive(h)
		return Run{h, path}, alive, err
	})
}

// Over reports whether the run has ended, and everything of it is undone: its
// journal is gone.
func (r Run) Over() bool {
	_, err := os.Stat(r.Journal)
	return errors.Is(err, fs.ErrNotExist)
}

// Ended waits until runs are over, at most so long, and returns those that are
// not.
func Ended(ctx context.Context, runs []Run, within time.Duration) []Run {
	waiting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		runs = slices.DeleteFunc(slices.Clone(runs), Run.Over)
		if len(runs) == 0 || !pause(waiting, 50*time.Millisecond) {
			return runs
		}
	}
}
