package tcp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// program finds a program that the tests need from the system.
func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Skipf("%s is not installed: make deps", names[0])
	return ""
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startServer starts a server, and waits until it is ready. It ends with the test.
func startServer(t *testing.T, cmd *exec.Cmd, ready func() bool) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(wiretest.Patience):
			cmd.Process.Kill()
			<-ended
		}
		log.Close()
	})
	for deadline := time.Now().Add(wiretest.Patience); !ready(); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("%s ended: %v\n%s", cmd.Path, err, text)
		default:
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("%s is not ready\n%s", cmd.Path, text)
		}
	}
}

// runClient runs a client to its end, and returns what it said and how long it took.
func runClient(t *testing.T, stdin io.Reader, name string, args ...string) (out string, took time.Duration, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wiretest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = stdin
	begin := time.Now()
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %s hangs\n%s", name, strings.Join(args, " "), text)
	}
	return strings.TrimSpace(string(text)), time.Since(begin), err
}

// service is a real server behind a relay.
type service struct {
	*testLink
	taken    uint64 // exchanges
	t        *testing.T
	direct   string // port of the server
	relayed  string // port of the relay
	ask      func(port string) (string, time.Duration, error)
	answer   string                                    // what ask says when all is well
	sessions func() int                                // how many connections the server believes in, but for that which asks
	refused  []string                                  // how the client says that nobody listens
	lost     []string                                  // how it says that the connection ended under it
	large    func(port string) (string, time.Duration) // a large answer
}

// next is the next exchange that ends.
func (s *service) next() evidence.Exchange {
	s.t.Helper()
	s.taken++
	return s.Next()
}

// rest is what was recorded of a client that may have tried again: once at
// least.
func (s *service) rest() []evidence.Exchange {
	all := []evidence.Exchange{s.next()}
	for s.taken < s.relay.Began() {
		all = append(all, s.next())
	}
	return all
}

// faults shows each fault to a real client and a real server.
func (s *service) faults() {
	t := s.t
	well := func(faults uint64) {
		t.Helper()
		out, _, err := s.ask(s.relayed)
		if err != nil || out != s.answer {
			t.Errorf("got %q, %v; want %q", out, err, s.answer)
		}
		if x := s.next(); x.Ending != evidence.Answered && x.Ending != evidence.CallerGone || x.Faults != faults {
			t.Errorf("recorded %v with faults %b, want %b", x.Ending, x.Faults, faults)
		}
	}
	says := func(words []string) {
		t.Helper()
		out, _, err := s.ask(s.relayed)
		for _, w := range words {
			if err != nil && strings.Contains(out, w) {
				return
			}
		}
		t.Errorf("the client said %q, %v; want one of %q", out, err, words)
	}
	well(0)

	for i, tt := range []struct {
		toxic toxic.ConnToxic
		least time.Duration
	}{
		{toxic.Latency{Delay: 100 * time.Millisecond, Select: toxic.All}, 200 * time.Millisecond},
		{toxic.Slicer{Size: 3, Variation: 2, Select: toxic.All}, 0},
		{toxic.SlowConnect{Delay: 150 * time.Millisecond, Select: toxic.All}, 150 * time.Millisecond},
		{toxic.Flap{Down: 900 * time.Millisecond, Up: 50 * time.Millisecond, Select: toxic.All}, 0},
	} {
		remove := s.AddOn(i, toxic.Both, tt.toxic)
		out, took, err := s.ask(s.relayed)
		if err != nil || out != s.answer || took < tt.least {
			t.Errorf("%v: got %q, %v after %v; want %q after %v at least", tt.toxic, out, err, took, s.answer, tt.least)
		}
		if x := s.next(); !x.HitBy(i) {
			t.Errorf("%v: recorded faults %b", tt.toxic, x.Faults)
		}
		remove()
		well(0)
	}

	remove := s.AddOn(4, toxic.Downstream, toxic.Bandwidth{Rate: 400_000, Select: toxic.All})
	want, fast := s.large(s.direct)
	got, slow := s.large(s.relayed)
	if got != want {
		t.Errorf("%d bytes differ from the %d there are", len(got), len(want))
	}
	if least := time.Duration(len(want)) * time.Second / 400_000 * 9 / 10; slow < least {
		t.Errorf("%d bytes took %v, want %v at least; without the relay %v", len(want), slow, least, fast)
	}
	if x := s.next(); !x.HitBy(4) || x.Extra().BytesDown < uint64(len(want)) {
		t.Errorf("recorded %+v", x)
	}
	remove()

	for i, tt := range []struct {
		toxic toxic.ConnToxic
		d     toxic.Direction
		says  []string
	}{
		{toxic.ResetPeer{Select: toxic.All}, toxic.Both, s.lost},
		{toxic.Timeout{After: 50 * time.Millisecond, Select: toxic.All}, toxic.Both, s.lost},
		{toxic.LimitData{Bytes: 3, Select: toxic.All}, toxic.Downstream, s.lost},
	} {
		remove := s.AddOn(10+i, tt.d, tt.toxic)
		says(tt.says)
		for _, x := range s.rest() {
			if x.Ending != evidence.Broken || !x.HitBy(10+i) {
				t.Errorf("%v: recorded %+v", tt.toxic, x)
			}
		}
		remove()
		well(0)
	}

	remove = s.AddOn(20, toxic.Both, toxic.Down{Select: toxic.All})
	says(s.refused)
	remove()
	well(0)

	// A client that waits through a partition has its answer afterwards.
	remove = s.AddOn(21, toxic.Both, toxic.Partition{Select: toxic.All})
	var wg sync.WaitGroup
	wg.Go(func() { well(1 << 21) })
	wiretest.Eventually(t, "a client that waits", func() bool { return s.Connections() == 1 })
	time.Sleep(50 * time.Millisecond)
	remove()
	wg.Wait()
}

// lasting is a connection that stays, in the dependency's own protocol.
func (s *service) lasting(greets func(c *wiretest.Caller)) {
	t := s.t
	before := s.sessions()
	c := s.Dial()
	greets(c)
	wiretest.Eventually(t, "the server has one more session", func() bool { return s.sessions() == before+1 })
	remove := s.AddOn(22, toxic.Both, toxic.HalfOpen{Select: toxic.All})
	transport.Reset(c.TCPConn)
	time.Sleep(100 * time.Millisecond)
	if n := s.sessions(); n != before+1 {
		t.Errorf("the server has %d sessions, want %d: it was told of a connection that was lost in silence", n, before+1)
	}
	remove()
	// The caller has sent a RST, so its side is over; the server's side stays
	// half open until the server sends something, or the relay is closed.
	if n := s.sessions(); n != before+1 {
		t.Errorf("the server has %d sessions after healing, want %d", n, before+1)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if x := s.next(); x.Ending != evidence.Cut || !x.HitBy(22) {
		t.Errorf("recorded %+v", x)
	}
	wiretest.Eventually(t, "the server hears of it", func() bool { return s.sessions() == before })
}

func newService(t *testing.T, port string) *service {
	s := &service{t: t, direct: port}
	s.testLink = listen(t, net.JoinHostPort("127.0.0.1", port))
	_, s.relayed, _ = net.SplitHostPort(s.Addr())
	return s
}

func TestStreamRedis(t *testing.T) {
	server, cli := program(t, "redis-server"), program(t, "redis-cli")
	port := freePort(t)
	startServer(t, exec.Command(server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()), func() bool {
		return exec.Command(cli, "-p", port, "PING").Run() == nil
	})
	s := newService(t, port)
	run := func(port string, args ...string) (string, time.Duration, error) {
		return runClient(t, nil, cli, append([]string{"-p", port}, args...)...)
	}
	s.ask = func(port string) (string, time.Duration, error) {
		out, took, err := run(port, "PING")
		if strings.Contains(out, "Error:") && err == nil {
			err = fmt.Errorf("%s", out) // it exits 0 whatever happens
		}
		return out, took, err
	}
	s.answer = "PONG"
	s.refused = []string{"Connection refused"}
	s.lost = []string{"Server closed the connection", "Connection reset by peer"}
	s.sessions = func() int {
		out, _, _ := run(port, "CLIENT", "LIST")
		return strings.Count(out, "id=") - 1
	}
	if _, _, err := run(port, "SET", "large", strings.Repeat("0123456789", 10_000)); err != nil {
		t.Fatal(err)
	}
	s.large = func(port string) (string, time.Duration) {
		out, took, _ := run(port, "GET", "large")
		return out, took
	}
	s.faults()

	// Many commands at once, while bytes are cut and delayed.
	var commands strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&commands, "SET key:%d value:%d\r\n", i, i)
	}
	stop := s.shake()
	out, _, err := runClient(t, strings.NewReader(commands.String()), cli, "-p", s.relayed, "--pipe")
	stop()
	if err != nil || !strings.Contains(out, "errors: 0, replies: 20000") {
		t.Errorf("redis-cli --pipe: %v\n%s", err, out)
	}
	s.next()
	if out, _, _ := run(port, "DBSIZE"); out != "20001" {
		t.Errorf("%s keys, want 20001", out)
	}
	s.lasting(func(c *wiretest.Caller) {
		c.Send("PING\r\n")
		c.Expect("+PONG\r\n")
	})
}

// shake lets toxics come and go that no protocol should mind.
func (s *service) shake() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i, tx := range []toxic.Toxic{
		toxic.Latency{Delay: time.Millisecond, Jitter: time.Millisecond, Select: toxic.All},
		toxic.Slicer{Size: 700, Variation: 600, Select: toxic.All},
		toxic.Partition{Select: toxic.Select{Share: 0.5}},
	} {
		wg.Go(func() {
			for n := 0; ; n++ {
				remove := s.AddOn(30+i, toxic.Direction(n%3), tx)
				time.Sleep(3 * time.Millisecond)
				remove()
				select {
				case <-done:
					return
				case <-time.After(time.Duration(i+2) * time.Millisecond):
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

func TestStreamPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("initdb takes its time")
	}
	initdb := program(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")
	psql, pgbench := program(t, "psql"), program(t, "pgbench", "/usr/lib/postgresql/*/bin/pgbench")
	dir, err := os.MkdirTemp("", "stream-postgres") // not under the test's own, which nobody else may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := func(cmd *exec.Cmd) *exec.Cmd { // postgres does not run as root
		cmd.Dir = dir
		if os.Getuid() != 0 {
			return cmd
		}
		owner, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("there is no user postgres: make deps")
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := as(exec.Command(initdb, "-D", data, "-A", "trust", "-U", "storm", "--no-sync", "-E", "UTF8", "--locale", "C")).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(t)
	run := func(port string, sql string) (string, time.Duration, error) {
		return runClient(t, nil, psql, "-X", "-h", "127.0.0.1", "-p", port, "-U", "storm", "-d", "postgres", "-At", "-c", sql)
	}
	startServer(t, as(exec.Command(filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", dir, "-F")), func() bool {
		_, _, err := run(port, "select 1")
		return err == nil
	})
	s := newService(t, port)
	s.ask = func(port string) (string, time.Duration, error) { return run(port, "select 40 + 2") }
	s.answer = "42"
	s.refused = []string{"Connection refused"}
	s.lost = []string{"server closed the connection unexpectedly", "Connection reset by peer", "could not receive data from server", "could not send data to server", "could not send startup packet", "could not send SSL negotiation packet"}
	s.sessions = func() int {
		out, _, _ := run(port, "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")
		n, _ := strconv.Atoi(out)
		return n
	}
	s.large = func(port string) (string, time.Duration) {
		out, took, _ := run(port, "select string_agg(i::text, ',') from generate_series(1, 20000) i")
		return out, took
	}
	s.faults()

	if out, _, err := runClient(t, nil, pgbench, "-h", "127.0.0.1", "-p", port, "-U", "storm", "-i", "-q", "postgres"); err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
	stop := s.shake()
	out, _, err := runClient(t, nil, pgbench, "-h", "127.0.0.1", "-p", s.relayed, "-U", "storm", "-n", "-c", "8", "-t", "40", "postgres")
	stop()
	if err != nil || !strings.Contains(out, "number of transactions actually processed: 320/320") {
		t.Errorf("pgbench: %v\n%s", err, out)
	}
	for range 9 { // of its own connection, and those of its clients
		s.next()
	}
	s.lasting(func(c *wiretest.Caller) {
		// StartupMessage of protocol 3.0: length, version, user and database.
		text := "user\x00storm\x00database\x00postgres\x00\x00"
		c.Send(string([]byte{0, 0, 0, byte(8 + len(text)), 0, 3, 0, 0}) + text)
		c.Expect("R\x00\x00\x00\x08\x00\x00\x00\x00") // AuthenticationOk
	})
}

func TestStreamNginx(t *testing.T) {
	nginx, curl := program(t, "nginx", "/usr/sbin/nginx"), program(t, "curl")
	dir, err := os.MkdirTemp("", "stream-nginx") // its worker is another user's, and must be able to enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 40<<20)
	rand.NewChaCha8([32]byte{1}).Read(large)
	sum := sha256.Sum256(large)
	if err := os.WriteFile(filepath.Join(dir, "large"), large, 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	conf := fmt.Sprintf("daemon off; pid %[1]s/pid; error_log %[1]s/error.log; events {}\nhttp { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s; server { listen 127.0.0.1:%[2]s; root %[1]s; } }\n", dir, port)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	startServer(t, exec.Command(nginx, "-c", filepath.Join(dir, "conf"), "-e", filepath.Join(dir, "error.log")), func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	s := newService(t, port)
	for _, shaken := range []bool{false, true} {
		stop := func() {}
		if shaken {
			stop = s.shake()
		}
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				got := filepath.Join(dir, fmt.Sprintf("got-%v-%d", shaken, i))
				if out, _, err := runClient(t, nil, curl, "-sS", "-o", got, "http://127.0.0.1:"+s.relayed+"/large"); err != nil {
					t.Errorf("curl: %v\n%s", err, out)
				}
				text, err := os.ReadFile(got)
				if err != nil || sha256.Sum256(text) != sum {
					t.Errorf("%d bytes, %v, are not the %d of the file", len(text), err, len(large))
				}
			})
		}
		wg.Wait()
		stop()
		for range 3 {
			if x := s.next(); x.Ending != evidence.Answered || x.Extra().BytesDown < uint64(len(large)) {
				t.Errorf("recorded %+v", x)
			}
		}
	}

	// Cut short, curl knows: it was promised more.
	remove := s.AddOn(0, toxic.Downstream, toxic.LimitData{Bytes: 1 << 20, Select: toxic.All})
	out, _, err := runClient(t, nil, curl, "-sS", "-o", filepath.Join(dir, "part"), "http://127.0.0.1:"+s.relayed+"/large")
	if info, statErr := os.Stat(filepath.Join(dir, "part")); err == nil || statErr != nil || info.Size() > 1<<20 || info.Size() < 1<<20-1000 || !strings.Contains(out, "(18)") {
		t.Errorf("curl got %v of a limit of 1 MiB, %v: %s", info, err, out)
	}
	if x := s.next(); x.Extra().BytesDown != 1<<20 || !x.HitBy(0) {
		t.Errorf("recorded %+v", x)
	}
	remove()
}
