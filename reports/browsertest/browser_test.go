package browsertest

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// speaking is a browser that does with each connection what serve does.
func speaking(t *testing.T, serve func(*websocket.Conn)) *Browser {
	t.Helper()
	server := httptest.NewServer(websocket.Handler(serve))
	t.Cleanup(server.Close)
	socket, err := websocket.Dial("ws"+strings.TrimPrefix(server.URL, "http"), "", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &Browser{T: t, socket: socket, patience: Patience}
}

// A browser that speaks and does not answer is waited for no longer than one that is
// silent, and is asked once.
func TestWaitsAreBounded(t *testing.T) {
	for name, says := range map[string]func(*websocket.Conn){
		"silent": func(*websocket.Conn) {},
		"busy": func(c *websocket.Conn) {
			for websocket.Message.Send(c, `{"method": "Network.dataReceived"}`) == nil {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 9)
			b := speaking(t, func(c *websocket.Conn) {
				go says(c)
				for text := ""; websocket.Message.Receive(c, &text) == nil; {
					asked <- text
				}
			})
			b.patience = 50 * time.Millisecond
			waited := make(chan error)
			go func() {
				_, err := b.ask("", "Page.enable", nil)
				waited <- err
			}()
			select {
			case err := <-waited:
				if err == nil || !strings.Contains(err.Error(), "waited up to 50ms for the answer to Page.enable") {
					t.Errorf("got %v", err)
				}
			case <-time.After(Patience):
				t.Fatal("it is waited for without end")
			}
			_, err := b.ask("", "Log.enable", nil)
			if err == nil || !strings.Contains(err.Error(), "Log.enable is not sent, because it has failed before") {
				t.Errorf("then %v", err)
			}
			b.socket.Close()
			if first := <-asked; !strings.Contains(first, "Page.enable") || len(asked) > 0 {
				t.Errorf("it was asked %s, and %d times more", first, len(asked))
			}
		})
	}
	if got, want := methods([]Event{{Method: "A"}, {Method: "B"}}), "2 other messages came meanwhile, the last of them B"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What comes before an answer is kept, in its order, and is found by who waits for it later.
func TestEventsAreKept(t *testing.T) {
	b := speaking(t, func(c *websocket.Conn) {
		var text string
		_ = websocket.Message.Receive(c, &text)
		for _, said := range []string{
			`{"method": "A", "sessionId": "s"}`, `{"method": "B"}`, `{"id": 1, "result": {"x": 7}}`, `{"method": "C", "sessionId": "s"}`,
		} {
			_ = websocket.Message.Send(c, said)
		}
		_ = websocket.Message.Receive(c, &text)
	})
	var answer struct{ X int }
	b.Call("", "Page.enable", nil, &answer)
	if answer.X != 7 || len(b.Events) != 2 || b.Events[0].Method != "A" || b.Events[1].Method != "B" {
		t.Errorf("got %+v, and kept %+v", answer, b.Events)
	}
	b.Await("s", "A")
	b.Await("s", "C")
	if len(b.Events) != 3 {
		t.Errorf("kept %+v", b.Events)
	}
}
