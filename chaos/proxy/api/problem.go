package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// problem is an answer that says what is wrong. Status and text are those of
// toxiproxy wherever it has them: its clients match on both.
type problem struct {
	Text   string `json:"error"`
	Status int    `json:"status"`
}

func (p *problem) Error() string { return p.Text }

var (
	errProxyNotFound = &problem{"proxy not found", http.StatusNotFound}
	errProxyExists   = &problem{"proxy already exists", http.StatusConflict}
	errToxicNotFound = &problem{"toxic not found", http.StatusNotFound}
	errToxicExists   = &problem{"toxic already exists", http.StatusConflict}
	errStream        = &problem{"stream was invalid, can be either upstream or downstream", http.StatusBadRequest}
	errToxicType     = &problem{"invalid toxic type", http.StatusBadRequest}
	errEnding        = &problem{"the server is ending", http.StatusServiceUnavailable}
)

// badRequest is for what was sent and cannot be meant.
func badRequest(format string, args ...any) *problem {
	return &problem{fmt.Sprintf(format, args...), http.StatusBadRequest}
}

// missingField is for what a proxy cannot do without.
func missingField(field string) *problem { return badRequest("missing required field: %s", field) }

const badBodyPrefix = "bad request body: "

// badBody is for a body that cannot be read, or not as what it should be.
func badBody(err error) *problem {
	text := err.Error()
	if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{fmt.Sprintf("%sit is longer than %d bytes", badBodyPrefix, long.Limit), http.StatusRequestEntityTooLarge}
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text = fmt.Sprintf("%s must be %s, not %s", cmp.Or(kind.Field, "it"), jsonName(kind), article(kind.Value))
	}
	return badRequest("%s%s", badBodyPrefix, text)
}

// jsonName is what JSON calls a value of the type that was expected.
func jsonName(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); {
	case kind == "bool":
		return "true or false"
	case kind == "string":
		return "a string"
	case kind == "slice":
		return "a list"
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	default:
		return "an object"
	}
}

// article puts one before what encoding/json calls a value: "number 1.5",
// "string", "array", "object", "bool".
func article(value string) string {
	if number, ok := strings.CutPrefix(value, "number "); ok {
		return number
	}
	if strings.HasPrefix(value, "a") || strings.HasPrefix(value, "o") {
		return "an " + value
	}
	return "a " + value
}

// asProblem is the answer for any error: what is not a problem of the request
// is one of the machine, and told in the system's words, as clients know it
// from toxiproxy.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op
	}
	return &problem{err.Error(), http.StatusInternalServerError}
}
