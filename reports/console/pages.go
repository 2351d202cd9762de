package console

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/reports"
)

// policy is what our page may load: what comes from here, and nothing within itself.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// routes are what the console answers. Who has no cookie gets the door alone, and what
// that needs to be looked at.
func (c *Console) routes() http.Handler {
	served := http.NewServeMux()
	served.HandleFunc("GET /{$}", c.page)
	style, charts := reports.Charts()
	served.HandleFunc("GET /room.css", file("text/css; charset=utf-8", style+"\n"+reports.Style()+asset("room.css")))
	served.HandleFunc("GET /charts.js", file("text/javascript; charset=utf-8", charts))
	served.HandleFunc("GET /room.js", file("text/javascript; charset=utf-8", asset("room.js")))
	served.HandleFunc("GET /events", c.events)
	served.HandleFunc("POST /enter", c.enter)
	served.HandleFunc("POST /leave", c.leave)
	served.HandleFunc("POST /here", c.here)
	served.HandleFunc("POST /alerts", c.alert)
	for path := range acts {
		served.HandleFunc("POST "+path, c.act)
	}
	return served
}

func file(typ, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typ)
		_, _ = w.Write([]byte(text)) // fails only if the client is gone
	}
}

// who is who asks, by their cookie.
func (c *Console) who(r *http.Request) (actor, bool) {
	cookie := cookieOf(r)
	p, ok := c.room.of(cookie, r.RemoteAddr)
	return actor{p, cookie}, ok
}

// page answers the page, or the door to it.
func (c *Console) page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	a, ok := c.who(r)
	var text []byte
	var err error
	if ok {
		text, err = c.renderPage(a, c.room.told(a.key))
	} else {
		text, err = c.renderDoor("")
	}
	if err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(text) // fails only if the client is gone
}

// enter exchanges a token for a cookie.
func (c *Console) enter(w http.ResponseWriter, r *http.Request) {
	form, err := formOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	role, ok := c.config.Tokens.role(strings.TrimSpace(form.Get("token")))
	if !ok {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnauthorized)
		text, _ := c.renderDoor("This token opens nothing here: use one that stormctl has printed for this game day.")
		_, _ = w.Write(text)
		return
	}
	cookie, p, ok := c.room.enter(form.Get("name"), role, r.RemoteAddr)
	if !ok {
		http.Error(w, "too many people are in the room who may do more: nobody can be let in", http.StatusServiceUnavailable)
		return
	}
	setCookie(w, r, cookie, c.config.Secure)
	c.log(gameday.Entry{Who: p.Name, Role: role.String(), From: from(r), Do: gameday.Enter, Outcome: gameday.Done, Lesser: role < Operator})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *Console) leave(w http.ResponseWriter, r *http.Request) {
	if a, ok := c.who(r); ok {
		c.room.leave(a.key)
		c.log(gameday.Entry{Who: a.Name, Role: a.Role.String(), From: from(r), Do: gameday.Leave, Outcome: gameday.Done,
			Lesser: a.Role < Operator})
	}
	setCookie(w, r, "", c.config.Secure)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// here takes note that somebody is there.
func (c *Console) here(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.who(r); !ok {
		http.Error(w, "enter first", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// act does what a form asks for, if its sender's role may.
func (c *Console) act(w http.ResponseWriter, r *http.Request) {
	a, ok := c.who(r)
	if !ok {
		answer(w, http.StatusUnauthorized, "enter first: the token is missing")
		return
	}
	form, err := formOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	does := acts[r.URL.Path]
	var e gameday.Entry
	status := http.StatusOK
	switch {
	case a.Role < does.role:
		e.Do = strings.TrimPrefix(r.URL.Path, "/")
		status, err = http.StatusForbidden, errors.New("an "+a.Role.String()+" may not "+does.verb+": it takes an "+does.role.String())
		if a.Role == Reporter {
			err = errors.New("a reporter may not " + does.verb + ": it takes an " + does.role.String())
		}
	case !does.always && c.journal.Full(a.Role < Operator):
		e.Do = strings.TrimPrefix(r.URL.Path, "/")
		status, err = http.StatusInsufficientStorage, errors.New("the journal is full, and what cannot be written down is not done")
	default:
		if e, err = does.do(c, a, form); err != nil {
			status = http.StatusConflict
		}
		if errors.As(err, new(wrong)) {
			status = http.StatusBadRequest
		}
	}
	e.Who, e.Role, e.From, e.Outcome, e.Lesser = a.Name, a.Role.String(), from(r), gameday.Done, a.Role < Operator
	said := ""
	if err != nil {
		said = reports.Clean(err.Error())
		e.Outcome = said
	}
	c.log(e)
	if !ofScript(r) && status != http.StatusForbidden {
		c.room.tell(a.key, said) // on the page that follows
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	answer(w, status, said)
}

// ofScript reports whether our script asks, which wants no page for an answer.
func ofScript(r *http.Request) bool { return r.Header.Get("X-Stormctl-Script") != "" }

func answer(w http.ResponseWriter, status int, text string) {
	if text == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Error(w, text, status)
}

// formOf is the form of a request, whose body is bounded.
func formOf(r *http.Request) (url.Values, error) {
	err := r.ParseForm()
	return r.PostForm, err
}

func refuse(w http.ResponseWriter, err error) {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		http.Error(w, "the form is too long", http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(w, "the form cannot be read", http.StatusBadRequest)
}

// from is the address of who asks, without the port, which says nothing.
func from(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
