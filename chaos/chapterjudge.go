package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/poll"
)

// A chapterJudge judges closed chapters, one after the other, while the soak goes on:
// it writes down what each came to, compresses its evidence, and removes that which is
// not kept. It is the only one to change a chapter that is closed.
type chapterJudge struct {
	dir  string
	root *os.Root // it, as it was when it was opened
	self []string
	sum  chapters.Sum
	log  *chapters.Log
	keep *chapters.Keeper
	tell func(text string, sofar []judge.Verdict)

	packer evidence.Packer

	mu     sync.Mutex
	come   *sync.Cond
	queue  []chapters.Closed
	ending bool
	errs   []error
	done   chan struct{}
}

// mostWaiting is how many closed chapters may wait to be judged: what is there of them
// is not compressed yet.
const mostWaiting = 4

// soakOptions are what a soak gets from its run.
type soakOptions struct {
	down func(target string) bool // reports whether a target that has ended does not run again
	tell func(text string, sofar []judge.Verdict)
	self []string // the command that judges a run directory; nil is this process itself
}

func newChapterJudge(x *experiment.Experiment, run *os.Root, o soakOptions) (*chapterJudge, error) {
	dir, s := run.Name(), x.Soak.Settled()
	j := &chapterJudge{dir: dir, self: o.self, tell: o.tell, sum: newSum(x, nil), done: make(chan struct{}),
		keep: chapters.NewKeeper(s.Keep, int64(s.Disk), x.Seed)}
	j.come = sync.NewCond(&j.mu)
	entries, err := chapters.Entries(dir)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		j.sum.Add(&entries[i])
	}
	j.keep.Restore(entries, func(number int) int64 { return sizeOf(chapters.Dir(dir, number)) })
	if j.log, err = chapters.OpenLog(run); err != nil {
		return nil, err
	}
	if j.root, err = run.OpenRoot("."); err != nil {
		return nil, errors.Join(err, j.log.Close())
	}
	go j.run()
	return j, nil
}

// newSum is what the claims of an experiment are summed up by; lines are where they
// stand in its file.
func newSum(x *experiment.Experiment, lines []int) chapters.Sum {
	sum := chapters.Sum{Chaos: len(x.Chaos) > 0, MostOpen: x.Soak.Settled().MaxInconclusive, Seed: x.Seed}
	for i, c := range x.Claims {
		v := judge.Verdict{Claim: c.Judge().String(), Kind: c.Kind(), Name: c.Title()}
		if i < len(lines) {
			v.Line = lines[i]
		}
		sum.Claims = append(sum.Claims, v)
		sum.Growth = append(sum.Growth, c.Judge())
	}
	return sum
}

// take takes in a chapter that is to be judged. It does not block.
func (j *chapterJudge) take(c chapters.Closed) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, c)
	j.come.Signal()
}

// end returns when all chapters are judged, with what could not be done.
func (j *chapterJudge) end() error {
	j.mu.Lock()
	j.ending = true
	j.come.Signal()
	j.mu.Unlock()
	<-j.done
	return errors.Join(append(j.errs, j.log.Close(), j.root.Close())...)
}

func (j *chapterJudge) run() {
	defer close(j.done)
	runtime.LockOSThread() // for good: the thread ends with it
	lowerPriority()
	for {
		j.mu.Lock()
		for len(j.queue) == 0 && !j.ending {
			j.come.Wait()
		}
		if len(j.queue) == 0 {
			j.mu.Unlock()
			return
		}
		c, waiting := j.queue[0], len(j.queue)-1
		j.queue = j.queue[1:]
		hurry := waiting >= mostWaiting && !j.ending
		j.mu.Unlock()
		if err := j.one(c, hurry); err != nil {
			j.errs = append(j.errs, fmt.Errorf("chapter %d: %w", c.Number, err))
			j.say(fmt.Sprintf("chapter %d: %v", c.Number, err))
		}
	}
}

func (j *chapterJudge) say(text string) {
	if j.tell != nil {
		j.tell(text, j.sum.Verdicts())
	}
}

// one judges a chapter, or in a hurry says that there was no time to.
func (j *chapterJudge) one(c chapters.Closed, hurry bool) error {
	e := chapters.Entry{Number: c.Number, From: evidence.Seconds(c.From), To: evidence.Seconds(c.To), Started: c.Started, Faults: c.Faults,
		Ruling: judge.Inconclusive}
	if hurry {
		e.Blank = fmt.Sprintf("it was not judged, because %d others were waiting for it: chapters come faster than this machine can "+
			"judge them", mostWaiting)
	} else if r, err := j.judge(c.Dir); err != nil {
		e.Blank = "it could not be judged: " + err.Error()
	} else {
		fill(&e, r)
	}
	if seen, err := evidence.ReadTimeline(c.Dir); err == nil { // without it the chapter is blank
		e.Least = chapters.LeastOf(seen.Ticks)
	}
	blankVerdicts(&e, j.sum.Claims)
	if err := j.log.Add(e); err != nil {
		return err
	}
	j.sum.Add(&e)
	err := j.pack(c.Number)
	for _, number := range j.keep.Judged(c.Number, e.Ruling, sizeOf(c.Dir)) {
		err = errors.Join(err, chapters.Remove(j.root, number))
	}
	j.say(chapterText(&e))
	debug.FreeOSMemory() // what a chapter had more in flight than others would stay for minutes
	return err
}

func (j *chapterJudge) pack(number int) error {
	chapter, err := chapters.Open(j.root, number)
	if err != nil {
		return err
	}
	return errors.Join(j.packer.Pack(chapter), chapter.Close())
}

// judge rules on a chapter: in another process where there is a command for that, so
// that neither its memory nor its garbage are the load's, nor its time.
func (j *chapterJudge) judge(dir string) (*result.Result, error) {
	if j.self == nil {
		return judgeRecords(dir, nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), judgeWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, j.self[0], append(j.self[1:len(j.self):len(j.self)], dir, "--json")...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(1, poll.Cores()/2))) // the others are the load's
	waitErr := cmd.Run()
	var r result.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("%w: %s", errors.Join(waitErr, err), bytes.TrimSpace(said.Bytes()))
	}
	return &r, nil
}

// judgeWithin bounds how long one chapter may take.
const judgeWithin = 10 * time.Minute

// fill puts what a chapter came to into its entry.
func fill(e *chapters.Entry, r *result.Result) {
	e.Ruling, e.Blank, e.Verdicts = r.Ruling, r.Blank, chapters.Brief(r.Verdicts)
	var ok uint64
	for _, route := range r.Routes {
		e.Requests += route.Requests
		ok += route.Outcomes[load.OK.String()]
	}
	e.Success = 100 * float64(ok) / float64(max(1, e.Requests))
}

// blankVerdicts gives an entry of which nothing can be told a verdict for each claim.
func blankVerdicts(e *chapters.Entry, claims []judge.Verdict) {
	if e.Blank == "" || e.Verdicts != nil {
		return
	}
	e.Ruling = judge.Inconclusive
	for _, c := range claims {
		e.Verdicts = append(e.Verdicts, chapters.Verdict{Ruling: judge.Inconclusive, Name: c.Name, Reason: e.Blank})
	}
}

// chapterText tells what a chapter came to, in a line.
func chapterText(e *chapters.Entry) string {
	text := fmt.Sprintf("chapter %d (%s to %s): %s", e.Number, unit.FormatDuration(e.From.Duration().Round(time.Second/10)),
		unit.FormatDuration(e.To.Duration().Round(time.Second/10)), e.Ruling)
	if e.Blank != "" {
		return text + ": " + e.Blank
	}
	for _, v := range e.Verdicts {
		if v.Ruling == e.Ruling && e.Ruling != judge.Held {
			return text + ": " + v.Name + ": " + v.Reason
		}
	}
	return text
}

// sizeOf is how many bytes the files below a folder have; 0 if it is not there.
func sizeOf(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what is gone has no bytes
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
