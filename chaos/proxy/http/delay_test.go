package http

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestHang(t *testing.T) {
	t.Run("until the heal", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.Hang{Select: toxic.All})
		c.Send(wiretest.Get)
		c.Silent()
		up.Silent()
		remove()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		l.recorded(evidence.Answered, 200, true)
		untouched(l, c, up)
	})
	t.Run("until the caller leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Hang{Select: toxic.All})
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		l.recorded(evidence.CallerGone, 0, true)
		up.WasClosed() // without a request
	})
	t.Run("a response that has not begun", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		remove := l.Add(4, toxic.Hang{Select: toxic.All})
		up.Send(wiretest.OK)
		c.Silent()
		remove()
		c.Expect(wiretest.OK)
		l.recorded(evidence.Answered, 200, true)
	})
}

func TestLatencyOfTheResponse(t *testing.T) {
	t.Run("the dependency has the request at once", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Silent()
		remove()
		c.Expect(wiretest.OK)
		l.recorded(evidence.Answered, 200, true)
		untouched(l, c, up)
	})
	t.Run("delays by what it says at least", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Latency{Delay: 40 * time.Millisecond, On: "response", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		sent := time.Now()
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		if took := time.Since(sent); took < 40*time.Millisecond {
			t.Errorf("the response took %v, want 40ms at least", took)
		}
		l.recorded(evidence.Answered, 200, true)
	})
	t.Run("delays an answer too", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, _ := warm(l, d)
		l.Add(4, toxic.Latency{Delay: 20 * time.Millisecond, Select: toxic.All})
		l.Add(4, toxic.Latency{Delay: 30 * time.Millisecond, On: "response", Select: toxic.All})
		l.Add(4, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c.Send(wiretest.Get)
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		// 20 ms + 30 ms
		if x := l.recorded(evidence.Injected, 503, true); x.Duration() < 50*time.Millisecond {
			t.Errorf("it took %v, want 50ms at least", x.Duration())
		}
	})
}

func TestLatency(t *testing.T) {
	t.Run("delays by what it says at least", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		l.Add(3, toxic.Latency{Delay: 20 * time.Millisecond, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		// 40 ms + 20 ms
		if x := l.Next(); x.Duration() < 60*time.Millisecond || x.Ending != evidence.Answered || x.Faults != 1<<2|1<<3 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the rest is dropped when it heals", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Silent()
		remove()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Ending != evidence.Answered || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
		untouched(l, c, up)
	})

	t.Run("delays the response of a call in flight", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		remove := l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		up.Send(wiretest.OK)
		c.Silent()
		remove()
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Ending != evidence.Answered || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Duration() < 40*time.Millisecond {
			t.Errorf("recorded %+v, want at least the delay", x)
		}
	})

	t.Run("a caller who leaves is seen meanwhile", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		c := l.Dial()
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("delays an answer", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		l.Add(3, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c := l.Dial()
		c.Send(wiretest.Get)
		c.Expect("HTTP/1.1 503")
		if x := l.Next(); x.Duration() < 40*time.Millisecond || x.Ending != evidence.Injected || x.Faults != 1<<2|1<<3 {
			t.Errorf("recorded %+v", x)
		}
	})
}
