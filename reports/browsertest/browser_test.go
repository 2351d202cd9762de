package browsertest

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// peer is the browser's end of what it is spoken to by.
type peer struct {
	commands *bufio.Scanner
	messages *os.File
}

func (p *peer) says(text string) bool {
	_, err := p.messages.WriteString(text + "\x00")
	return err == nil
}

// speaking is a browser that does what serve does.
func speaking(t *testing.T, serve func(*peer)) *Browser {
	t.Helper()
	reads, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	messages, writes, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{bufio.NewScanner(reads), writes}
	p.commands.Split(func(data []byte, _ bool) (int, []byte, error) {
		if end := bytes.IndexByte(data, 0); end >= 0 {
			return end + 1, data[:end], nil
		}
		return 0, nil, nil
	})
	go func() {
		defer reads.Close()
		defer writes.Close()
		serve(p)
	}()
	return newBrowser(t, commands, messages)
}

// A browser that speaks and does not answer is waited for no longer than one that is
// silent, and is asked once.
func TestWaitsAreBounded(t *testing.T) {
	for name, says := range map[string]func(*peer){
		"silent": func(*peer) {},
		"busy": func(p *peer) {
			for p.says(`{"method": "Network.dataReceived"}`) {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 9)
			b := speaking(t, func(p *peer) {
				go says(p)
				for p.commands.Scan() {
					asked <- p.commands.Text()
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
			b.commands.Close()
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
	b := speaking(t, func(p *peer) {
		p.commands.Scan()
		for _, said := range []string{
			`{"method": "A", "sessionId": "s"}`, `{"method": "B"}`, `{"id": 1, "result": {"x": 7}}`, `{"method": "C", "sessionId": "s"}`,
		} {
			p.says(said)
		}
		p.commands.Scan()
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
