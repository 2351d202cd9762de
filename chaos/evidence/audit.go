package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input"
)

// Audit is what a service said was there when it was asked outside of the load:
// once at the end, when all faults are healed and things have settled, or every so
// often.
type Audit struct {
	Name   string        `json:"name"`
	To     string        `json:"to,omitempty"`     // the target that was asked; "" in older runs
	At     time.Duration `json:"-"`                // when it was asked; the event has it
	Took   Seconds       `json:"took_s"`           // until its answer was read
	During bool          `json:"during,omitempty"` // it is one of those that are asked while there is load, and not the last
	Status int           `json:"status,omitempty"` // 0 if no answer came
	// Whole says that the answer can be relied on: 2xx, complete, as it was expected,
	// and with as many ids as it says itself, if it says so. Why is why not.
	Whole bool   `json:"whole"`
	Why   string `json:"why,omitempty"`

	// Moved says what was found instead when it was asked again, after all others; "" if it was the same.
	Moved string `json:"moved,omitempty"`
	// Shuffled says that the ids were the same then, and in another order: theirs is none.
	Shuffled bool `json:"shuffled,omitempty"`

	Number *float64 `json:"number,omitempty"` // that was asked for; nil if none was, or it was not there

	// What an audit of ids found, in its order: as often as they were there. The one of
	// something else than a request of this run is load.ForeignValue. Its file has them;
	// in the timeline is how many there are, and the extent of the file.
	IDs   []uint64 `json:"-"`
	Found int      `json:"found,omitempty"` // ids, those of this run or not
	Extent
}

// MovedTo is what Moved says if a was asked again and this was found. Entries of others than this
// run do not count, nor does their order.
func (a *Audit) MovedTo(again *Audit) string {
	if (a.Number == nil) != (again.Number == nil) || a.Number != nil && *a.Number != *again.Number {
		return fmt.Sprintf("it found %s, and %s when it was asked again", numberText(a.Number), numberText(again.Number))
	}
	times := map[uint64]int{}
	for _, id := range a.IDs {
		times[id]--
	}
	for _, id := range again.IDs {
		times[id]++
	}
	delete(times, load.ForeignValue)
	more, gone := 0, 0
	for _, n := range times {
		more, gone = more+max(0, n), gone+max(0, -n)
	}
	if more == 0 && gone == 0 {
		return ""
	}
	return fmt.Sprintf("when it was asked again, %d of its entries were new, and %d gone", more, gone)
}

// ShuffledIn reports whether the ids that were found again, as often, are in another order.
func (a *Audit) ShuffledIn(again *Audit) bool {
	foreign := func(id uint64) bool { return id == load.ForeignValue }
	return !slices.Equal(slices.DeleteFunc(slices.Clone(a.IDs), foreign), slices.DeleteFunc(slices.Clone(again.IDs), foreign))
}

func numberText(n *float64) string {
	if n == nil {
		return "none"
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}

// AuditFile is where the ids of an audit are.
func AuditFile(name string) string { return "evidence/audit-" + name + ".csv" }

const auditHeader = "id\n"

// WriteAudit writes the ids of an audit into its file in a run directory, which must not
// exist, and notes how many and how far it goes.
func WriteAudit(dir *os.Root, a *Audit) (err error) {
	b := []byte(auditHeader)
	for _, id := range a.IDs {
		if id == load.ForeignValue {
			b = append(b, "-1\n"...)
			continue
		}
		b = append(strconv.AppendUint(b, id, 10), '\n')
	}
	f, err := dir.OpenFile(AuditFile(a.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	a.Found, a.Extent = len(a.IDs), Extent{int64(len(b)), crc32.Checksum(b, castagnoli)}
	return errors.Join(err, f.Close())
}

// addAudit takes in an audit of the timeline.
func (r *Run) addAudit(e Event) {
	a := *e.Audit
	a.At = e.At.Duration()
	r.Audits = append(r.Audits, a)
}

// Audit is the last audit of a name, which is asked when all is over; nil if it was
// not asked.
func (r *Run) Audit(name string) *Audit {
	for i := len(r.Audits) - 1; i >= 0; i-- {
		if r.Audits[i].Name == name && !r.Audits[i].During {
			return &r.Audits[i]
		}
	}
	return nil
}

// readAudits reads the ids of audits. A file that is not as it was written leaves its
// audit not whole.
func (r *Run) readAudits(dir string) error {
	for i := range r.Audits {
		a := &r.Audits[i]
		if a.Bytes == 0 && a.Found == 0 {
			continue
		}
		text, err := readWhole(dir, AuditFile(a.Name), a.Bytes)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err != nil || crc32.Checksum(text, castagnoli) != a.Sum {
			a.Whole, a.Why = false, AuditFile(a.Name)+" is not as it was written"
			continue
		}
		if a.IDs, err = auditIDs(text, a.Found); err != nil {
			return fmt.Errorf("read %s: %w", AuditFile(a.Name), err)
		}
		if len(a.IDs) != a.Found {
			a.Whole, a.Why = false, fmt.Sprintf("%s has %d ids, and %d were found", AuditFile(a.Name), len(a.IDs), a.Found)
		}
	}
	return nil
}

// readWhole reads a file below dir that should have so many bytes.
func readWhole(dir, name string, size int64) ([]byte, error) {
	f, err := input.OpenBelow(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > MaxFileSize {
		return nil, fmt.Errorf("read %s: it has more than the %d bytes that a run writes", name, int64(MaxFileSize))
	}
	return io.ReadAll(io.LimitReader(bufio.NewReader(f), size+1))
}

func auditIDs(text []byte, found int) ([]uint64, error) {
	text, header := bytes.CutPrefix(text, []byte(auditHeader))
	if !header {
		return nil, errors.New("line 1: not the column of this version")
	}
	ids := make([]uint64, 0, min(found, len(text)))
	for n := 2; len(text) > 0; n++ {
		line, rest, _ := bytes.Cut(text, newline)
		text = rest
		if string(line) == "-1" {
			ids = append(ids, load.ForeignValue)
			continue
		}
		id, err := strconv.ParseUint(string(line), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
