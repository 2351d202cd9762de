package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/unit"
)

// rateFlag is a rate that knows whether it was given. A bare number is per
// second, as other load tools have it.
type rateFlag struct {
	limit rate.Limit
	given bool
}

func (f *rateFlag) String() string {
	if !f.given {
		return ""
	}
	return unit.FormatRate(f.limit)
}

func (f *rateFlag) Set(text string) error {
	if !strings.Contains(text, "/") {
		text += "/s"
	}
	limit, err := unit.ParseRate(text)
	if err != nil {
		return err
	}
	f.limit, f.given = limit, true
	return nil
}

func (*rateFlag) Type() string { return "rate" }

// perSecond reads a rate as rateFlag does.
func perSecond(text string) (rate.Limit, error) {
	var f rateFlag
	err := f.Set(text)
	return f.limit, err
}

// stagesFlag are stages in words: "to 1k/s over 10s, hold 30s". nil is not given.
type stagesFlag []experiment.Stage

func (f *stagesFlag) String() string {
	var parts []string
	for _, s := range *f {
		switch {
		case s.To == nil:
			parts = append(parts, "hold "+unit.FormatDuration(s.Hold))
		case s.Over > 0:
			parts = append(parts, "to "+unit.FormatRate(*s.To)+" over "+unit.FormatDuration(s.Over))
		default:
			parts = append(parts, "to "+unit.FormatRate(*s.To))
		}
	}
	return strings.Join(parts, ", ")
}

func (f *stagesFlag) Set(text string) error {
	*f = nil
	var all time.Duration
	moving := false
	for i, part := range strings.Split(text, ",") {
		s, err := stage(part)
		if err != nil {
			return fmt.Errorf("stage %d, %q: %w", i+1, strings.TrimSpace(part), err)
		}
		if i == 0 && s.To == nil {
			return fmt.Errorf("stage 1, %q: there is no rate to hold yet: begin with to 500/s", strings.TrimSpace(part))
		}
		moving = moving || s.To != nil && *s.To > 0
		if all += s.Over + s.Hold; all > longest {
			return fmt.Errorf("it lasts longer than %v", unit.FormatDuration(longest))
		}
		*f = append(*f, s)
	}
	switch {
	case !moving:
		return errors.New("no stage has a rate above 0")
	case all == 0:
		return errors.New("it lasts no time at all: add a stage like hold 30s")
	}
	return nil
}

func (*stagesFlag) Type() string { return "stages" }

// stage reads "to RATE", "to RATE over TIME" or "hold TIME".
func stage(text string) (s experiment.Stage, err error) {
	words := strings.Fields(text)
	switch {
	case len(words) == 2 && words[0] == "hold":
		s.Hold, err = positive(words[1])
	case len(words) == 2 && words[0] == "to", len(words) == 4 && words[0] == "to" && words[2] == "over":
		var to rate.Limit
		if to, err = perSecond(words[1]); err == nil && len(words) == 4 {
			s.Over, err = positive(words[3])
		}
		s.To = &to
	default:
		err = errors.New("write to 500/s, to 500/s over 10s or hold 30s")
	}
	return s, err
}

// positive reads a time that a load can take.
func positive(text string) (time.Duration, error) {
	d, err := unit.ParseDuration(text)
	if err == nil && (d == 0 || d > longest) {
		err = fmt.Errorf("%s must be more than 0 and at most %s", text, unit.FormatDuration(longest))
	}
	return d, err
}

// spikeFlag is a spike in words: "2k/s at 10s for 5s".
type spikeFlag struct {
	text     string
	peak     rate.Limit
	at, long time.Duration
	given    bool
}

func (f *spikeFlag) String() string { return f.text }

func (f *spikeFlag) Set(text string) (err error) {
	words := strings.Fields(text)
	if len(words) != 5 || words[1] != "at" || words[3] != "for" {
		return errors.New("write RATE at TIME for TIME, like 2k/s at 10s for 5s")
	}
	if f.peak, err = perSecond(words[0]); err != nil {
		return err
	}
	if f.at, err = unit.ParseDuration(words[2]); err != nil {
		return err
	}
	if f.at > longest {
		return fmt.Errorf("%s must be at most %s", words[2], unit.FormatDuration(longest))
	}
	if f.long, err = positive(words[4]); err != nil {
		return err
	}
	f.text, f.given = strings.Join(words, " "), true
	return nil
}

func (*spikeFlag) Type() string { return "spike" }

// sineFlag is a wave in words: "400/s every 1m".
type sineFlag struct {
	text  string
	by    rate.Limit
	every time.Duration
	given bool
}

func (f *sineFlag) String() string { return f.text }

func (f *sineFlag) Set(text string) (err error) {
	words := strings.Fields(text)
	if len(words) != 3 || words[1] != "every" {
		return errors.New("write RATE every TIME, like 400/s every 1m")
	}
	if f.by, err = perSecond(words[0]); err != nil {
		return err
	}
	if f.every, err = positive(words[2]); err != nil {
		return err
	}
	f.text, f.given = strings.Join(words, " "), true
	return nil
}

func (*sineFlag) Type() string { return "wave" }

// stalledFlag is what becomes of arrivals that find every connection taken. The
// zero value lets them queue.
type stalledFlag struct {
	queue int // as load.Plan.MaxQueue
	given bool
}

func (f *stalledFlag) String() string {
	switch {
	case f.queue < 0:
		return "skip"
	case f.queue > 0:
		return "burst=" + strconv.Itoa(f.queue)
	default:
		return "queue"
	}
}

func (f *stalledFlag) Set(text string) error {
	number, isBurst := strings.CutPrefix(text, "burst=")
	switch {
	case text == "queue":
		f.queue = 0
	case text == "skip":
		f.queue = -1
	case isBurst:
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number of arrivals above 0", number)
		}
		f.queue = n
	default:
		return errors.New("there are queue, skip and burst=N")
	}
	f.given = true
	return nil
}

func (*stalledFlag) Type() string { return "word" }
