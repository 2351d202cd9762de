package lease

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

const (
	length     = 5 * time.Second        // of a lease that is not renewed
	renewEvery = 500 * time.Millisecond // several fit into a lease: one that is late on a busy machine ends no run
	undoWithin = 30 * time.Second       // of one fault, when it is undone
)

// Options say whose lease it is.
type Options struct {
	State    string // folder of the journals; "" means StateDir
	Name     string // of the experiment
	Dir      string // run directory
	Guardian bool   // without one nothing can be made; the run is only to be found
	// Lost is called once, by a goroutine of the lease, when faults may no
	// longer be made and the run must end: the guardian is gone, or has taken
	// the run for dead. It must not block.
	Lost func(why string)
}

// Lease is a run's right to break something outside its process. Its methods
// may be called at once.
type Lease struct {
	journal  *journal
	options  Options
	guardian *guardian // nil without one
	ended    chan struct{}
	renewing sync.WaitGroup

	mu      sync.Mutex
	renewed time.Time // before the last renewal was sent
	lost    string    // why; "" while it is not
	steps   int
	holds   int
	open    map[int]step // journalled, and not undone
	closed  bool
}

// Open makes the run known to the machine, and starts its guardian.
func Open(o Options) (*Lease, error) {
	if os.Getenv(guardianEnv) != "" { // each would start the next
		return nil, errors.New("this process was started as a guardian: lease.Guard must be called first in main")
	}
	if o.State == "" {
		dir, err := StateDir()
		if err != nil {
			return nil, err
		}
		o.State = dir
	}
	self, err := Identify(os.Getpid())
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	sweep(o.State)
	path := filepath.Join(o.State, strconv.Itoa(self.Pid)+"-"+crand.Text()[:8]+suffix)
	j, err := openJournal(path+unfinished, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	l := &Lease{journal: j, options: o, ended: make(chan struct{}), open: map[int]step{}}
	h := Header{Name: o.Name, Dir: dir, Process: self, Began: time.Now()}
	h.Boot, h.Namespace, h.Clock = proc.View()
	if _, err = j.lock(lockRun, false); err == nil {
		err = j.append(entry{Run: &h})
	}
	// Only now is it a journal: none is ever seen without its lock and header.
	if err == nil {
		err = os.Rename(path+unfinished, path)
		j.path = path
	}
	if err == nil && o.Guardian {
		l.renewed = time.Now()
		l.guardian, err = startGuardian(path)
	}
	if err != nil {
		_ = removeJournal(j.path)
		j.file.Close()
		return nil, err
	}
	if l.guardian != nil {
		l.renewing.Go(l.renew)
		l.renewing.Go(l.listen)
	}
	return l, nil
}

// sweep removes the journals of runs that were killed and left nothing behind:
// those without a guardian, which would have done it, and those that had not
// become journals.
func sweep(dir string) {
	paths, _ := journals(dir) // it is tidying; what matters is told by heal
	for _, path := range paths {
		j, err := openJournal(path, 0)
		if err != nil {
			continue
		}
		h, open, err := j.read()
		if err == nil && len(open) == 0 {
			if alive, err := j.alive(h); err == nil && !alive {
				_ = removeJournal(path)
			}
		}
		j.file.Close()
	}
	begun, _ := filepath.Glob(filepath.Join(dir, "*"+suffix+unfinished))
	for _, path := range begun {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
			os.Remove(path)
		}
	}
}

// Journal is the path of the run's journal.
func (l *Lease) Journal() string { return l.journal.path }

// renew tells the guardian that we are well, as long as we are.
func (l *Lease) renew() {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-l.ended:
			return
		}
		l.mu.Lock()
		now := time.Now()
		late := now.Sub(l.renewed)
		if late <= length {
			l.renewed = now
		}
		l.mu.Unlock()
		if late > length {
			l.lose(fmt.Sprintf("the lease ran out: for %s the run could not renew it, "+
				"and its guardian may have undone what was in force", late.Round(100*time.Millisecond)))
			return
		}
		if err := l.guardian.renew(); err != nil {
			select {
			case <-l.ended: // the run is ending
			default:
				l.lose("the guardian is gone: " + err.Error())
			}
			return
		}
	}
}

// listen waits for what the guardian has to say.
func (l *Lease) listen() {
	why := l.guardian.listen()
	select {
	case <-l.ended: // it goes because we do
	default:
		l.lose(why)
	}
}

func (l *Lease) lose(why string) {
	l.mu.Lock()
	first := l.lost == ""
	if first {
		l.lost = why
	}
	l.mu.Unlock()
	if first && l.options.Lost != nil {
		l.options.Lost(why)
	}
}

// valid says why nothing may be made; nil if it may.
func (l *Lease) valid() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.guardian == nil:
		return errors.New("this run has no guardian, and so breaks nothing outside its process")
	case l.lost != "":
		return errors.New(l.lost)
	case time.Since(l.renewed) > length:
		return errors.New("the lease ran out")
	}
	return nil
}

// Injection is a fault on its way.
type Injection struct {
	lease *Lease
	hold  int
	why   string
}

// Inject makes a fault that could outlive us. What undoes it is journalled first:
// undo, which is performed in reverse, the last of it first. inject then makes the
// fault; on its error, or if the lease was lost meanwhile, all is undone at once.
//
// heal undoes it and may be called again after an error. It works after
// ctx is done.
func (l *Lease) Inject(ctx context.Context, why string, undo []Undo,
	inject func(context.Context, *Injection) error) (heal func(context.Context) error, err error) {
	if err := l.valid(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.holds++
	m := &Injection{lease: l, hold: l.holds, why: why}
	l.mu.Unlock()
	heal = func(ctx context.Context) error { return l.undo(ctx, m.hold) }
	if err := m.begin(ctx, undo); err != nil {
		return nil, err
	}
	err = inject(ctx, m)
	if err == nil {
		err = l.valid()
	}
	if err != nil {
		undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
		defer cancel()
		if e := heal(undoing); e != nil {
			err = fmt.Errorf("%w; and what was made of it cannot be undone: %w", err, e)
		}
		return nil, err
	}
	return heal, nil
}

// begin journals the undos of a fault, unless one of them is another fault's.
func (m *Injection) begin(ctx context.Context, undo []Undo) error {
	release, err := m.lease.lockDir(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := m.lease.conflict(undo); err != nil {
		return err
	}
	for _, u := range undo {
		if _, err := m.journal(u); err != nil {
			return errors.Join(err, m.lease.undo(ctx, m.hold))
		}
	}
	return nil
}

// Run runs a command that makes the fault. Should we die meanwhile, it is
// killed before anything is undone. Once it has ended, what it left running
// stays until it is undone.
func (m *Injection) Run(ctx context.Context, c Command) error {
	c.mark = crand.Text()
	number, err := m.journal(Undo{Kind: Kill, Mark: c.mark})
	if err != nil {
		return err
	}
	if err := runCommand(ctx, c); err != nil {
		return named(c.Argv, err) // the mark stays: what is left of it is killed before it is undone
	}
	return m.lease.done(number)
}

func (m *Injection) journal(u Undo) (int, error) {
	if err := u.Check(); err != nil {
		return 0, err
	}
	l := m.lease
	l.mu.Lock()
	l.steps++
	s := step{l.steps, m.hold, m.why, u}
	l.open[s.number] = s
	l.mu.Unlock()
	if err := l.journal.append(entry{Step: s.number, Hold: s.hold, Why: s.why, Undo: &s.undo}); err != nil {
		return 0, fmt.Errorf("nothing is broken that could not be undone: %w", err)
	}
	return s.number, nil
}

func (l *Lease) done(number int) error {
	l.mu.Lock()
	delete(l.open, number)
	l.mu.Unlock()
	return l.journal.append(entry{Done: number, By: "run"})
}

// undo performs what is open of a hold, latest first; 0 means of all.
func (l *Lease) undo(ctx context.Context, hold int) error {
	l.mu.Lock()
	var steps []step
	for _, s := range l.open {
		if hold == 0 || s.hold == hold {
			steps = append(steps, s)
		}
	}
	l.mu.Unlock()
	return performAll(ctx, steps, func(s step, err error) error {
		if err != nil {
			return err
		}
		return l.done(s.number)
	})
}

// Close undoes what is still in force and ends the guardian. If something could
// not be undone it stays in the journal, for the guardian to try and for heal.
// It may be called again, and then does nothing.
func (l *Lease) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), undoWithin)
	defer cancel()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	errs := []error{l.undo(ctx, 0)}
	close(l.ended)
	if errs[0] == nil {
		errs = append(errs, removeJournal(l.journal.path))
	}
	if l.guardian != nil {
		errs = append(errs, l.guardian.end())
	}
	l.renewing.Wait()
	return errors.Join(append(errs, l.journal.file.Close())...)
}
