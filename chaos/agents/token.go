package agents

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
)

// A Token is the secret of one run: who has it may join, and says so by what only it
// can make. It goes over no wire.
type Token string

// tokenText is how tokens are written: 128 bits or more.
var tokenText = regexp.MustCompile(`^[0-9a-zA-Z_-]{22,128}$`)

// NewToken draws one.
func NewToken() Token {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead (crypto/rand)
	return Token(hex.EncodeToString(b[:]))
}

// Check says what is wrong with a token.
func (t Token) Check() error {
	if !tokenText.MatchString(string(t)) {
		return errors.New("a token has 22 letters and digits or more: leave it out, and one is drawn")
	}
	return nil
}

// mac is what only who has the token can make of some text, for one use of it.
func (t Token) mac(use string, text []byte) []byte {
	h := hmac.New(sha256.New, []byte(t))
	fmt.Fprintf(h, "stormctl %s\n", use)
	h.Write(text)
	return h.Sum(nil)
}

// password is that of a user of the embedded broker.
func (t Token) password(user string) string {
	return hex.EncodeToString(t.mac("password", []byte(user)))
}

// prefix is what the subjects of the run begin with: of runs that share a broker each
// has its own.
func (t Token) prefix() string { return "stormctl." + hex.EncodeToString(t.mac("subjects", nil)[:8]) }

// sealed is a message that only who has the token can have made.
type sealed struct {
	Body []byte `json:"body"`
	MAC  []byte `json:"mac"`
}

// seal makes a message for one subject.
func (t Token) seal(subject string, message any) ([]byte, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{body, t.mac("message "+subject, body)})
}

// open reads a message that came on a subject, and refuses one that was not sealed for
// it by who has the token.
func (t Token) open(subject string, text []byte, message any) error {
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		return errors.New("it is no message of a run")
	}
	if !hmac.Equal(s.MAC, t.mac("message "+subject, s.Body)) {
		return errors.New("who sent it has not the token of the run")
	}
	return json.Unmarshal(s.Body, message)
}

// A Join is where and how an agent joins a run. As text it is a URL, with the token
// behind #: nats://10.0.0.1:7422#TOKEN, or tls:// with the certificate's SHA-256 as ?pin=
// where the coordinator made one for the run.
type Join struct {
	Broker url.URL // nats or tls; with user and password only of a broker that was there before
	Pin    string  // SHA-256 of the broker's certificate, in hex; "" trusts the system's authorities
	Token  Token
}

func (j Join) String() string {
	u := j.Broker
	if j.Pin != "" {
		u.RawQuery = "pin=" + j.Pin
	}
	u.Fragment = string(j.Token)
	return u.String()
}

// ParseJoin is the inverse of String.
func ParseJoin(text string) (Join, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Join{}, errors.New("it is no URL: write it as run --agents prints it, like nats://10.0.0.1:7422#TOKEN")
	}
	j := Join{Broker: *u, Pin: u.Query().Get("pin"), Token: Token(u.Fragment)}
	j.Broker.RawQuery, j.Broker.Fragment, j.Broker.RawFragment = "", "", ""
	if (u.Scheme != "nats" && u.Scheme != "tls") || u.Port() == "" || u.Hostname() == "" {
		return Join{}, errors.New("it has no broker: write it as run --agents prints it, like nats://10.0.0.1:7422#TOKEN")
	}
	if pin, err := hex.DecodeString(j.Pin); err != nil || len(pin) != 0 && len(pin) != sha256.Size {
		return Join{}, errors.New("pin: is not a SHA-256 in hex")
	}
	if err := j.Token.Check(); err != nil {
		return Join{}, fmt.Errorf("what stands behind # is no token: %w", err)
	}
	return j, nil
}
