package experiment

import (
	"fmt"
	"slices"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/judge"
)

// auditNamed is the audit of a name; nil if there is none.
func (r *rules) auditNamed(name string) *Audit {
	if i := slices.IndexFunc(r.x.Load.Audit, func(a Audit) bool { return a.Name == name }); i >= 0 {
		return &r.x.Load.Audit[i]
	}
	return nil
}

// auditNames are those of all audits.
func (r *rules) auditNames() (known []string) {
	for _, a := range r.x.Load.Audit {
		known = append(known, a.Name)
	}
	return known
}

// elsewhere refuses to take what an audit lists as applied for what was delivered.
func (r *rules) elsewhere(path strict.Path, at, delivered judge.Links) {
	if len(at) == 1 && slices.Equal(at, delivered) && r.x.Links[at[0]] == nil && r.auditNamed(at[0]) != nil {
		r.Wrong(path, fmt.Sprintf("delivered: audit %s is where effects are seen", strict.Quote(at[0])),
			"name an audit that lists each delivery, once for each time that it came, or a link to the consumer")
	}
}

// toPlace checks that a value names where events are seen: a link that knows calls, or
// an audit of ids.
func (r *rules) toPlace(path strict.Path, name string) bool {
	a := r.auditNamed(name)
	switch {
	case a == nil && r.x.Links[name] == nil && len(r.x.Load.Audit) > 0 && r.Sound(path):
		r.Wrong(path, fmt.Sprintf("%s: there is no link or audit %s", path.Tail(), strict.Quote(name)),
			strict.Suggest(name, "links and audits", slices.Concat(r.links, r.auditNames())))
		return false
	case a == nil:
		return r.toCalls(path, name)
	case r.x.Links[name] != nil:
		r.Wrong(path, fmt.Sprintf("%s: %s is both a link and an audit", path.Tail(), strict.Quote(name)), "give one of them another name")
		return false
	case a.IDs == "":
		r.Wrong(path, fmt.Sprintf("%s: audit %s finds no ids", path.Tail(), strict.Quote(name)), "give it ids: json:$.ids[*]")
		return false
	}
	return true
}

// toTimed checks that a value names a link that knows calls, which have times.
func (r *rules) toTimed(path strict.Path, name string) bool {
	if r.x.Links[name] != nil || r.auditNamed(name) == nil {
		return r.toCalls(path, name)
	}
	r.Wrong(path, fmt.Sprintf("%s: %s is an audit, which has no times", path.Tail(), strict.Quote(name)),
		"name a link at which each effect is a call")
	return false
}

// places checks one name or a list of them, an audit among which stands alone.
func (r *rules) places(path strict.Path, names judge.Links) {
	for i, name := range names {
		at := path.Item(i)
		if !r.Has(at) {
			at = path // one name in place of a list
		}
		if r.Sound(at) {
			r.toPlace(at, name)
		}
		r.alone(at, names, name)
	}
}

// alone refuses an audit beside others.
func (r *rules) alone(at strict.Path, names judge.Links, name string) {
	if len(names) > 1 && r.x.Links[name] == nil && r.auditNamed(name) != nil {
		r.Wrong(at, fmt.Sprintf("%s: audit %s is one of several", at.Tail(), strict.Quote(name)), "a list is of links")
	}
}

// eventClaim checks a claim on events.
func (r *rules) eventClaim(path strict.Path, kind string, c *Claim) {
	switch kind {
	case "effects":
		e := c.Effects
		r.places(path.Child("delivered"), e.Delivered)
		r.elsewhere(path.Child("delivered"), e.At, e.Delivered)
		for i, name := range e.At {
			r.alone(path.Child("at").Item(i), e.At, name)
		}
		if len(e.At) != 1 || r.x.Links[e.At[0]] != nil || r.auditNamed(e.At[0]) == nil {
			return
		}
		for _, key := range []string{"path", "keys"} {
			if at := path.Child(key); r.Has(at) {
				r.WrongKey(at, key+": goes with a link, and at is an audit", "what an audit lists has taken effect")
			}
		}
	case "ordered":
		o := c.Ordered
		for i, name := range o.At {
			r.alone(path.Child("at").Item(i), o.At, name)
		}
		r.places(path.Child("delivered"), o.Delivered)
		r.elsewhere(path.Child("delivered"), o.At, o.Delivered)
		r.toData(path.Child("writes"), o.Writes, "writes")
		r.toAudit(path.Child("parked"), o.Parked)
	case "conserved":
		r.conserved(path, c.Conserved)
	}
}

func (r *rules) conserved(path strict.Path, c *judge.Conserved) {
	for i, p := range c.Pairs {
		if at := path.Child("pairs").Item(i).Child("at"); r.Sound(at) {
			r.toCalls(at, p.At)
		}
	}
	a, b := r.anAudit(path.Child("audit"), c.Audit), r.anAudit(path.Child("equals_audit"), c.EqualsAudit)
	switch {
	case a != nil && b != nil && (a.Number == "") != (b.Number == ""):
		r.Wrong(path.Child("equals_audit"), fmt.Sprintf("equals_audit: of audits %s and %s one finds a number and the other ids",
			strict.Quote(c.Audit), strict.Quote(c.EqualsAudit)), "they are of one kind")
	case a != nil && c.Equals != nil && a.Number == "":
		r.Wrong(path.Child("audit"), fmt.Sprintf("audit: %s finds no number", strict.Quote(c.Audit)), "give it number: json:$.sum")
	case a != nil && c.Throughout && a.Every == 0:
		r.Wrong(path.Child("throughout"), fmt.Sprintf("throughout: audit %s is asked once", strict.Quote(c.Audit)), "give it every: 1s")
	}
}

// anAudit checks that a value names an audit; nil if it does not, or that was told.
func (r *rules) anAudit(path strict.Path, name string) *Audit {
	if !r.Sound(path) || name == "" || r.Bad("load") {
		return nil
	}
	if a := r.auditNamed(name); a != nil {
		return a
	}
	known := r.auditNames()
	if len(known) == 0 {
		r.Wrong(path, fmt.Sprintf("%s: the load has no audit", path.Tail()),
			"add load.audit: [{name: "+name+", to: TARGET, get: /total, number: \"json:$.sum\"}]")
		return nil
	}
	r.refers(path, name, "audit", known)
	return nil
}
