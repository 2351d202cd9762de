//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// mostAudit bounds the answer to an audit: a million ids are some 50 MB.
const mostAudit = 256 << 20

// auditDuring asks for the numbers that are asked for while there is load, until ctx
// is done or what it returns is called, which then waits.
func (r *runner) auditDuring(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, a := range r.x.Load.Audit {
		if a.Every <= 0 {
			continue
		}
		wg.Go(func() {
			tick := time.NewTicker(a.Every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if time.Since(r.start) < 0 {
					continue // it is the warm-up
				}
				if at, found := r.ask(ctx, a); ctx.Err() == nil {
					found.During = true
					r.rec.add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindAudit, Audit: found})
				}
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// auditEnd waits for things to settle, and asks what is there. Where a run is stopped,
// it is asked no more.
func (r *runner) auditEnd(ctx context.Context) {
	l := r.x.Load
	if l.Settle > 0 && ctx.Err() == nil {
		r.phase("settling", fmt.Sprintf("the load has ended: %s for things to settle", l.Settle))
		select {
		case <-ctx.Done():
		case <-time.After(l.Settle):
		}
	}
	if len(l.Audit) > 0 && ctx.Err() == nil {
		r.phase("audit", "what is there in the end is asked for")
	}
	at, all := make([]time.Duration, len(l.Audit)), make([]*evidence.Audit, len(l.Audit))
	for i, a := range l.Audit {
		if ctx.Err() != nil {
			at[i], all[i] = time.Since(r.start), &evidence.Audit{Name: a.Name, Why: "the run was stopped before it was asked"}
			continue
		}
		at[i], all[i] = r.askUntilWell(ctx, a)
		if a.IDs != "" {
			if err := evidence.WriteAudit(r.rec.root, all[i]); err != nil {
				all[i].Whole, all[i].Why = false, err.Error()
			}
		}
	}
	r.askOnceMore(ctx, all)
	for i, found := range all {
		r.rec.add(evidence.Event{At: evidence.Seconds(at[i]), Kind: evidence.KindAudit, Audit: found})
		switch {
		case !found.Whole:
			r.progress.event(fmt.Sprintf("audit %s: %s", found.Name, found.Why))
		case found.Moved != "":
			r.progress.event(fmt.Sprintf("audit %s had not settled: %s", found.Name, found.Moved))
		}
	}
}

// askOnceMore asks each audit again that was answered, after all of them and a pause, and notes
// whose answer is another one by then. What is missing in it may yet come, and two of them
// show no one moment.
func (r *runner) askOnceMore(ctx context.Context, all []*evidence.Audit) {
	if !slices.ContainsFunc(all, func(a *evidence.Audit) bool { return a.Whole }) {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(askAgain):
	}
	for i, a := range r.x.Load.Audit {
		if !all[i].Whole {
			continue
		}
		switch _, again := r.askUntilWell(ctx, a); {
		case again.Whole:
			all[i].Moved = all[i].MovedTo(again)
			all[i].Shuffled = all[i].Moved == "" && all[i].ShuffledIn(again)
		case ctx.Err() == nil:
			all[i].Moved = "when it was asked again, " + again.Why
		}
	}
}

// askAgain is how long after an audit it is asked again: one that was not answered, and once all have been, each.
const askAgain = 500 * time.Millisecond

// askUntilWell asks an audit, and for as long as its timeout is asks it again where no
// answer came, or one that says that the target is not well yet: it may be slow to come
// back from a fault.
func (r *runner) askUntilWell(ctx context.Context, a experiment.Audit) (at time.Duration, found *evidence.Audit) {
	for began := time.Now(); ; {
		at, found = r.ask(ctx, a)
		unwell := !found.Whole && (found.Status == 0 || found.Status >= 500)
		if !unwell || time.Since(began)+askAgain > a.Timeout {
			return at, found
		}
		select {
		case <-ctx.Done():
			return at, found
		case <-time.After(askAgain):
		}
	}
}

// ask asks one audit; at is when.
func (r *runner) ask(ctx context.Context, a experiment.Audit) (at time.Duration, found *evidence.Audit) {
	began := time.Now()
	found = &evidence.Audit{Name: a.Name, To: a.To}
	body, err := r.fetch(ctx, a, found)
	if err == nil {
		err = takeAudit(found, a, body, r.plan.Run)
	}
	found.Whole, found.Took = err == nil, evidence.Seconds(time.Since(began))
	if err != nil {
		found.Why = err.Error()
		if r.rec.mask != nil {
			found.Why = r.rec.mask(found.Why)
		}
	}
	return max(0, began.Sub(r.start)), found
}

func (r *runner) fetch(ctx context.Context, a experiment.Audit, found *evidence.Audit) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	base, client := r.bed.Client(a.To)
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+a.Get, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	found.Status = resp.StatusCode
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAudit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off: %w", err)
	case len(body) > mostAudit:
		return nil, fmt.Errorf("the answer has more than %d MiB", mostAudit>>20)
	}
	return body, tellsAll(resp.StatusCode)
}

// tellsAll is why an answer of a status is not all that is there; nil if it may be.
func tellsAll(status int) error {
	switch {
	case status == http.StatusPartialContent:
		return errors.New("the answer has status 206: it is a part only")
	case status < 200 || status > 299:
		return fmt.Errorf("the answer has status %d", status)
	}
	return nil
}

// takeAudit reads what an audit asked for from the answer to it.
func takeAudit(found *evidence.Audit, a experiment.Audit, body []byte, run uint64) error {
	if a.Number != "" {
		number, ok := numberIn(body, a.Number)
		if !ok {
			return errors.New("the answer has no number where it should be, or one above 2^53, or of more digits than are exact")
		}
		found.Number = &number
		return nil
	}
	where, err := load.ParseFind(a.IDs, true)
	if err != nil {
		return err
	}
	if err := where.Each(body, func(text string) {
		id, ok := wire.ParseID([]byte(text), run)
		if !ok {
			id = load.ForeignValue
		}
		found.IDs = append(found.IDs, id)
	}); err != nil {
		return fmt.Errorf("the answer is not as it should be: %w", err)
	}
	if a.Count != "" {
		if n, ok := numberIn(body, a.Count); !ok || n != float64(len(found.IDs)) {
			return fmt.Errorf("the answer has %d ids, and says itself that there are %v", len(found.IDs), n)
		}
	}
	return nil
}

// mostExact is up to which all whole numbers are told apart.
const mostExact = 1 << 53

// numberIn is the number where it should be; what is none (NaN), or is not exact, is not there.
func numberIn(body []byte, where string) (float64, bool) {
	find, err := load.ParseFind(where, false)
	if err != nil {
		return 0, false
	}
	text, ok := find.One(body)
	number, err := strconv.ParseFloat(text, 64)
	return number, ok && err == nil && math.Abs(number) < mostExact && digits(text) == digits(strconv.FormatFloat(number, 'e', -1, 64))
}

// digits are those of a decimal number that count. A number that has more of them than it is read with is another one.
func digits(text string) string {
	text, _, _ = strings.Cut(strings.ToLower(text), "e")
	whole, part, _ := strings.Cut(strings.TrimLeft(text, "+-"), ".")
	return strings.Trim(whole+part, "0")
}
