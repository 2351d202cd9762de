package api

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

var toxiproxyServer = flag.String("toxiproxy", "", "write testdata/toxiproxy.golden from what this toxiproxy server of version 2.12.0 answers")

// golden holds requests, and what toxiproxy 2.12.0 answers to each. Where we
// answer something else on purpose that stands beside it, with the reason.
const golden = "testdata/toxiproxy.golden"

// exchange is one entry of the golden file.
type exchange struct {
	group   string // a new one begins without proxies
	request string // METHOD PATH BODY
	header  []string
	theirs  []string // status, content type and whether there is a request id; then the body
	reason  string   // why ours is another
	ours    []string
}

// TestAnswersAsToxiproxy sends the requests of the golden file in order: status,
// content type and body are what toxiproxy answered, to the byte. Left out is
// "Logger":{}, which toxiproxy has in each proxy by accident. The file is
// written anew with
//
//	GOBIN=$PWD/bin go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
//	go test ./chaos/proxy/api -run TestAnswersAsToxiproxy -toxiproxy $PWD/bin/server
func TestAnswersAsToxiproxy(t *testing.T) {
	entries := readGolden(t)
	if *toxiproxyServer != "" {
		url := startToxiproxy(t)
		replay(t, url, entries, func(x *exchange, got []string) { x.theirs = got })
	}
	s := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32")}}) // toxiproxy listens where it is told
	defer s.Close()
	server := httptest.NewServer(s)
	defer server.Close()
	if *toxiproxyServer != "" {
		replay(t, server.URL, entries, func(x *exchange, got []string) {
			if x.ours = nil; x.reason != "" {
				x.ours = got
			}
		})
		writeGolden(t, entries)
	}
	replay(t, server.URL, entries, func(x *exchange, got []string) {
		want := x.theirs
		if x.reason != "" {
			want = x.ours
			if strings.Join(x.ours, "\n") == strings.Join(x.theirs, "\n") {
				t.Errorf("%s: %s: stands there as another answer than toxiproxy's, and is the same", x.group, x.request)
			}
		}
		if got, want := strings.Join(got, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("%s: %s:\ngot  %s\nwant %s", x.group, x.request, got, want)
		}
	})
}

func readGolden(t *testing.T) (entries []*exchange) {
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	group := ""
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "#", "":
			group = cmp.Or(rest, group)
		case "@", "<", "!", ">":
			if len(entries) == 0 {
				t.Fatalf("%s:%d: %s before the first request", golden, i+1, mark)
			}
			x := entries[len(entries)-1]
			switch mark {
			case "@":
				x.header = append(x.header, rest)
			case "<":
				x.theirs = append(x.theirs, rest)
			case "!":
				x.reason = rest
			case ">":
				x.ours = append(x.ours, rest)
			}
		default:
			entries = append(entries, &exchange{group: group, request: line})
		}
	}
	return entries
}

func writeGolden(t *testing.T, entries []*exchange) {
	var b strings.Builder
	group := ""
	for _, x := range entries {
		if x.group != group {
			group = x.group
			fmt.Fprintf(&b, "\n# %s\n\n", group)
		}
		fmt.Fprintln(&b, x.request)
		for _, h := range x.header {
			fmt.Fprintln(&b, "@ "+h)
		}
		for _, line := range x.theirs {
			fmt.Fprintln(&b, "< "+line)
		}
		if x.reason != "" {
			fmt.Fprintln(&b, "! "+x.reason)
		}
		for _, line := range x.ours {
			fmt.Fprintln(&b, "> "+line)
		}
	}
	if err := os.WriteFile(golden, []byte(strings.TrimLeft(b.String(), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ports are the names that the golden file has for ports, which are never the
// same twice.
type ports struct {
	names   map[string]string // by number
	numbers map[string]string // by name
}

var (
	address  = regexp.MustCompile(`(127\.0\.0\.1|\[::\]|localhost):([0-9]{5})`)
	portName = regexp.MustCompile(`\b(PORT|FREE)[0-9]+\b`)
)

func (p *ports) hide(text string) string {
	return address.ReplaceAllStringFunc(text, func(at string) string {
		_, number, _ := net.SplitHostPort(at)
		if p.names[number] == "" {
			name := fmt.Sprintf("PORT%d", len(p.names)+1)
			p.names[number], p.numbers[name] = name, number
		}
		return strings.TrimSuffix(at, number) + p.names[number]
	})
}

// show puts the numbers in. A FREE port is one that nobody listens on.
func (p *ports) show(text string) string {
	return portName.ReplaceAllStringFunc(text, func(name string) string {
		if p.numbers[name] == "" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return name
			}
			defer l.Close()
			_, number, _ := net.SplitHostPort(l.Addr().String())
			p.names[number], p.numbers[name] = name, number
		}
		return p.numbers[name]
	})
}

// replay sends the requests and gives the answers to got.
func replay(t *testing.T, url string, entries []*exchange, got func(x *exchange, lines []string)) {
	t.Helper()
	var p ports
	group := ""
	for _, x := range entries {
		if x.group != group {
			group, p = x.group, ports{map[string]string{}, map[string]string{}}
			deleteAll(t, url)
		}
		method, rest, _ := strings.Cut(x.request, " ")
		path, body, _ := strings.Cut(rest, " ")
		req, err := http.NewRequest(method, url+p.show(path), strings.NewReader(p.show(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range x.header {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", x.request, err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatalf("%s: %v", x.request, err)
		}
		status := fmt.Sprintf("%d %s", res.StatusCode, cmp.Or(res.Header.Get("Content-Type"), "-"))
		if res.Header.Get("X-Toxiproxy-Request-Id") != "" {
			status += " with-id"
		}
		lines := []string{status}
		if len(text) > 0 {
			shown := strings.ReplaceAll(string(text), `"Logger":{},`, "")
			lines = append(lines, strings.ReplaceAll(p.hide(shown), "\n", "$"))
		}
		got(x, lines)
	}
	deleteAll(t, url)
}

var proxyName = regexp.MustCompile(`"name":"([a-z]+)","listen"`)

func deleteAll(t *testing.T, url string) {
	res, err := http.Get(url + "/proxies")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	for _, m := range proxyName.FindAllStringSubmatch(string(text), -1) {
		req, _ := http.NewRequest("DELETE", url+"/proxies/"+m[1], nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

func startToxiproxy(t *testing.T) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command(*toxiproxyServer, "-port", port, "-host", "127.0.0.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	url = "http://127.0.0.1:" + port
	for range 100 {
		if res, err := http.Get(url + "/version"); err == nil {
			res.Body.Close()
			return url
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not answer", *toxiproxyServer)
	return ""
}
