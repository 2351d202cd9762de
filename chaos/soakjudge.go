package chaos

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

// experimentOf is the folder that has the experiment of a run directory, or of a chapter
// of one.
func experimentOf(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil && filepath.Base(filepath.Dir(abs)) == chapters.Folder {
		return filepath.Dir(filepath.Dir(abs))
	}
	return dir
}

// readExperiment reads the experiment of a run directory, with what set changes of it.
func readExperiment(dir string, set []string) (*experiment.Experiment, error) {
	folder := experimentOf(dir)
	text, err := input.ReadBelow(folder, ExperimentFile, experiment.File)
	if err != nil {
		return nil, err
	}
	return experiment.Parse(filepath.Join(folder, ExperimentFile), text, experiment.Options{Set: set})
}

// judgeSoak rules on a run by its chapters: by their evidence, where that is kept and
// it is to be judged again, and otherwise by what they came to. It takes the memory of
// one chapter. With set, a chapter without evidence says nothing. goesOn is whether the
// soak does: then its present chapter is not judged yet.
func judgeSoak(dir string, set []string, again, goesOn bool) (*result.Result, error) {
	run, x, err := readRun(dir, set)
	if err != nil {
		return nil, err
	}
	sum := newSum(x, run.ClaimLines)
	var sequence chapters.Sequence
	kept, err := eachChapter(dir, run, set, again, goesOn, sum.Claims, func(e *chapters.Entry) {
		sequence.Add(e)
		sum.Add(e)
	})
	if err != nil {
		return nil, err
	}
	verdicts := sum.Verdicts()
	if why := notWhole(run, &sequence, goesOn); why != "" {
		for i := range verdicts {
			verdicts[i].Ruling, verdicts[i].Reason, verdicts[i].IDs = judge.Inconclusive, why, nil
		}
	}
	seen, err := readLogs(dir, run, nil)
	if err != nil {
		return nil, err
	}
	r := result.Of(x, run, verdicts, seen.times)
	for i := range r.Links {
		r.Links[i].Duration = result.NewSpread(seen.links[r.Links[i].Name])
	}
	seen.addTo(r, dir)
	r.Chapters = &result.Chapters{Held: sum.Count(judge.Held), Inconclusive: sum.Count(judge.Inconclusive),
		Refuted: sum.Count(judge.Refuted), Kept: kept}
	r.Notes = append(r.Notes, chaptersText(r.Chapters, dir))
	return r, nil
}

// notWhole says why the evidence of a soak is not all that it recorded; "" if it is, as
// far as can be seen. goesOn is whether the soak does.
func notWhole(run *evidence.Run, sequence *chapters.Sequence, goesOn bool) string {
	var texts []string
	for _, f := range run.Flaws {
		texts = append(texts, f.String())
	}
	end := run.End
	if goesOn || run.Stopped == evidence.Killed {
		end = 0 // chapters that were to come did not, or have not yet
	}
	if why := sequence.Missing(end, run.Gaps); why != "" {
		texts = append(texts, why)
	}
	if len(texts) == 0 {
		return ""
	}
	return fmt.Sprintf("the evidence is not what the run recorded (%s), and what is missing may say something else: "+
		"rule on a copy that is whole", strings.Join(texts, "; "))
}

// eachChapter calls each with what every chapter came to, in their order, and returns
// those whose evidence is there. A chapter of another soak, or in another's place, is a
// flaw of the run.
func eachChapter(dir string, run *evidence.Run, set []string, again, goesOn bool, claims []judge.Verdict,
	each func(*chapters.Entry)) (there []int, err error) {
	entries, err := chapters.Entries(dir)
	if err != nil {
		return nil, err
	}
	if there, err = chapters.Kept(dir); err != nil {
		return nil, err
	}
	known := 0 // of entries
	next := func(number int) *chapters.Entry {
		for ; known < len(entries) && entries[known].Number < number; known++ {
			e := &entries[known]
			if len(set) > 0 {
				e.Verdicts, e.Blank = nil, "its evidence was not kept, and by what is claimed now it was not judged"
				blankVerdicts(e, claims)
			}
			each(e)
		}
		if known < len(entries) && entries[known].Number == number {
			known++
			return &entries[known-1]
		}
		return nil
	}
	for _, number := range there {
		e := next(number)
		if e != nil && !again {
			each(e)
			continue
		}
		if e == nil && goesOn {
			continue
		}
		if e, err = chapterAgain(dir, run, number, set, claims); err != nil {
			return nil, err
		}
		each(e)
	}
	next(int(^uint(0) >> 1))
	return there, nil
}

// chapterAgain judges a chapter by its evidence.
func chapterAgain(dir string, run *evidence.Run, number int, set []string, claims []judge.Verdict) (*chapters.Entry, error) {
	folder := chapters.Dir(dir, number)
	seen, err := evidence.ReadTimeline(folder)
	if err != nil {
		return nil, err
	}
	e := &chapters.Entry{Number: number, Started: seen.Started, Faults: len(seen.Faults), Ruling: judge.Inconclusive}
	if c := seen.Chapter; c != nil {
		e.From, e.To = c.From, c.From+evidence.Seconds(seen.End)
	}
	if c := seen.Chapter; c == nil || c.Number != number || !seen.Started.Equal(run.Started.Add(c.From.Duration())) {
		run.Flaws = append(run.Flaws, evidence.Flaw{File: path.Join(filepath.ToSlash(chapters.Dir("", number)), evidence.TimelineFile),
			What: "that of another chapter"})
	}
	e.Least = chapters.LeastOf(seen.Ticks)
	if r, err := judgeRecords(folder, set); err != nil {
		e.Blank = "it could not be judged: " + err.Error()
	} else {
		fill(e, r)
	}
	blankVerdicts(e, claims)
	return e, nil
}

// chaptersText says how many chapters came to what, and where to look at them.
func chaptersText(c *result.Chapters, dir string) string {
	text := fmt.Sprintf("%d chapters held, %d were inconclusive, %d refuted", c.Held, c.Inconclusive, c.Refuted)
	if len(c.Kept) == 0 {
		return text
	}
	at := c.Kept[0]
	return fmt.Sprintf("%s; the evidence of %d is kept, and each can be looked at by itself: stormctl report %s",
		text, len(c.Kept), chapters.Dir(dir, at))
}

// claimsReplaced reports whether set has other claims in the place of all.
func claimsReplaced(set []string) bool {
	return slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, "claims=") })
}
