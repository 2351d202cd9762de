package http

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

const gotGet = "HEADERS :method=GET :scheme=http :authority=a :path="

func TestStreamsEndAsTheyDo(t *testing.T) {
	t.Run("reset by the dependency, behind what came before", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.head(3, false, ":status=200")
		up.must(up.WriteData(3, false, []byte("some")))
		up.must(up.WriteRSTStream(3, http2.ErrCodeEnhanceYourCalm))
		c.expect("3 HEADERS :status=200", "3 DATA some", "3 RST_STREAM ENHANCE_YOUR_CALM")
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("answered before the request was complete", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.post(3, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		up.head(3, true, ":status=413")
		up.must(up.WriteRSTStream(3, http2.ErrCodeNo))
		c.expect("3 HEADERS :status=413 END", "3 RST_STREAM NO_ERROR")
		if x := l.Next(); x.Status != 413 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("an upload goes on behind its answer", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.post(3, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		up.head(3, true, ":status=200")
		c.expect("3 HEADERS :status=200 END")
		l.Next()
		c.must(c.WriteData(3, true, []byte("rest")))
		up.expect("3 DATA rest END")
	})
	t.Run("reset by the caller", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		c.must(c.WriteRSTStream(3, http2.ErrCodeCancel))
		up.expect("3 RST_STREAM CANCEL")
		if x := l.Next(); x.Status != 0 || x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
		up.head(3, true, ":status=200") // on its way already: goes nowhere
		c.get(5, "/b")
		up.expect("5 " + gotGet + "/b END")
		up.head(5, true, ":status=200")
		c.expect("5 HEADERS :status=200 END")
		l.Next()
	})
	t.Run("FIN from the dependency, idle", func(t *testing.T) {
		_, _, c, up := streaming(t)
		up.conn.CloseWrite()
		c.expect("FIN")
	})
	t.Run("FIN from the dependency, in the middle", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.head(3, false, ":status=200")
		c.expect("3 HEADERS :status=200")
		up.conn.CloseWrite()
		c.expect("FIN")
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("RST from the dependency", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.conn.SetLinger(0)
		up.conn.Close()
		c.expect("RST")
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("FIN from the caller", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		c.conn.Close()
		up.expect("FIN")
		if x := l.Next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a dependency that is not there", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		d.Close()
		c := l.h2dial()
		c.get(1, "/")
		c.expect("RST")
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a dependency that speaks something else", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		c := l.h2dial()
		c.get(1, "/")
		// Before it there is no exchange that could fail.
		wiretest.Eventually(t, "the request came", func() bool { return l.InFlight() == 1 })
		d.Take().Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		c.expect("RST")
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a FIN waits for what a fault holds", func(t *testing.T) {
		l, _, c, up := streaming(t)
		remove := l.Add(1, toxic.Partition{Select: toxic.All})
		c.get(3, "/a")
		wiretest.Eventually(t, "it is held", func() bool { return l.Hit(1) == 1 })
		up.conn.CloseWrite()
		c.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if f, err := c.ReadFrame(); f != nil {
			if _, ok := f.(*http2.SettingsFrame); !ok {
				t.Errorf("got %v, %v; want nothing yet", f, err)
			}
		}
		c.conn.SetReadDeadline(time.Now().Add(wiretest.Patience))
		remove()
		c.expect("FIN")
		if x := l.Next(); x.Ending != evidence.Failed || x.Faults != 2 {
			t.Errorf("recorded %+v", x)
		}
	})
}

func TestGoAway(t *testing.T) {
	t.Run("from the dependency", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		c.get(5, "/b")
		up.expect("3 "+gotGet+"/a END", "5 "+gotGet+"/b END")
		up.must(up.WriteGoAway(lastStream, http2.ErrCodeNo, nil))
		c.expect("GOAWAY 2147483647 NO_ERROR ")
		c.get(7, "/c") // it was on its way
		up.expect("7 " + gotGet + "/c END")
		up.must(up.WriteGoAway(3, http2.ErrCodeNo, []byte("bye")))
		c.expect("GOAWAY 3 NO_ERROR bye") // that tells of 5 and 7
		c.get(9, "/d")                    // nobody serves it, as its sender knows
		up.head(3, true, ":status=200")
		c.expect("3 HEADERS :status=200 END")
		for range 3 {
			if x := l.Next(); x.Path == "/a" && x.Ending != evidence.Answered || x.Path != "/a" && x.Ending != evidence.Failed {
				t.Errorf("recorded %+v", x)
			}
		}
		up.conn.CloseWrite()
		c.expect("FIN")
	})
	t.Run("from the dependency, to streams that overtook each other", func(t *testing.T) {
		l, _, c, up := streaming(t)
		remove := l.Add(1, toxic.Partition{Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/slow"}}})
		c.get(3, "/slow")
		c.get(5, "/fast")
		up.expect("3 " + gotGet + "/fast END")
		remove()
		up.expect("5 " + gotGet + "/slow END")
		up.must(up.WriteGoAway(3, http2.ErrCodeNo, nil))
		c.expect("GOAWAY 5 NO_ERROR ", "3 RST_STREAM REFUSED_STREAM")
		if x := l.Next(); x.Path != "/slow" || x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
		up.head(3, true, ":status=200")
		c.expect("5 HEADERS :status=200 END")
		l.Next()
	})
	t.Run("from the dependency, to a stream that a fault holds", func(t *testing.T) {
		l, _, c, up := streaming(t)
		remove := l.Add(1, toxic.Partition{Select: toxic.All})
		c.get(3, "/a")
		wiretest.Eventually(t, "it is held", func() bool { return l.Hit(1) == 1 })
		up.must(up.WriteGoAway(1, http2.ErrCodeNo, nil))
		c.expect("GOAWAY 3 NO_ERROR ") // a partition tells nobody anything
		remove()
		c.expect("3 RST_STREAM REFUSED_STREAM")
		if x := l.Next(); x.Ending != evidence.Failed || x.Faults != 1<<1 {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("from the caller", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		c.must(c.WriteGoAway(0, http2.ErrCodeNo, []byte("bye")))
		up.expect("GOAWAY 0 NO_ERROR bye")
		up.head(3, true, ":status=200")
		c.expect("3 HEADERS :status=200 END")
		l.Next()
		c.conn.Close()
		up.expect("FIN")
	})
}

func TestPingsPass(t *testing.T) {
	l, _, c, up := streaming(t)
	data := [8]byte{'1', '2', '3', '4', '5', '6', '7', '8'}
	c.must(c.WritePing(false, data))
	up.expect("PING 12345678")
	up.must(up.WritePing(true, data))
	c.expect("PONG 12345678")
	up.must(up.WritePing(false, data))
	c.expect("PING 12345678")
	c.must(c.WritePing(true, data))
	up.expect("PONG 12345678")

	remove := l.Add(1, toxic.Partition{Select: toxic.All})
	c.get(3, "/a")
	c.must(c.WritePing(false, data))
	c.head(5, true, ":method=GET", "Upper=x")
	c.expect("5 RST_STREAM PROTOCOL_ERROR") // now it has been read
	up.must(up.WritePing(false, data))
	wiretest.Eventually(t, "both are held", func() bool {
		l.relay.mu.Lock()
		defer l.relay.mu.Unlock()
		for m := range l.relay.conns {
			m.(*h2Conn).mu.Lock()
			defer m.(*h2Conn).mu.Unlock()
			return len(m.(*h2Conn).pings) == 2
		}
		return false
	})
	remove()
	c.expect("PING 12345678")
	up.expect("PING 12345678", "3 "+gotGet+"/a END")
	c.conn.Close()
	l.Next()

	d := wiretest.NewDependency(t)
	d.Close()
	c = listen(t, d.Address(), speaks(toxic.ProtocolHTTP2)).h2dial()
	c.must(c.WritePing(false, data)) // there is nobody to pass it on to
	c.expect("PONG 12345678")
}

func TestStreamLimitOfTheDependency(t *testing.T) {
	l, _, c, up := streaming(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	c.get(3, "/a")
	c.get(5, "/b")
	up.expect("3 " + gotGet + "/a END")
	up.must(up.WritePing(false, [8]byte{'x'})) // what comes before its answer comes before /b
	for c.frame() != "PING x\x00\x00\x00\x00\x00\x00\x00" {
	}
	c.must(c.WritePing(true, [8]byte{'x'}))
	up.expect("PONG x\x00\x00\x00\x00\x00\x00\x00")
	up.head(3, true, ":status=200")
	up.expect("5 " + gotGet + "/b END")
	up.head(5, true, ":status=200")
	c.expect("3 HEADERS :status=200 END", "5 HEADERS :status=200 END")
	l.Next()
	l.Next()

	d := wiretest.NewDependency(t)
	l = listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
	c = l.h2dial()
	c.limits = true
	c.get(1, "/")
	up = h2accept(d, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7})
	c.expect("SETTINGS MAX_CONCURRENT_STREAMS 7") // at once: it opens no more than that
	up.must(up.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 3}))
	c.expect("SETTINGS MAX_CONCURRENT_STREAMS 3")
	up.expect("1 " + gotGet + "/ END")
	c.conn.Close()
	l.Next()
}

// TestOvertaking lets a stream overtake one that is delayed: on the dependency's
// side they have other numbers, and what comes back has the right ones again.
func TestOvertaking(t *testing.T) {
	l, _, c, up := streaming(t)
	remove := l.Add(1, toxic.Partition{Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/slow"}}})
	c.post(3, "/slow")
	c.must(c.WriteData(3, true, []byte("body")))
	c.get(5, "/fast")
	up.expect("3 " + gotGet + "/fast END")
	up.head(3, true, ":status=200")
	c.expect("5 HEADERS :status=200 END")
	if x := l.Next(); x.Path != "/fast" || x.Seq != 3 {
		t.Errorf("recorded %+v", x)
	}
	remove()
	up.expect("5 HEADERS :method=POST :scheme=http :authority=a :path=/slow", "5 DATA body END")
	up.head(5, true, ":status=201")
	c.expect("3 HEADERS :status=201 END")
	if x := l.Next(); x.Path != "/slow" || x.Status != 201 || x.Seq != 2 {
		t.Errorf("recorded %+v", x)
	}
}

func TestWindows(t *testing.T) {
	t.Run("of the caller", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		c := l.h2dial(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
		c.get(1, "/")
		up := h2accept(d)
		up.expect("1 " + gotGet + "/ END")
		up.head(1, false, ":status=200")
		up.must(up.WriteData(1, false, []byte("0123456789")))
		up.head(1, true, "sum=x")
		c.expect("1 HEADERS :status=200", "1 DATA 012")
		c.must(c.WriteWindowUpdate(1, 2))
		c.expect("1 DATA 34")
		if n := l.InFlight(); n != 1 {
			t.Errorf("%d in flight, want 1", n)
		}
		c.must(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 8}))
		c.expect("1 DATA 56789", "1 HEADERS sum=x END")
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("of the relay, overrun", func(t *testing.T) {
		l, _, c, up := streaming(t)
		remove := l.Add(1, toxic.Partition{Select: toxic.All})
		defer remove()
		c.post(3, "/a")
		for range window / 16384 {
			c.must(c.WriteData(3, false, make([]byte, 16384)))
		}
		c.must(c.WriteData(3, false, []byte("x")))
		c.expect("3 RST_STREAM FLOW_CONTROL_ERROR")
		if x := l.Next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
		_ = up
	})
	t.Run("padding is given back", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.post(3, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		for range 20 * window / 256 {
			c.must(c.WriteDataPadded(3, false, nil, make([]byte, 255)))
		}
		c.must(c.WriteData(3, true, []byte("end")))
		up.expect("3 DATA end END")
		up.head(3, true, ":status=200")
		l.Next()
	})
}
