package console

import (
	"crypto/rand"
	"crypto/sha256"

	"github.com/stormctl/stormctl/chaos/guard"
)

// Role is what a token lets somebody do; each may do what those before it may.
type Role int

const (
	Observer Role = iota // reads, predicts, and halts
	Reporter             // leaves notes and marks, and ticks off the checklist
	Operator             // arms, injects and heals
	Owner                // begins and ends the load
)

var roleNames = [...]string{"observer", "reporter", "operator", "owner"}

func (r Role) String() string { return roleNames[r] }

// Roles are all of them, from the one that may do most.
var Roles = []Role{Owner, Operator, Reporter, Observer}

// Tokens are the secrets of one game day, 128 bits each. Who has one has its role.
type Tokens struct {
	roles  [len(roleNames)]string
	alerts string
}

// NewTokens draws them.
func NewTokens() Tokens {
	var t Tokens
	for i := range t.roles {
		t.roles[i] = rand.Text() // 26 characters of 5 bits
	}
	t.alerts = rand.Text()
	return t
}

// Of is the token of a role.
func (t Tokens) Of(r Role) string { return t.roles[r] }

// Alerts is the token that alerts are sent with; it opens nothing else.
func (t Tokens) Alerts() string { return t.alerts }

// alert reports whether a token is that of alerts.
func (t Tokens) alert(token string) bool {
	return guard.Same(sha256.Sum256([]byte(token)), sha256.Sum256([]byte(t.alerts)))
}

// role is the role that a token gives; false if it gives none. How long it takes says
// nothing about the tokens.
func (t Tokens) role(token string) (role Role, ok bool) {
	given := sha256.Sum256([]byte(token))
	for r, own := range t.roles {
		if guard.Same(given, sha256.Sum256([]byte(own))) {
			role, ok = Role(r), true
		}
	}
	return role, ok
}
