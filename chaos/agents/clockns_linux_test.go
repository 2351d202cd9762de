package agents

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/toxic"
)

var clockRounds = flag.Int("clock-rounds", 100, "how often each of three agents in namespaces of their own is asked for its clock")

// clockJoin has the test program be an agent that only tells its clock.
const clockJoin = "STORMCTL_TEST_CLOCK_JOIN"

func TestMain(m *testing.M) {
	if text := os.Getenv(clockJoin); text != "" {
		if err := clockAgent(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// boundedWatch starts a stopwatch, and says between which readings of the system's clock
// it did.
func boundedWatch() (watch stopwatch, before, after int64) {
	before = systemClock()
	watch = startWatch()
	return watch, before, systemClock()
}

func systemClock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // there is no system without
	}
	return now.Nano()
}

// clockAgent tells its clock, and what that counts from, until its input ends.
func clockAgent(text string) error {
	join, err := ParseJoin(text)
	if err != nil {
		return err
	}
	watch, before, after := boundedWatch()
	name := os.Getenv("STORMCTL_TEST_CLOCK_NAME")
	conn, err := connect(join, name, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := tellClock(conn, subjectsOf(join.Token).clock(name), watch); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	fmt.Println(before, after)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// elsewhere is a network namespace with a way to here.
type elsewhere struct{ name, here string }

func newElsewhere(t *testing.T, i int) elsewhere {
	t.Helper()
	e := elsewhere{name: fmt.Sprintf("sct-a%d-%d", i, os.Getpid()), here: fmt.Sprintf("10.213.%d.1", 40+i)}
	device := fmt.Sprintf("sca%d-%d", i, os.Getpid()%1_000_000)
	for _, line := range []string{
		"netns add " + e.name,
		"link add " + device + " type veth peer name wire netns " + e.name,
		"addr add " + e.here + "/30 dev " + device,
		"link set " + device + " up",
		"-n " + e.name + " addr add " + strings.TrimSuffix(e.here, "1") + "2/30 dev wire",
		"-n " + e.name + " link set wire up",
	} {
		out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
		if err != nil {
			t.Skipf("it takes root and network namespaces: ip %s: %v: %s", line, err, out)
		}
		if strings.HasPrefix(line, "netns add") {
			t.Cleanup(func() { // the pair goes with it
				if out, err := exec.Command("ip", "netns", "del", e.name).CombinedOutput(); err != nil {
					t.Errorf("ip netns del: %v: %s", err, out)
				}
			})
		}
	}
	return e
}

// Three agents, each in a network namespace and a time namespace of its own, thousands of
// seconds from here, one of them behind a link that delays what it hears by 50 ms and one
// behind one that delays what it says: whenever they are asked, their clocks are within
// the bound that the answer has. The delay is all on one way, where the bound is tight.
func TestOffsetAcrossNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make namespaces")
	}
	token := NewToken()
	broker, err := StartBroker("127.0.0.1:0", t.TempDir(), token, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	conn, err := connect(broker.Join, coordinatorUser, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	watch, before, after := boundedWatch()
	for i, c := range []struct {
		shift time.Duration
		delay []toxic.Direction // of what passes the link
	}{{5000 * time.Second, nil}, {-5000 * time.Second, []toxic.Direction{toxic.Upstream}}, {1234 * time.Second, []toxic.Direction{toxic.Downstream}}} {
		at := newElsewhere(t, i)
		relay, err := proxy.Listen(proxy.Config{Name: "clock", Listen: at.here + ":0", Upstream: broker.Join.Broker.Host, Protocol: toxic.ProtocolTCP})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = relay.Close() })
		for _, d := range c.delay {
			if _, err := relay.Add(0, toxic.Latency{Delay: 50 * time.Millisecond, Select: toxic.All}, d); err != nil {
				t.Fatal(err)
			}
		}
		join := broker.Join
		join.Broker.Host = relay.Addr()
		name := fmt.Sprintf("clock-%d", i)
		first, last := startClock(t, at, name, join, c.shift)
		// How much theirs is ahead lies between these two, by what both count from.
		least, most := c.shift-time.Duration(last-before), c.shift-time.Duration(first-after)
		t.Run(fmt.Sprintf("%v/%v", c.shift, c.delay), func(t *testing.T) {
			t.Parallel()
			within := 0
			var mu sync.Mutex
			var best offset
			var asking sync.WaitGroup
			todo := make(chan struct{}, *clockRounds)
			for range *clockRounds {
				todo <- struct{}{}
			}
			close(todo)
			for range 25 {
				asking.Go(func() {
					for range todo {
						o, told := askClock(conn, subjectsOf(token).clock(name), watch)
						for tries := 0; !told && tries < 20; tries++ { // a machine that is busy for half a second
							o, told = askClock(conn, subjectsOf(token).clock(name), watch)
						}
						now := watch.now()
						mu.Lock()
						best = best.better(o, now)
						if told && o.ahead+o.bound(now) >= least && o.ahead-o.bound(now) <= most {
							within++
						} else {
							t.Errorf("it is said to be ahead by %v within %v, and is by %v to %v", o.ahead, o.bound(now), least, most)
						}
						if best.ahead+best.bound(now) < least || best.ahead-best.bound(now) > most {
							t.Errorf("the best: ahead by %v within %v, and is by %v to %v", best.ahead, best.bound(now), least, most)
						}
						mu.Unlock()
					}
				})
			}
			asking.Wait()
			if len(c.delay) > 0 && best.within < 25*time.Millisecond {
				t.Errorf("known within %v, with 50 ms on one way", best.within)
			}
			t.Logf("%d of %d within their bounds; the best is off by at most %v within %v", within, *clockRounds,
				max(best.ahead-least, most-best.ahead).Round(time.Microsecond), best.bound(watch.now()).Round(time.Microsecond))
		})
	}
}

// startClock starts an agent that tells its clock, in a time of its own, and returns
// between which readings of the clock there its own began.
func startClock(t *testing.T, at elsewhere, name string, join Join, shift time.Duration) (first, last int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", at.name, "unshare", "--time", "--fork", "--kill-child",
		"--monotonic", fmt.Sprint(int64(shift/time.Second)), self)
	cmd.Env = append(os.Environ(), clockJoin+"="+join.String(), "STORMCTL_TEST_CLOCK_NAME="+name)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(input.Close(), cmd.Wait()) })
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Skipf("there are no time namespaces here, or the way there is closed: %v", err)
	}
	if _, err := fmt.Sscan(line, &first, &last); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return first, last
}
