package http

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/load/wire"
)

// Whatever comes from one side of a link without faults reaches the other as it
// would without the link. The peers of these tests read by net/http and not by our
// own parser: where the two differ, a side that waits for what the link holds back
// hangs.

// FuzzResponses: the dependency answers with data. A caller to which that is a whole
// response goes on on the same connection, and so does one where the link cannot
// tell.
func FuzzResponses(f *testing.F) {
	const okay = "HTTP/1.1 200 OK\r\n"
	for _, seed := range []string{
		wiretest.OK, okay + "Transfer-Encoding: gzip, chunked\r\n\r\n2;a\r\nok\r\n0\r\nT: v\r\n\r\n",
		okay + "A: b\r\n c\r\nContent-Length: 2, 2\r\n\r\nok",
		"HTTP/1.1 103 Early\r\n\r\n" + wiretest.OK, okay + "\r\nok",
		okay + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		wiretest.OK + "k",
		okay + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		okay + "Transfer-Encoding: chunked\r\n\r\n2\nok\n",
		"rubbish",
		"HTTP/1.1 2",
		"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 304 Not\r\nContent-Length: 3\r\n\r\n",
		switching, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		okay + strings.Repeat("A: b\r\n", 200) + "Content-Length: 0\r\n\r\n",
		"\r\n" + wiretest.OK, okay + "A : b\r\nContent-Length: 2\r\n\r\nok",
	} {
		f.Add([]byte(seed))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	relay := serve(f, listener.Addr().String())
	f.Cleanup(func() { relay.Close(); listener.Close() })
	f.Fuzz(func(t *testing.T, data []byte) {
		c := dialled(t, relay.Addr())
		must(t, "ask", send(c, wiretest.Get))
		up, err := listener.Accept()
		must(t, "take", err)
		t.Cleanup(func() { up.Close() })
		up.SetDeadline(time.Now().Add(wiretest.Patience))
		must(t, "be asked", expect(up, wiretest.Get))
		again := reusable(data)
		go func() {
			up.Write(data)
			if !again {
				up.(*net.TCPConn).CloseWrite()
			}
		}()
		if again {
			must(t, "hear", expect(c, string(data)))
			must(t, "ask again", send(c, wiretest.Get))
			must(t, "be asked again", expect(up, wiretest.Get))
			must(t, "answer", send(up, wiretest.OK))
			must(t, "be answered", expect(c, wiretest.OK))
			data = nil
			up.(*net.TCPConn).CloseWrite()
		}
		if rest, err := io.ReadAll(c); err != nil || !bytes.Equal(rest, data) {
			t.Fatalf("read %q, %v; want %q and an end", rest, err, data)
		}
		c.Close()
		wiretest.Eventually(t, "the exchange ends", func() bool { return relay.InFlight() == 0 })
	})
}

// reusable reports whether a caller may use the connection for more when it has read
// data, or the link cannot read it, so that it must let the caller try.
func reusable(data []byte) bool {
	var r wire.Response
	n, err := r.Parse(data, false)
	for n > 0 && err == nil && r.Interim() {
		data = data[n:]
		n, err = r.Parse(data, false)
	}
	if n > 0 && err == nil {
		_, _, err = r.Body.Next(data[n:])
	}
	if err != nil {
		return true
	}
	rest := bufio.NewReader(bytes.NewReader(data))
	response, err := http.ReadResponse(rest, &http.Request{Method: "GET"})
	if err != nil || response.Close || response.StatusCode < 200 {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil
}

// FuzzRequests: the caller sends data to a server that answers what it can read.
func FuzzRequests(f *testing.F) {
	const post = "POST /a HTTP/1.1\r\nHost: a\r\n"
	for _, seed := range []string{
		wiretest.Get, wiretest.Get + wiretest.Get, post + "Content-Length: 3\r\n\r\nabc" + wiretest.Get, post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + wiretest.Get,
		post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + wiretest.Get, post + "Content-Length: 3, 3\r\n\r\nabc",
		post + "A: b\r\n c\r\n\r\n" + wiretest.Get,
		"GET / HTTP/1.1\nHost: a\n\n" + wiretest.Get, post + "no field\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + wiretest.Get, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nabc",
		"GET / HTTP/1.0\r\n\r\n" + wiretest.Get, upgrade + wiretest.Get, post + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		post + strings.Repeat("A: b\r\n", 200) + "\r\n",
		post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	relay := serve(f, listener.Addr().String())
	f.Cleanup(func() { relay.Close(); listener.Close() })
	f.Fuzz(func(t *testing.T, data []byte) {
		data = wholeHeads(data)
		if len(data) == 0 {
			return
		}
		direct, closes := answerWhile(data)
		served := make(chan struct{})
		go func() {
			defer close(served)
			answerAll(t, listener, data)
		}()
		defer func() { // also of a run that has failed: the next one has the same listener
			listener.(*net.TCPListener).SetDeadline(time.Unix(1, 0))
			<-served
			listener.(*net.TCPListener).SetDeadline(time.Time{})
		}()
		c := dialled(t, relay.Addr())
		defer c.Close() // before the server's end is waited for
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			c.Write(data)
		}()
		if err := expect(c, direct); err != nil {
			t.Errorf("%q: %v", data, err)
		} else if closes {
			if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%q: %q, %v behind the last answer", data, rest, err)
			}
		}
		<-wrote
		c.Close()
		wiretest.Eventually(t, "the exchanges end", func() bool { return relay.InFlight() == 0 })
	})
}

// answerAll answers on every connection until the listener's deadline. What is heard
// must be the beginning of data.
func answerAll(t *testing.T, listener net.Listener, data []byte) {
	for {
		up, err := listener.Accept()
		if err != nil {
			return
		}
		up.SetDeadline(time.Now().Add(wiretest.Patience))
		var got bytes.Buffer
		if answer(io.TeeReader(up, &got), up) {
			up.(*net.TCPConn).CloseWrite()
		}
		io.Copy(&got, up)
		up.Close()
		if !bytes.HasPrefix(data, got.Bytes()) {
			t.Errorf("the server got %q of %q", got.Bytes(), data)
		}
	}
}

// answerWhile is what a server answers to data until it waits for more, and whether it
// closes its side then: at the end of a connection it may answer what is not complete.
func answerWhile(data []byte) (text string, closes bool) {
	in := &starved{data: data, waits: make(chan struct{}), over: make(chan struct{})}
	var out bytes.Buffer
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		closes = answer(in, &out)
	}()
	select {
	case <-answered:
		return out.String(), closes
	case <-in.waits:
		text = out.String()
	}
	close(in.over)
	<-answered
	return text, false
}

// starved is a reader of data that tells when it has no more, and ends when it is
// told to.
type starved struct {
	data        []byte
	waits, over chan struct{}
}

func (s *starved) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		select {
		case <-s.over:
		default:
			close(s.waits)
			<-s.over
		}
		return 0, io.EOF
	}
	n := copy(p, s.data)
	s.data = s.data[n:]
	return n, nil
}

// answer answers every request that net/http reads, refuses one that it cannot, and
// reports whether it then closes its side.
func answer(in io.Reader, out io.Writer) (closes bool) {
	for r := bufio.NewReader(in); ; {
		request, err := http.ReadRequest(r)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(request.Body)
		}
		var broken *net.OpError
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &broken):
			return false
		case err != nil:
			io.WriteString(out, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			return true
		case request.Method == "HEAD" || request.Method == "CONNECT":
			body = nil
		}
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if request.Close {
			return true
		}
	}
}

// wholeHeads is data without a head at its end that is not complete: a link holds
// that back.
func wholeHeads(data []byte) []byte {
	for rest := data; len(rest) > 0; {
		var r wire.Request
		n, err := r.Parse(rest)
		if err != nil {
			return data
		}
		if n == 0 {
			return data[:len(data)-len(rest)]
		}
		rest = rest[n:]
		n, done, err := r.Body.Next(rest)
		if err != nil || !done {
			return data
		}
		rest = rest[n:]
	}
	return data
}

func dialled(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	must(t, "dial", err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(wiretest.Patience))
	return c.(*net.TCPConn)
}

func send(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

func expect(r io.Reader, want string) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil || string(got) != want {
		return fmt.Errorf("read %q, %v; want %q", got[:n], err, want)
	}
	return nil
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
