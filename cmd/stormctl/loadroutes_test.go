package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/requests"
	"github.com/stormctl/stormctl/reports"
)

// hearing is a server that writes down what it is asked.
type hearing struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

func newHearing(t *testing.T) *hearing {
	h := &hearing{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard = append(h.heard, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+r.Header.Get("X")+" "+string(body)))
	}))
	t.Cleanup(h.Close)
	return h
}

// all returns what it was asked since the last call, in the order of the
// alphabet.
func (h *hearing) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	heard := slices.Sorted(slices.Values(h.heard))
	h.heard = nil
	return heard
}

// drive runs `stormctl load` with arguments, in which DIR is the test's
// directory and HOST the server's.
func (h *hearing) drive(t *testing.T, dir string, args ...string) (stdout string, err error) {
	t.Helper()
	host := strings.TrimPrefix(h.URL, "http://")
	cmd := newLoadCommand()
	var out, said strings.Builder
	for i := range args {
		args[i] = strings.NewReplacer("DIR", dir, "HOST", host).Replace(args[i])
	}
	if !slices.Contains(args, "--replay") {
		args = append(args, "--rate", "1000/s")
	}
	cmd.SetArgs(append(args, "--quiet"))
	cmd.SetOut(&out)
	cmd.SetErr(&said)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(t.Context())
	if err != nil {
		err = fmt.Errorf("%s%w", said.String(), err)
	}
	return out.String(), err
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadSendsWhatFilesSay(t *testing.T) {
	h := newHearing(t)
	host := strings.TrimPrefix(h.URL, "http://")
	dir := t.TempDir()
	write(t, dir, "body", `{"n":${seq}}`)
	write(t, dir, "targets", "GET http://"+host+"/a\nX: file\n\nPOST http://"+host+"/b?q=${data.user}\n@"+filepath.Join(dir, "body")+"\n")
	write(t, dir, "json", `{"method":"PUT","url":"http://`+host+`/c","body":"aGk="}`)
	write(t, dir, "users.csv", "user\nada\ngrace hopper\n")
	write(t, dir, "shop.har", `{"log":{"entries":[{"request":{"method":"GET","url":"https://shop.example/x?${id}"}},{"request":{"method":"GET","url":"ws://shop.example/"}}]}}`)
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"targets in turn", []string{"--targets", "DIR/targets", "--data", "DIR/users.csv", "-n", "4"}, []string{"GET /a file", "GET /a file", `POST /b?q=grace%20hopper  {"n":2}`, `POST /b?q=grace%20hopper  {"n":4}`}},
		{"JSON targets and a header", []string{"--targets", "DIR/json", "-H", "X: mine", "-n", "1"}, []string{"PUT /c mine hi"}},
		{"a header takes the place of the file's", []string{"--targets", "DIR/targets", "--data", "DIR/users.csv", "-H", "x: mine", "-n", "1"}, []string{"GET /a mine"}},
		{"a recording, sent elsewhere", []string{"http://HOST", "--har", "DIR/shop.har", "-n", "2"}, []string{"GET /x?${id}", "GET /x?${id}"}},
		{"a URL with placeholders", []string{"http://HOST/${data.user}/${seq}?r=${rand:7-7}", "--data", "DIR/users.csv", "-n", "3"}, []string{"GET /ada/1?r=7", "GET /ada/3?r=7", "GET /grace%20hopper/2?r=7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := h.drive(t, dir, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, "100% ok:") {
				t.Errorf("not all went well:\n%s", out)
			}
			if diff := cmp.Diff(tt.want, h.all()); diff != "" {
				t.Errorf("the server heard (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever editor has saved a file, it is the same file.
func TestLoadReadsTextsOfAnyEditor(t *testing.T) {
	h, dir := newHearing(t), t.TempDir()
	const mark = "\xef\xbb\xbf"
	write(t, dir, "targets", mark+"GET "+h.URL+"/a\r\nX: file\r\n\r\nGET "+h.URL+"/${data.user}\r\n")
	write(t, dir, "json", mark+`{"method":"PUT","url":"`+h.URL+`/c"}`+"\r\n")
	write(t, dir, "users.csv", mark+"user\r\nada\r\n")
	write(t, dir, "users.json", mark+`{"user":"ada"}`+"\r\n")
	write(t, dir, "shop.har", mark+`{"log":{"entries":[`+"\r\n"+`{"request":{"method":"GET","url":"`+h.URL+`/x"}}]}}`)
	write(t, dir, "times", mark+"0.1\r\n0.2\r\n")
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"targets", []string{"--targets", "DIR/targets", "--data", "DIR/users.csv", "-n", "2"}, []string{"GET /a file", "GET /ada"}},
		{"JSON", []string{"--targets", "DIR/json", "--data", "DIR/users.json", "-n", "1"}, []string{"PUT /c"}},
		{"a recording", []string{"--har", "DIR/shop.har", "-n", "1"}, []string{"GET /x"}},
		{"times", []string{"http://HOST/t", "--replay", "DIR/times"}, []string{"GET /t", "GET /t"}},
	} {
		if _, err := h.drive(t, dir, tt.args...); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, h.all()); diff != "" {
			t.Errorf("%s: the server heard (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestLoadSaysWhatItLeavesOut(t *testing.T) {
	var skipped []requests.Skipped
	for i := range 13 {
		skipped = append(skipped, requests.Skipped{Reason: fmt.Sprintf("reason %d", i), Entries: i + 1, First: 7})
	}
	got := leftOut("a.har", skipped)
	if len(got) != 11 || got[0] != "a.har: left out: entry 7: reason 0" || got[1] != "a.har: left out: 2 entries, the first is entry 7: reason 1" ||
		got[10] != "a.har: left out: 36 more entries, for 3 other reasons" { // 11 + 12 + 13
		t.Errorf("got %q", got)
	}
	if got := leftOut("a.har", skipped[:2]); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestLoadRecordsWhichTarget(t *testing.T) {
	h, dir := newHearing(t), t.TempDir()
	write(t, dir, "targets", "GET "+h.URL+"/a,b\nGET "+h.URL+"/c\n")
	if _, err := h.drive(t, dir, "--targets", "DIR/targets", "-n", "3", "--record", "DIR/record.csv"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "record.csv"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		fields := strings.Split(line, ",")
		got[fields[0]] = fields[1]
	}
	if want := map[string]string{"1": "1", "2": "2", "3": "1"}; !maps.Equal(got, want) {
		t.Errorf("got targets %v by arrival, want %v", got, want)
	}
}

func TestLoadRefusesRequests(t *testing.T) {
	h, dir := newHearing(t), t.TempDir()
	write(t, dir, "targets", "GET http://HOST/\nX\n")
	write(t, dir, "https", "GET https"+strings.TrimPrefix(h.URL, "http")+"/\n")
	write(t, dir, "csv", "a,a\n")
	write(t, dir, "har", "{}")
	write(t, dir, "odd.har", `{"log":{"entries":[{"request":{"method":"GET","url":"`+h.URL+`/"}},{"request":{"method":"GET","url":"ws://a/"}}]}}`)
	write(t, dir, "wide", "\xff\xfeG\x00E\x00T\x00")
	write(t, dir, "device", "POST "+h.URL+"/\n@/dev/zero\n")
	write(t, dir, "times", "1\n0\n")
	write(t, dir, "fine", "GET "+h.URL+"/\nGET "+h.URL+"/${data.x}\n")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "URL is missing; a file of requests, by --targets or --har, can be in its place"},
		{"two URLs", []string{"http://HOST/", "http://HOST/"}, "unexpected argument"},
		{"no URL", []string{"HOST"}, "is not a URL like http://host:port/path"},
		{"https where http is spoken", []string{"https://HOST/"}, "TLS with 127.0.0.1:"},
		{"a bad target", []string{"--targets", "DIR/targets"}, "targets: line 2: "},
		{"an https target", []string{"--targets", "DIR/https"}, "TLS with 127.0.0.1:"},
		{"no such file", []string{"--targets", "DIR/none"}, "--targets: open "},
		{"a bad recording", []string{"--har", "DIR/har"}, "har: not a HAR file: it has no log"},
		{"a recording with what cannot be sent", []string{"--har", "DIR/odd.har", "--strict"}, "odd.har: entry 2: it is no HTTP request (--strict: without it, entries that cannot be sent are left out)"},
		{"strict about nothing", []string{"--targets", "DIR/fine", "--strict"}, "it goes with --har"},
		{"targets in UTF-16", []string{"--targets", "DIR/wide"}, "wide: line 1: the file is UTF-16: save it as UTF-8"},
		{"targets that are a device", []string{"--targets", "/dev/zero"}, "--targets: read /dev/zero: it is a device, not a regular file"},
		{"a body that is a device", []string{"http://HOST/", "--body", "@/dev/zero"}, "--body: read /dev/zero: it is a device"},
		{"a target's body that is a device", []string{"--targets", "DIR/device"}, "body: read /dev/zero: it is a device"},
		{"a key that is a device", []string{"https://HOST/", "--cert", "/dev/zero"}, "--cert: read /dev/zero: it is a device"},
		{"both", []string{"--har", "DIR/har", "--targets", "DIR/fine"}, "exclude each other"},
		{"a method", []string{"--targets", "DIR/fine", "-X", "PUT"}, "--method and --body are for a URL"},
		{"a URL with a path", []string{"http://HOST/x", "--targets", "DIR/fine"}, "beside a file of requests a URL has no path"},
		{"a bad check", []string{"http://HOST/", "--check", "status=2yy"}, `--check "status=2yy": "2yy" is not a status like 200 or 2xx`},
		{"no check", []string{"http://HOST/", "--check", "body=x"}, "is not a check; write one like status=2xx"},
		{"bad times", []string{"http://HOST/", "--replay", "DIR/times"}, `times: line 2: "0" is before the line above it`},
		{"times and a rate", []string{"http://HOST/", "--replay", "DIR/times", "--rate", "5"}, "--replay goes with none of --rate"},
		{"bad data", []string{"http://HOST/", "--data", "DIR/csv"}, "--data: "},
		{"no data", []string{"--targets", "DIR/fine"}, `route 1 "GET /${data.x}": path: placeholder ${data.x}: there is no data`},
		{"no such placeholder", []string{"http://HOST/${sqe}"}, "path: unknown placeholder ${sqe}: there are ${id}, ${seq}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.drive(t, dir, append(tt.args, "-n", "1")...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestLoadChecksResponses(t *testing.T) {
	h := newHearing(t)
	for _, tt := range []struct {
		checks []string
		want   string
	}{
		{[]string{"status=200", "header:Date", "header:Content-Length=0"}, "100% ok: 3"},
		{[]string{"status=201"}, "0% wrong: 3"},
		{[]string{"status=200", `body~"ok"`}, "0% wrong: 3"},
	} {
		args := []string{"http://HOST/", "-n", "3"}
		for _, c := range tt.checks {
			args = append(args, "--check", c)
		}
		out, err := h.drive(t, "", args...)
		if err != nil || !strings.Contains(out, tt.want) || !strings.Contains(out, "200: 3") {
			t.Errorf("%v: error %v, want %q in\n%s", tt.checks, err, tt.want, out)
		}
	}
	if _, err := h.drive(t, "", "http://HOST/", "-n", "3", "--check", "status=201", "--fail-if", "success<100%"); err == nil || !strings.Contains(err.Error(), "exit code 1") {
		t.Errorf("wrong answers and --fail-if success: got %v, want exit code 1", err)
	}
}

func TestLoadReplays(t *testing.T) {
	h, dir := newHearing(t), t.TempDir()
	write(t, dir, "times", "2026-11-24T03:00:00Z\n2026-11-24T03:00:00.010Z\n2026-11-24T03:00:00.050Z\n")
	for _, tt := range []struct {
		args []string
		want []string
		due  string
	}{
		{nil, []string{"GET /1", "GET /2", "GET /3"}, "50000000"},
		{[]string{"-n", "2"}, []string{"GET /1", "GET /2"}, "10000000"},
	} {
		record := filepath.Join(t.TempDir(), "record.csv")
		if out, err := h.drive(t, dir, append([]string{"http://HOST/${seq}", "--replay", "DIR/times", "--record", record}, tt.args...)...); err != nil || !strings.Contains(out, " arrivals of ") {
			t.Fatalf("error %v in\n%s", err, out)
		}
		if diff := cmp.Diff(tt.want, h.all()); diff != "" {
			t.Errorf("the server heard (-want +got):\n%s", diff)
		}
		if text, err := os.ReadFile(record); err != nil || !strings.Contains(string(text), ","+tt.due+",") {
			t.Errorf("error %v; want an arrival due at %s ns in\n%s", err, tt.due, text)
		}
	}
}

func TestTargetsAreToldApart(t *testing.T) {
	h, dir := newHearing(t), t.TempDir()
	write(t, dir, "few", "GET "+h.URL+"/a?q=1\n\nGET "+h.URL+"/a?q=2\n\nPOST "+h.URL+"/a\n")
	var many strings.Builder
	for i := range mostGroups + 1 {
		fmt.Fprintf(&many, "GET %s/%d\n\n", h.URL, i)
	}
	write(t, dir, "many", many.String())
	for _, tt := range []struct {
		file string
		n    string
		want map[string]uint64
	}{
		{"few", "9", map[string]uint64{"GET /a": 6, "POST /a": 3}},
		{"many", "42", nil},
	} {
		out, err := h.drive(t, dir, "--targets", "DIR/"+tt.file, "-n", tt.n, "--json")
		if err != nil {
			t.Fatal(err)
		}
		var l reports.Load
		if err := json.Unmarshal([]byte(out), &l); err != nil {
			t.Fatal(err)
		}
		var got map[string]uint64
		for _, r := range l.Routes {
			if got == nil {
				got = map[string]uint64{}
			}
			got[r.Name] = r.Requests
			if r.Success != 100 || r.Response.P50 <= 0 || r.Response.Max > l.Response.Max || r.Outcomes["ok"] != r.Requests {
				t.Errorf("%s: %+v", tt.file, r)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || strconv.FormatUint(l.Requests, 10) != tt.n {
			t.Errorf("%s: %d requests, by route (-want +got):\n%s", tt.file, l.Requests, diff)
		}
	}
	out, err := h.drive(t, dir, "--targets", "DIR/few", "-n", "9")
	if err != nil || !strings.Contains(out, "GET /a") || !strings.Contains(out, "POST /a") {
		t.Errorf("%v:\n%s", err, out)
	}
}
