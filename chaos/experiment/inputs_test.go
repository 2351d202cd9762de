package experiment

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/stormctl/stormctl/load"
)

// named is an experiment with files beside it.
const named = `name: named
targets:
  web: {url: "https://127.0.0.1:8443", tls: {ca: pki/ca.pem, cert: pki/both.pem}}
load:
  replay: times.txt
  data: users.csv
  poller: portable
  routes:
    - name: login
      to: web
      get: /login/${data.user}
      headers: {X-Note: "${data.note}"}
      then: [{name: order, post: /orders, body: "${data.item}"}]
claims: [{steady: {route: order, success: 99%}}]
`

// namedFiles writes an experiment and what it names into a folder.
func namedFiles(t *testing.T, text string) (file string) {
	t.Helper()
	dir := t.TempDir()
	key, cert := selfSigned(t)
	for name, content := range map[string]string{
		"x.yaml": text, "times.txt": "0\n0.5\n2.25\n", "users.csv": "user,note,item\nann,a,1\nbob,b,2\n",
		"pki/ca.pem": cert, "pki/both.pem": cert + key, "pki/key.pem": key,
		"bad/times.txt": "1\n0\n", "bad/users.csv": "user,user\n", "bad/notes.csv": "user,note,item\nann,\"a\nb\",1\n", "bad/empty.csv": "user\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "x.yaml")
}

func selfSigned(t *testing.T) (key, cert string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("PRIVATE KEY", pkcs8), text("CERTIFICATE", der)
}

// What stands in the files is read from beside the experiment, wherever that
// is read from, and from where the resolved one says.
func TestInputs(t *testing.T) {
	x, err := ReadFile(namedFiles(t, named), Options{Here: true})
	if err != nil {
		t.Fatal(err)
	}
	x, err = x.marshalled()
	if err != nil {
		t.Fatal(err)
	}
	in, err := x.ReadInputs()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{0, 500 * time.Millisecond, 2250 * time.Millisecond}, in.Times); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if in.Data.Rows() != 2 {
		t.Errorf("%d rows, want 2", in.Data.Rows())
	}
	c := in.TLS["web"]
	if c == nil || c.ServerName != "127.0.0.1" || c.RootCAs == nil || len(c.Certificates) != 1 {
		t.Errorf("TLS %+v", c)
	}
	s, err := x.Load.Schedule(1, in.Times)
	if err != nil || s.Duration() != 3*time.Second { // to the end of the second of the last
		t.Errorf("the schedule is %v: %v", s, err)
	}
	if err := os.Remove(x.Load.Replay); err != nil {
		t.Fatal(err)
	}
	if _, err := x.ReadInputs(); err == nil || !strings.HasPrefix(err.Error(), "replay: open /") {
		t.Errorf("of a file that is gone: %v", err)
	}
}

// What is wrong with a file is told at the key that names it, before anything
// starts; and only to who is to run it: another machine need not have it.
func TestFilesAreTriedHere(t *testing.T) {
	for _, row := range []struct{ old, new, want string }{
		{"", "", ""},
		{"times.txt", "none.txt", "5:11: replay: open DIR/none.txt: no such file or directory"},
		{"times.txt", "pki", "5:11: replay: read DIR/pki: it is a directory, not a file"},
		{"times.txt", "bad/times.txt", `5:11: replay: DIR/bad/times.txt: line 2: "0" is before the line above it: times must be in order`},
		{"users.csv", "none.csv", "6:9: data: open DIR/none.csv: no such file or directory"},
		{"users.csv", "bad/users.csv", `6:9: data: DIR/bad/users.csv: line 1: column 2 is called "user": columns need different names`},
		{"users.csv", "bad/empty.csv", "6:9: data: DIR/bad/empty.csv: the data has no rows"},
		{"data.item", "data.itm", `13:50: body: unknown variable ${data.itm}: did you mean "item"?`},
		{"data.user", "data.name", "11:19: get: unknown variable ${data.name}: columns are user, note, item"},
		{"users.csv", "bad/notes.csv", `12:25: header X-Note: placeholder ${data.note}: row 1: "a\nb" cannot be in a header: it has a control character`},
		{"pki/ca.pem", "none.pem", "3:50: ca: open DIR/none.pem: no such file or directory"},
		{"pki/ca.pem", "pki/key.pem", "3:50: ca: DIR/pki/key.pem: there is no PEM certificate in it"},
		{"pki/both.pem", "pki/ca.pem", "3:68: cert: tls: found a certificate rather than a key in the PEM for the private key"},
		{"cert: pki/both.pem", "cert: pki/ca.pem, key: none.pem", "3:68: cert: open DIR/none.pem: no such file or directory"},
		{"claims:", "chaos: [{at: 2s, for: 2s, on: web, pause: {}}]\nclaims:", "14:23: for: it is not healed before the end: the load ends at 3s, so this is at most 1s\n14:31: on: target \"web\" is a url: stormctl did not start it, so it cannot pause it: make it a process, or name its process by pid_file"},
	} {
		file := namedFiles(t, strings.Replace(named, row.old, row.new, 1))
		_, err := ReadFile(file, Options{Here: true})
		got := ""
		if err != nil {
			got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), file+":", ""), filepath.Dir(file), "DIR")
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%q for %q: -want +got:\n%s", row.new, row.old, diff)
		}
		if strings.Contains(row.want, "DIR/") {
			if _, err := ReadFile(file, Options{}); err != nil {
				t.Errorf("%q for %q: told elsewhere too: %v", row.new, row.old, err)
			}
		}
	}
}

// shopDescriptors is what protoc writes of a service shop.Shop with a method Buy
// that takes {"item": "tea"}.
func shopDescriptors(t *testing.T) []byte {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Order"), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("item"), Number: proto.Int32(1), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Buy"), InputType: proto.String(".shop.Order"), OutputType: proto.String(".shop.Order"),
		}}}},
	}
	text, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestProtoset(t *testing.T) {
	const text = `name: calls
targets: {bank: {url: "http://127.0.0.1:9", protocol: grpc, protoset: shop.binpb}}
load:
  rate: 1/s
  duration: 9s
  routes:
    - {name: buy, to: bank, post: /shop.Shop/Buy, body: '{"item": "tea"}'}
    - {name: none, to: bank, post: /shop.Shop/Buy}
claims: [{steady: {success: 99%}}]
`
	for _, row := range []struct{ old, new, want string }{
		{"", "", ""},
		{"shop.binpb", "none.binpb", "2:71: protoset: open DIR/none.binpb: no such file or directory"},
		{"shop.binpb", "calls.yaml", "2:71: protoset: DIR/calls.yaml: not a set of descriptors: "},
		{"protocol: grpc, ", "", "2:45: protoset: goes with protocol: grpc only"},
		{"item\"", "itm\"", `7:57: body: /shop.Shop/Buy: message shop.Order: `},
		{"tea", "${id}", "7:57: body: a message in JSON has no placeholders: they would change lengths that it holds"},
		{"/shop.Shop/Buy}", "/shop.Shop/Sell}", "8:36: post: /shop.Shop/Sell: service shop.Shop has no method Sell"},
	} {
		file := filepath.Join(t.TempDir(), "calls.yaml")
		for name, content := range map[string][]byte{"shop.binpb": shopDescriptors(t), "calls.yaml": []byte(strings.Replace(text, row.old, row.new, 1))} {
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		x, err := ReadFile(file, Options{Here: true})
		if err != nil {
			got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), file+":2", "2"), filepath.Dir(file), "DIR")
			got = strings.TrimPrefix(got, "DIR/calls.yaml:")
			if row.want == "" || !strings.HasPrefix(got, row.want) {
				t.Errorf("%q for %q: got %s\nwant %s", row.new, row.old, got, row.want)
			}
			continue
		}
		in, err := x.ReadInputs()
		if row.want != "" || err != nil {
			t.Errorf("%q for %q: nothing told, %v", row.new, row.old, err)
			continue
		}
		// Field 1 with 3 bytes: 0a 03 "tea" (Protocol Buffers, "Encoding").
		if got := string(in.Body(&x.Load.Routes[0])); got != "\x0a\x03tea" {
			t.Errorf("the message is %q", got)
		}
		if got := in.Body(&x.Load.Routes[1]); len(got) != 0 {
			t.Errorf("the empty message is %q", got)
		}
	}
}

func TestSchedules(t *testing.T) {
	for _, row := range []struct {
		text string
		at   time.Duration
		rate float64
		all  int
	}{
		{"spike: {from: 10/s, to: 100/s, at: 2s, for: 3s}, duration: 10s", 4 * time.Second, 100, 370}, // 7·10 + 3·100
		{"sine: {mean: 40/s, amplitude: 20/s, period: 4s}, duration: 10s", time.Second, 60, 426},      // 40·10 + 20·4/2π·(1 − cos 5π) = 425.5, and one at 0
	} {
		for _, arrivals := range []string{Constant, Poisson} {
			x := mustParse(t, minimal, "load={"+row.text+", arrivals: "+arrivals+", routes: [{name: buy, to: shop, get: /}]}")
			s, err := x.Load.Schedule(1, nil)
			if err != nil || s.Duration() != 10*time.Second || s.Duration() != x.Load.Length() {
				t.Fatalf("%s lasts %v: %v", row.text, s.Duration(), err)
			}
			if got := float64(s.Rate(row.at)); got != row.rate {
				t.Errorf("%s: rate at %v is %v, want %v", row.text, row.at, got, row.rate)
			}
			n := 0
			for range s.Arrivals() {
				n++
			}
			if arrivals == Constant && n != row.all || arrivals == Poisson && (n == row.all || n < row.all*3/4 || n > row.all*5/4) { // 5·√370 is a quarter
				t.Errorf("%s: %d %s arrivals, want %d", row.text, n, arrivals, row.all)
			}
		}
	}
}

func TestMaxQueue(t *testing.T) {
	for text, want := range map[string]int{"queue": 0, "skip": -1, "burst, burst: 7": 7} { // as load.Plan has it
		x := mustParse(t, minimal, "load={rate: 1/s, duration: 9s, when_stalled: "+text+", routes: [{name: buy, to: shop, get: /}]}")
		if got := x.Load.MaxQueue(); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// A poller is asked of the system only where the experiment is to run.
func TestPollerHere(t *testing.T) {
	for _, poller := range pollers {
		text := strings.Replace(minimal, "rate: 10/s", "poller: "+poller+", rate: 10/s", 1)
		if _, err := Parse("x", []byte(text), Options{}); err != nil {
			t.Errorf("%s elsewhere: %v", poller, err)
		}
		_, err := Parse("x", []byte(text), Options{Here: true})
		if there := strings.Contains(strings.Join(load.Transports(), " "), poller); there != (err == nil) {
			t.Errorf("%s here: %v, of %v", poller, err, load.Transports())
		}
	}
}
