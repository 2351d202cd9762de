package export

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

// post is what a receiver got.
type post struct {
	body      []byte
	signature string
}

// receiver answers posts with the statuses in turn, and the last one for ever.
func receiver(t *testing.T, statuses ...int) (url string, got func() []post) {
	t.Helper()
	var mu sync.Mutex
	var posts []post
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		posts = append(posts, post{body, r.Header.Get(SignatureHeader)})
		w.WriteHeader(statuses[min(len(posts), len(statuses))-1])
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []post {
		mu.Lock()
		defer mu.Unlock()
		return append([]post(nil), posts...)
	}
}

func notices(t *testing.T, posts []post) (all []Notice) {
	t.Helper()
	for _, p := range posts {
		var n Notice
		if err := json.Unmarshal(p.body, &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func TestWebhookTellsWhatHappens(t *testing.T) {
	url, got := receiver(t, 204)
	l := &Live{}
	end := l.Webhook(url, []byte("s3cret"))
	l.Begin(Start{Name: "shop", Started: time.Unix(1000, 0).UTC(), Faults: []Fault{{"errors 503 on bank", "bank"}}, Claims: []string{"steady", "breaker (2)"}})
	l.Event(evidence.Event{Kind: evidence.KindTick, Tick: &evidence.Tick{}})
	l.Event(evidence.Event{At: evidence.Seconds(3 * time.Second), Kind: evidence.KindInject, Fault: 1, Text: "errors"})
	l.Event(evidence.Event{At: evidence.Seconds(4 * time.Second), Kind: evidence.KindDeath, Target: "bank", Text: "bank ended by itself"})
	l.Rulings([]judge.Verdict{{Ruling: judge.Held}, {Ruling: judge.Held}}, false)
	l.Rulings([]judge.Verdict{{Ruling: judge.Held}, {Name: "breaker", Ruling: judge.Refuted, Reason: "it stayed closed"}}, true)
	end()
	posts := got()
	all := notices(t, posts)
	if len(all) != 4 {
		t.Fatalf("%d notices: %+v", len(all), all)
	}
	for i, n := range all {
		if n.Number != uint64(i+1) || n.Run != "shop" || !n.Started.Equal(time.Unix(1000, 0)) || n.Time.IsZero() {
			t.Errorf("notice %d: %+v", i, n)
		}
		mac := hmac.New(sha256.New, []byte("s3cret"))
		mac.Write(posts[i].body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); posts[i].signature != want {
			t.Errorf("signature %q, want %q", posts[i].signature, want)
		}
	}
	if n := all[1]; n.Event != "inject" || n.Fault != "errors 503 on bank" || n.On != "bank" || n.At.Duration() != 3*time.Second {
		t.Errorf("of a fault: %+v", n)
	}
	if n := all[2]; n.Event != "death" || n.Target != "bank" {
		t.Errorf("of a death: %+v", n)
	}
	if n := all[3]; n.Event != "ruling" || n.Ruling != "refuted" || len(n.Claims) != 2 || n.Claims[1] != (ClaimNotice{"breaker (2)", "refuted", "it stayed closed"}) {
		t.Errorf("of the rulings: %+v", n)
	}
	if l.Lost() != "" {
		t.Error(l.Lost())
	}
}

// What may pass is tried three times, what may not is not, and a redirect is not
// followed.
func TestWebhookTries(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		posts    int
		failed   uint64
	}{
		{[]int{503, 429, 200}, 3, 0}, {[]int{503, 503, 503, 200}, 3, 1}, {[]int{404}, 1, 1}, {[]int{302}, 1, 1},
	} {
		url, got := receiver(t, c.statuses...)
		var counts dropped
		w := newWebhook(url, nil, &counts)
		w.put(Start{}, &Notice{Event: "note"})
		for len(got()) < c.posts { // the third comes 1.5 s after the first
			time.Sleep(10 * time.Millisecond)
		}
		w.close()
		if n := len(got()); n != c.posts || counts.failed.Load() != c.failed {
			t.Errorf("%v: %d posts, %d failed, want %d and %d", c.statuses, n, counts.failed.Load(), c.posts, c.failed)
		}
		if got()[0].signature != "" {
			t.Error("it is signed without a secret")
		}
	}
}

// A receiver that hangs costs counters, and at the end two seconds: who tells of events
// waits for nothing.
func TestWebhookThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Live{}
		w := newWebhook("http://hangs.example/", nil, &l.webhook)
		w.client.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				_, _ = io.Copy(io.Discard, server) // reads, and says nothing
			}()
			return client, nil
		}}
		l.sinks = append(l.sinks, w)
		l.Begin(Start{Name: "shop"})
		synctest.Wait()
		began := time.Now()
		const events = webhookRoom + 50
		for range events {
			l.Event(evidence.Event{Kind: evidence.KindNote, Text: "something"})
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("who tells of events waited %v", took)
		}
		w.close()
		if took := time.Since(began); took > flushWithin {
			t.Errorf("the end took %v", took)
		}
		if full, failed := l.webhook.full.Load(), l.webhook.failed.Load(); full != 50 || failed != webhookRoom+1 {
			t.Errorf("%d found no room and %d failed, want 50 and %d", full, failed, webhookRoom+1)
		}
		l.Event(evidence.Event{Kind: evidence.KindNote, Text: "too late"})
		if full := l.webhook.full.Load(); full != 51 {
			t.Errorf("%d found no room, want 51", full)
		}
		if l.Lost() == "" {
			t.Error("it is not told")
		}
	})
}
