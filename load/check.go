package load

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/load/wire"
)

// Check is something that must hold of a response for it to be right. Bodies
// are looked at as they were sent: one that is compressed is not unpacked.
//
//	Of      Test     holds if
//	Status  Equals   the status is one of Want, like 200 or 2xx, separated by commas
//	Header  Present  there is a header Name
//	Header  Equals   one of the headers Name has the value Want
//	Header  Contains one of the headers Name has Want in its value
//	Body    Contains the body has Want in it
//	Body    Matches  the regular expression Want (RE2) matches somewhere in the body
//	JSON    Equals   the body is JSON, and the value at Name, like $.a.b[0].c, is Want
//
// For JSON, Want is a number, true, false, null, or text, which needs quotes
// only where it would be one of these.
type Check struct {
	Of   CheckOf
	Name string // of the header; of the JSON value, its path
	Test CheckTest
	Want string
}

// CheckOf is the part of a response that a Check looks at.
type CheckOf uint8

const (
	CheckStatus CheckOf = iota
	CheckHeader
	CheckBody
	CheckJSON
)

// CheckTest is how a Check looks at it.
type CheckTest uint8

const (
	Equals CheckTest = iota
	Present
	Contains
	Matches
)

const checkExamples = `status=2xx, status=200,404, header:X-Cache, header:X-Cache=hit, header:X-Cache~hit, ` +
	`body~"ok", body~/o+k/, json:$.state=ready`

// ParseCheck reads a check as the command line has it: status=LIST, header:NAME,
// header:NAME=VALUE, header:NAME~TEXT, body~TEXT, body~/REGEXP/ or
// json:PATH=VALUE. TEXT may stand in double quotes. The check can be used.
func ParseCheck(text string) (Check, error) {
	c, ok := parseCheck(text)
	if !ok {
		return Check{}, fmt.Errorf("%q is not a check; write one like %s", text, checkExamples)
	}
	if _, err := compile([]Check{c}); err != nil {
		return Check{}, fmt.Errorf("%q: %w", text, err)
	}
	return c, nil
}

func parseCheck(text string) (c Check, ok bool) {
	if list, ok := strings.CutPrefix(text, "status="); ok {
		return Check{Of: CheckStatus, Want: list}, true
	}
	if path, ok := strings.CutPrefix(text, "json:"); ok {
		path, want, found := strings.Cut(path, "=")
		return Check{Of: CheckJSON, Name: path, Want: want}, found
	}
	if want, ok := strings.CutPrefix(text, "body~"); ok {
		if len(want) > 2 && want[0] == '/' && want[len(want)-1] == '/' {
			return Check{Of: CheckBody, Test: Matches, Want: want[1 : len(want)-1]}, true
		}
		return Check{Of: CheckBody, Test: Contains, Want: unquote(want)}, true
	}
	name, ok := strings.CutPrefix(text, "header:")
	c = Check{Of: CheckHeader, Name: name, Test: Present}
	if at := strings.IndexAny(name, "=~"); at >= 0 {
		c.Name, c.Test, c.Want = name[:at], Equals, unquote(name[at+1:])
		if name[at] == '~' {
			c.Test = Contains
		}
	}
	return c, ok
}

func unquote(text string) string {
	if plain, err := strconv.Unquote(text); err == nil && text[0] == '"' {
		return plain
	}
	return text
}

// checks are those of a route made ready. They are read-only: many loops use
// them at once. nil holds for every response.
type checks struct {
	statuses     []span
	headers      []headerCheck
	bodies       []func(body []byte) bool
	extractions  []extraction // for the step that follows
	extractsBody bool         // some of them from the body
	fields       bool         // headers are looked at
	location     bool         // a redirect is followed, and not checked
	value        *extraction  // of a register that is read; nil if none is
}

// span is what a status may be: from low to high.
type span struct{ low, high int }

type headerCheck struct {
	name []byte
	test CheckTest
	want []byte
}

// compile makes checks ready; nil if there are none.
func compile(list []Check) (*checks, error) {
	if len(list) == 0 {
		return nil, nil
	}
	c := &checks{}
	for _, check := range list {
		if err := c.add(check); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *checks) add(check Check) error {
	want := []byte(check.Want)
	switch {
	case check.Of == CheckStatus && check.Test == Equals:
		if len(c.statuses) > 0 {
			return errors.New("there are two lists of statuses: write one, like status=200,404")
		}
		return c.addStatuses(check.Want)
	case check.Of == CheckHeader && check.Test != Matches:
		if !wire.IsToken(check.Name) {
			return fmt.Errorf("%q is not a header name", check.Name)
		}
		if len(want) == 0 && check.Test == Contains {
			return errors.New("it holds of everything: write what must be in it")
		}
		c.fields = true
		c.headers = append(c.headers, headerCheck{[]byte(check.Name), check.Test, want})
	case check.Of == CheckBody && check.Test == Contains:
		if len(want) == 0 {
			return errors.New("it holds of everything: write what must be in it")
		}
		c.bodies = append(c.bodies, func(body []byte) bool { return bytes.Contains(body, want) })
	case check.Of == CheckBody && check.Test == Matches:
		pattern, err := regexp.Compile(check.Want)
		if err != nil {
			return err
		}
		c.bodies = append(c.bodies, pattern.Match)
	case check.Of == CheckJSON && check.Test == Equals:
		path, err := parseJSONPath(check.Name)
		if err != nil {
			return err
		}
		value := newJSONValue(check.Want)
		c.bodies = append(c.bodies, func(body []byte) bool { return value.is(path.in(body)) })
	default:
		return fmt.Errorf("there is no check %d of part %d", check.Test, check.Of)
	}
	return nil
}

// addStatuses reads a list like 200,3xx.
func (c *checks) addStatuses(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		low, err := strconv.Atoi(strings.Replace(text, "xx", "00", 1))
		high := low
		if strings.HasSuffix(text, "xx") {
			high = low + 99
		}
		if err != nil || len(text) != 3 || low < 100 || high > 999 {
			return fmt.Errorf("%q is not a status like 200 or 2xx", text)
		}
		c.statuses = append(c.statuses, span{low, high})
	}
	return nil
}

// head reports whether what is known before the body comes is right.
func (c *checks) head(status int, fields wire.Fields) bool {
	listed := len(c.statuses) == 0
	for _, s := range c.statuses {
		listed = listed || s.low <= status && status <= s.high
	}
	for i := range c.headers {
		listed = listed && c.headers[i].holds(fields)
	}
	return listed
}

func (h *headerCheck) holds(fields wire.Fields) bool {
	for _, f := range fields {
		if !bytes.EqualFold(f.Name, h.name) {
			continue
		}
		if h.test == Present || h.test == Equals && bytes.Equal(f.Value, h.want) || h.test == Contains && bytes.Contains(f.Value, h.want) {
			return true
		}
	}
	return false
}

func (c *checks) body(body []byte) bool {
	for _, holds := range c.bodies {
		if !holds(body) {
			return false
		}
	}
	return true
}

const (
	maxBody  = 1 << 20  // of a response whose body is checked; a longer one is Wrong
	keepBody = 64 << 10 // memory for a body that a response leaves to the next
)

// responseCheck compares one response with the checks of its route, as it comes
// in: head, payload as often as there is some, passed. Where the status comes
// last, head comes behind the payload, with the fields that note has kept. It
// knows nothing of the protocol. Its memory is used again.
type responseCheck struct {
	checks    *checks
	wrong     bool
	headed    bool // the head was there
	kept      []byte
	extracted []string // by checks.extractions
	location  string   // of a redirect that is to be followed; "" is none
	value     string   // that checks.value has found; "" is none
	noted     wire.Fields
	text      []byte // of noted
}

func (r *responseCheck) begin(c *checks) {
	r.checks, r.wrong, r.headed, r.kept, r.extracted = c, false, false, r.kept[:0], nil
	r.location, r.value = "", ""
	r.noted, r.text = r.noted[:0], r.text[:0]
}

// wantsFields reports whether headers are of use.
func (r *responseCheck) wantsFields() bool { return r.checks != nil && r.checks.fields }

// note keeps headers for the head to come.
func (r *responseCheck) note(fields wire.Fields) {
	for _, f := range fields {
		start, end := len(r.text), len(r.text)+len(f.Name)
		r.text = append(append(r.text, f.Name...), f.Value...)
		r.noted = append(r.noted, wire.Field{Name: r.text[start:end], Value: r.text[end:]})
	}
}

// head takes the head of the final response.
func (r *responseCheck) head(status int, fields wire.Fields) {
	if r.checks == nil {
		return
	}
	if r.checks.location && redirects(status) {
		if at, ok := fields.Get("location"); ok && len(at) > 0 {
			r.headed, r.location = true, string(at)
			return
		}
	}
	r.headed, r.wrong = true, r.wrong || !r.checks.head(status, fields)
	if v := r.checks.value; v != nil && v.name != nil {
		r.value, _ = v.header(fields)
	}
	if len(r.checks.extractions) > 0 && !r.wrong && OutcomeOf(status) == OK {
		r.extracted = make([]string, len(r.checks.extractions)) // the next request keeps it
		r.wrong = !r.extractAll(func(t *extraction) (string, bool) { return t.header(fields) })
	}
}

// extractAll adds what find has for each extraction in this part of a response;
// false if it lacks one, or a value is none for a request.
func (r *responseCheck) extractAll(find func(*extraction) (string, bool)) bool {
	for i := range r.checks.extractions {
		v, found := find(&r.checks.extractions[i])
		if !found || !wire.IsValue(v) {
			return false
		}
		r.extracted[i] += v
	}
	return true
}

// wantsBody reports whether payload is of use.
func (r *responseCheck) wantsBody() bool {
	return r.checks != nil && !r.wrong && (len(r.checks.bodies) > 0 || r.readsBody() ||
		r.checks.extractsBody && (r.extracted != nil || !r.headed))
}

// readsBody reports whether a value is read from the body.
func (r *responseCheck) readsBody() bool { return r.checks.value != nil && r.checks.value.find != nil }

func (r *responseCheck) payload(p []byte) {
	if len(r.kept)+len(p) > maxBody {
		r.wrong = true
		return
	}
	r.kept = append(r.kept, p...)
}

// passed reports whether a complete response is right, and ends the check.
func (r *responseCheck) passed() bool {
	if r.wantsBody() {
		r.wrong = !r.checks.body(r.kept)
		if r.extracted != nil && r.checks.extractsBody && !r.wrong {
			r.wrong = !r.extractAll(func(t *extraction) (string, bool) { return t.body(r.kept) })
		}
	}
	if r.checks != nil && r.readsBody() && !r.wrong {
		r.value, _ = r.checks.value.find(r.kept)
	}
	if cap(r.kept) > keepBody {
		r.kept = nil
	}
	return !r.wrong
}
