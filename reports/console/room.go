package console

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stormctl/stormctl/reports"
)

const (
	mostPeople  = 256              // who came in; the one that was away for longest makes room
	longestName = 40               // characters
	away        = 30 * time.Second // after the last request: a page sends one every ten seconds
	mostStreams = 64               // at once
	keptStreams = 16               // of them for who may heal
	ofOne       = 4                // of them for one person, who may have several windows
)

// person is somebody who came in with a token.
type person struct {
	Name string
	Role Role

	from    string // address of the last request
	seen    time.Time
	flash   string // what to tell on the next page; "" is nothing
	streams int
}

// By is how sentences and the timeline name the person: "Ann (operator)".
func (p person) By() string { return p.Name + " (" + p.Role.String() + ")" }

// A room is who came in, by the hash of their cookies.
type room struct {
	mu      sync.Mutex
	people  map[[sha256.Size]byte]*person
	streams int
	empty   time.Time // since when nobody is there who could heal; zero if somebody is
}

// enter lets somebody in, and returns the value of the cookie; false if there is no
// room. Nobody makes room for who may do less: that would put out an owner by the token
// of an observer.
func (r *room) enter(name string, role Role, from string) (cookie string, p person, ok bool) {
	cookie = rand.Text()
	p = person{Name: nameFor(name, role), Role: role, from: from, seen: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.people) >= mostPeople {
		var first *person
		var out [sha256.Size]byte
		for key, other := range r.people {
			if other.Role <= role && (first == nil || cmp.Or(cmp.Compare(other.Role, first.Role), other.seen.Compare(first.seen)) < 0) {
				first, out = other, key
			}
		}
		if first == nil {
			return "", p, false
		}
		delete(r.people, out)
	}
	r.people[sha256.Sum256([]byte(cookie))] = &p
	return cookie, p, true
}

// nameFor is what somebody is called: as they wrote it, cut and cleaned, or by the
// role. Roles stand in parentheses behind names, so that a name has none.
func nameFor(name string, role Role) string {
	name = strings.NewReplacer("(", " ", ")", " ").Replace(name)
	runes := []rune(reports.Clean(strings.Join(strings.Fields(name), " ")))
	return cmp.Or(strings.TrimSpace(string(runes[:min(len(runes), longestName)])), role.String())
}

// leave forgets who has the cookie.
func (r *room) leave(cookie string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.people, sha256.Sum256([]byte(cookie)))
}

// of is who has the cookie, and takes note that they are there.
func (r *room) of(cookie, from string) (person, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[sha256.Sum256([]byte(cookie))]
	if p == nil {
		return person{}, false
	}
	p.seen, p.from = time.Now(), from
	return *p, true
}

// tell leaves something to be told on the next page; told takes it.
func (r *room) tell(cookie, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.people[sha256.Sum256([]byte(cookie))]; p != nil {
		p.flash = text
	}
}

func (r *room) told(cookie string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[sha256.Sum256([]byte(cookie))]
	if p == nil {
		return ""
	}
	text := p.flash
	p.flash = ""
	return text
}

// stream counts a stream in, and reports whether there is room for it. done counts it
// out.
func (r *room) stream(cookie string) (done func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[sha256.Sum256([]byte(cookie))]
	most := mostStreams
	if p != nil && p.Role < Operator {
		most -= keptStreams
	}
	if p == nil || p.streams >= ofOne || r.streams >= most {
		return nil, false
	}
	p.streams++
	r.streams++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		p.streams--
		r.streams--
	}, true
}

// unattended is for how long nobody was there who could heal.
func (r *room) unattended(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last time.Time
	for _, p := range r.people {
		if p.Role >= Operator && p.seen.After(last) {
			last = p.seen
		}
	}
	if last.IsZero() {
		last = r.empty
	}
	r.empty = last // who left was there until then
	return now.Sub(last)
}

// present is who is there, those who may do most first, each name of a role once.
func (r *room) present(now time.Time) (all []person) {
	r.mu.Lock()
	for _, p := range r.people {
		if now.Sub(p.seen) < away {
			all = append(all, person{Name: p.Name, Role: p.Role})
		}
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b person) int { return cmp.Or(cmp.Compare(b.Role, a.Role), strings.Compare(a.Name, b.Name)) })
	return slices.Compact(all)
}

// cookieName has the port in it: cookies are kept by host alone, and two game days of
// one machine must not share them.
func cookieName(r *http.Request) string {
	_, port, _ := strings.Cut(r.Host[strings.LastIndexByte(r.Host, ']')+1:], ":")
	if n, err := strconv.Atoi(port); err == nil {
		return "stormctl-" + strconv.Itoa(n)
	}
	return "stormctl"
}

// cookieOf is the value of the cookie of a request; "" if it has none.
func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie gives a browser its cookie; "" takes it away. It ends with the browser.
func setCookie(w http.ResponseWriter, r *http.Request, value string, secure bool) {
	c := &http.Cookie{Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
