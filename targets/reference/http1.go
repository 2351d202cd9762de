package reference

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// http1 is one HTTP/1.1 connection while its requests are plain: complete
// within a few KiB, their bodies of known length, nothing asked of the
// connection. Whatever it is not sure of is for net/http to read.
type http1 struct {
	dependency *dependency
	conn       net.Conn
	leaving    atomic.Bool

	buffer []byte
	from   int // buffer[from:to] has been read but not handled
	to     int
	out    []byte
	date   date

	// Most requests of a connection ask for the same.
	target      string
	path, query string
}

// next is the server that goes on with a connection.
type next uint8

const (
	ended next = iota
	toH2C
	toNetHTTP
)

// longestPlain is the longest header of a plain request.
const longestPlain = 8 << 10

func newHTTP1(d *dependency, conn net.Conn) *http1 {
	return &http1{dependency: d, conn: conn, buffer: make([]byte, longestPlain)}
}

// serve serves plain requests and returns which server goes on, with what was read
// for it already.
func (c *http1) serve() ([]byte, next) {
	for first := true; ; {
		waiting := c.buffer[c.from:c.to]
		if first && len(waiting) > 0 {
			if n := min(len(waiting), len(preface)); string(waiting[:n]) == preface[:n] {
				if n == len(preface) {
					return waiting, toH2C
				}
				waiting = nil // it may become the preface
			} else {
				first = false
			}
		}
		end := bytes.Index(waiting, []byte("\r\n\r\n"))
		if end < 0 {
			if len(waiting) == len(c.buffer) {
				return waiting, toNetHTTP
			}
			if !c.flush() || !c.read(len(waiting) > 0) {
				return nil, ended
			}
			continue
		}
		var p plain
		if !p.parse(waiting[:end+2], c.dependency.idHeader) || !c.locate(p.target) {
			if !c.flush() {
				return nil, ended
			}
			return waiting, toNetHTTP
		}
		c.from += end + 4
		if !c.skip(p.length) || !c.answer(&p) {
			return nil, ended
		}
	}
}

func (c *http1) locate(target []byte) (ok bool) {
	if string(target) == c.target {
		return true
	}
	text := string(target)
	if c.path, c.query, ok = locate(text); ok {
		c.target = text
	}
	return ok
}

// read reads more. It goes on within a request even if it is retired.
func (c *http1) read(within bool) bool {
	c.to = copy(c.buffer, c.buffer[c.from:c.to])
	c.from = 0
	n, err := c.conn.Read(c.buffer[c.to:])
	if errors.Is(err, os.ErrDeadlineExceeded) && within {
		_ = c.conn.SetReadDeadline(time.Time{})
		n, err = c.conn.Read(c.buffer[c.to:])
	}
	c.to += n
	return err == nil
}

// skip reads a body and throws it away.
func (c *http1) skip(length int) bool {
	for length > c.to-c.from {
		length -= c.to - c.from
		c.from = c.to
		if !c.flush() || !c.read(true) {
			return false
		}
	}
	c.from += length
	return true
}

// answer answers a plain request; false is the end of the connection.
func (c *http1) answer(p *plain) bool {
	r := c.dependency.take(ask{c.path, c.query, p.id, p.trace})
	if r.wait > 0 {
		if !c.flush() {
			// Its caller has gone, and it is processed all the same.
			c.out = c.out[:0]
		}
		sleep(r.wait)
	}
	c.dependency.done(&r)
	c.date.update()
	leaving := c.leaving.Load()

	b := c.out
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(r.status)...)
	b = append(b, "\r\nContent-Type: "...)
	b = append(b, r.contentType...)
	if !bodiless(r.status) {
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.body)), 10)
	}
	if r.retryAfter != "" {
		b = append(b, "\r\nRetry-After: "...)
		b = append(b, r.retryAfter...)
	}
	if leaving {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\nDate: "...)
	b = append(b, c.date.text...)
	b = append(b, "\r\n\r\n"...)
	c.out = b
	if !bodiless(r.status) && !p.head {
		if len(r.body) > sendAtOnce {
			if !c.flush() {
				return false
			}
			_, err := c.conn.Write(r.body)
			return err == nil && !leaving
		}
		c.out = append(c.out, r.body...)
	}
	if leaving || len(c.out) > sendAtOnce {
		return c.flush() && !leaving
	}
	return true
}

func (c *http1) flush() bool {
	if len(c.out) == 0 {
		return true
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err == nil
}

func (c *http1) retire() {
	c.leaving.Store(true)
	_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // wakes it if it is idle
}

func (c *http1) abandon() { c.conn.Close() }

// plain is a plain request, read from the bytes of its header.
type plain struct {
	target []byte // only lent
	head   bool
	length int // of the body
	id     string
	trace  string
}

// parse reads a header, the empty line left out; false if it is not plain.
// It takes less than the grammar allows (RFC 9112), never more.
func (p *plain) parse(b []byte, idHeader string) bool {
	line, b, _ := bytes.Cut(b, crlf)
	method, line, _ := bytes.Cut(line, space)
	target, version, _ := bytes.Cut(line, space)
	if !all(method, isUpper) || string(version) != "HTTP/1.1" || len(target) == 0 || target[0] != '/' {
		return false
	}
	p.target, p.head = target, string(method) == "HEAD"
	hosts, lengths := 0, 0
	for len(b) > 0 {
		line, b, _ = bytes.Cut(b, crlf)
		name, value, ok := bytes.Cut(line, colon)
		value = bytes.Trim(value, " \t")
		if !ok || !all(name, isName) || !all(value, isText) && len(value) > 0 {
			return false
		}
		switch {
		case is(name, idHeader):
			if p.id == "" {
				p.id = string(value)
			}
		case is(name, "traceparent"):
			if p.trace == "" {
				p.trace = string(value)
			}
		case is(name, "host"):
			hosts++
			if !all(value, isHost) && len(value) > 0 {
				return false
			}
		case is(name, "content-length"):
			lengths++
			var err error
			if p.length, err = strconv.Atoi(string(value)); err != nil || !all(value, isDigit) {
				return false
			}
		case is(name, "connection"):
			if !is(value, "keep-alive") {
				return false
			}
		case is(name, "transfer-encoding"), is(name, "expect"), is(name, "upgrade"), is(name, "trailer"):
			return false
		}
	}
	return hosts == 1 && lengths <= 1
}

var crlf, space, colon = []byte("\r\n"), []byte(" "), []byte(":")

// is reports whether a name is that one, which is in lower case.
func is(name []byte, lower string) bool {
	return len(name) == len(lower) && strings.EqualFold(string(name), lower)
}

// class is a set of bytes.
type class uint8

const (
	isUpper class = 1 << iota
	isDigit
	isHost // of a host and its port
	isName // of a field's name
	isText // of a field's value
)

var classes = func() (table [256]class) {
	for b := range table {
		c := byte(b)
		upper, digit, lower := 'A' <= c && c <= 'Z', '0' <= c && c <= '9', 'a' <= c && c <= 'z'
		set := func(in bool, k class) {
			if in {
				table[b] |= k
			}
		}
		set(upper, isUpper)
		set(digit, isDigit)
		set(upper || lower || digit || strings.IndexByte("-._:[]", c) >= 0, isHost)
		set(upper || lower || digit || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0, isName)
		set(' ' <= c && c != 0x7f || c == '\t', isText)
	}
	return table
}()

// all reports whether there are bytes, all of that class.
func all(b []byte, k class) bool {
	for _, c := range b {
		if classes[c]&k == 0 {
			return false
		}
	}
	return len(b) > 0
}
