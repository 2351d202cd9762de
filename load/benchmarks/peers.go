package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/load/benchmarks/bench"
)

// peer is a program that makes load.
type peer struct {
	name    string
	program string
	// args is its command line; nil if it has no such mode.
	args func(setup) []string
	// says is what it printed of latencies, in ms.
	says func(s setup, out string) (quantiles, error)
	own  bool // it is stormctl
}

// quantiles are latencies in ms; those that are not told are unknown. What
// stormctl alone says of its timing is 0 for others.
type quantiles struct{ p50, p99, p999, max, lag50, lag99, service50, hiccup99 float64 }

const unknown = -1

func (s setup) url() string {
	if s.tls {
		return "https://" + s.addr + "/"
	}
	if s.grpc {
		return "http://" + s.addr + bench.Method
	}
	return "http://" + s.addr + "/"
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// oneID is the same id in all requests, so that they are as alike as the peers' are.
var oneID = []string{"-H", "x-request-id: 0", "-H", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

func allPeers(stormctl string) []peer {
	peers := []peer{wrk(1), wrk(2), h2load(1), h2load(2), ghz(1), ghz(2)}
	for _, transport := range []string{"epoll", "io_uring"} {
		name := "stormctl " + transport
		peers = append(peers, ours(stormctl, name, false, "--poller", transport),
			ours(stormctl, name+", 2 loops", false, "--poller", transport, "--loops", "2").onlyIf(setup.closed),
			ours(stormctl, name+" +one id", false, append([]string{"--poller", transport}, oneID...)...).onlyIf(setup.streamed),
			ours(stormctl, name+" +record", true, "--poller", transport).onlyIf(setup.plain))
	}
	batched := ours(stormctl, "stormctl --batch 1ms", false, "--batch", "1ms", "--loops", "1")
	peers = append(peers, batched.onlyIf(func(s setup) bool { return !s.closed() }))
	for _, p := range []peer{hey(), bombardier(), fortio(), vegeta(), k6()} {
		peers = append(peers, p.onlyIf(setup.plain))
	}
	return peers
}

// onlyIf is a program that is measured only where it applies.
func (p peer) onlyIf(applies func(setup) bool) peer {
	args := p.args
	p.args = func(s setup) []string {
		if !applies(s) {
			return nil
		}
		return args(s)
	}
	return p
}

func ours(program, name string, record bool, flags ...string) peer {
	return peer{name, program, func(s setup) []string {
		args := append([]string{"load", s.url(), "--json", "--quiet", "-c", strconv.Itoa(s.conns), "-d", s.duration.String()}, flags...)
		if s.unix {
			args = append(args, "--unix", s.socket)
		}
		if s.tls {
			args = append(args, "--insecure")
		}
		if s.streams > 0 {
			protocol := "h2"
			if s.grpc {
				protocol = "grpc"
			}
			args = append(args, "--protocol", protocol, "--streams", strconv.Itoa(s.streams))
		}
		if record {
			args = append(args, "--hlog", inDir(s, "ours.hlog"), "--record", inDir(s, "ours.csv"))
			_ = os.Remove(inDir(s, "ours.csv"))
		}
		if s.rate == 0 {
			return append(args, "--closed")
		}
		return append(args, "--rate", strconv.Itoa(s.rate))
	}, func(_ setup, out string) (quantiles, error) {
		l, err := readOurs(out)
		return quantiles{
			l.Response.P50, l.Response.P99, l.Response.P999, l.Response.Max,
			l.Harness.SendLag.P50, l.Harness.SendLag.P99, l.Service.P50, l.Harness.HiccupP99,
		}, err
	}, true}
}

// report is what we need of what `stormctl load --json` prints.
type report struct {
	Requests uint64            `json:"requests"`
	Unsent   uint64            `json:"unsent"`
	Rate     float64           `json:"rate_per_s"`
	Outcomes map[string]uint64 `json:"outcomes"`
	Response spread            `json:"response"`
	Service  spread            `json:"service"`
	Harness  struct {
		SendLag   spread  `json:"send_lag"`
		HiccupP99 float64 `json:"hiccup_p99_ms"`
	} `json:"harness"`
}

type spread struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p99_9_ms"`
	Max  float64 `json:"max_ms"`
}

func readOurs(out string) (r report, err error) {
	err = json.Unmarshal([]byte(out), &r)
	return r, err
}

func wrk(threads int) peer {
	t := "-t" + strconv.Itoa(threads)
	return peer{"wrk " + t, "wrk", func(s setup) []string {
		if s.rate > 0 || s.streams > 0 {
			return nil
		}
		return []string{t, "-c" + strconv.Itoa(s.conns), "-d" + seconds(s.duration) + "s", "--latency", s.url()}
	}, func(_ setup, out string) (quantiles, error) {
		return find(out, "", `(?m)^\s+50%\s+(\S+)`, `(?m)^\s+99%\s+(\S+)`, `Latency\s+\S+\s+\S+\s+(\S+)`)
	}, false}
}

func h2load(threads int) peer {
	t := "-t" + strconv.Itoa(threads)
	return peer{"h2load " + t, "h2load", func(s setup) []string {
		args := []string{t, "-c" + strconv.Itoa(s.conns), "-D" + seconds(s.duration)}
		switch {
		case s.rate > 0 || s.grpc:
			return nil
		case s.streams > 0:
			args = append(args, "-m"+strconv.Itoa(s.streams))
		default:
			args = append(args, "--h1")
		}
		return append(args, s.url())
	}, func(setup, string) (quantiles, error) {
		return quantiles{p50: unknown, p99: unknown, p999: unknown, max: unknown}, nil
	}, false}
}

func ghz(threads int) peer {
	return peer{"ghz --cpus " + strconv.Itoa(threads), "ghz", func(s setup) []string {
		if !s.grpc {
			return nil
		}
		return []string{"--insecure", "--proto", inDir(s, bench.Proto), "--call", strings.TrimPrefix(bench.Method, "/"), "--data", "{}",
			"--cpus", strconv.Itoa(threads), "--connections", strconv.Itoa(s.conns), "--concurrency", strconv.Itoa(s.conns * s.streams),
			"--duration", s.duration.String(), "--format", "json", s.addr}
	}, func(_ setup, out string) (quantiles, error) {
		var r struct {
			Slowest             float64 // ns, as are the others
			LatencyDistribution []struct{ Percentage, Latency float64 }
		}
		err := json.Unmarshal([]byte(out), &r)
		q := quantiles{p50: unknown, p99: unknown, p999: unknown, max: r.Slowest / 1e6}
		for _, l := range r.LatencyDistribution {
			switch l.Percentage {
			case 50:
				q.p50 = l.Latency / 1e6
			case 99:
				q.p99 = l.Latency / 1e6
			}
		}
		return q, err
	}, false}
}

func hey() peer {
	return peer{"hey", "hey", func(s setup) []string {
		args := []string{"-z", s.duration.String(), "-c", strconv.Itoa(s.conns)}
		if s.rate > 0 {
			args = append(args, "-q", strconv.FormatFloat(float64(s.rate)/float64(s.conns), 'f', 3, 64))
		}
		return append(args, s.url())
	}, func(_ setup, out string) (quantiles, error) {
		return find(out, "s", `50%%? in (\S+) secs`, `99%%? in (\S+) secs`, `Slowest:\s+(\S+) secs`)
	}, false}
}

func bombardier() peer {
	return peer{"bombardier", "bombardier", func(s setup) []string {
		args := []string{"-c", strconv.Itoa(s.conns), "-d", s.duration.String(), "-l", "-p", "r", "-o", "json"}
		if s.rate > 0 {
			args = append(args, "-r", strconv.Itoa(s.rate))
		}
		return append(args, s.url())
	}, func(_ setup, out string) (quantiles, error) {
		var r struct {
			Result struct {
				Latency struct {
					Percentiles map[string]float64 `json:"percentiles"`
					Max         float64            `json:"max"`
				} `json:"latency"`
			} `json:"result"`
		}
		err := json.Unmarshal([]byte(out), &r)
		l := r.Result.Latency // in µs
		return quantiles{p50: l.Percentiles["50"] / 1000, p99: l.Percentiles["99"] / 1000, p999: unknown, max: l.Max / 1000}, err
	}, false}
}

func fortio() peer {
	return peer{"fortio", "fortio", func(s setup) []string {
		return []string{"load", "-quiet", "-c", strconv.Itoa(s.conns), "-qps", strconv.Itoa(s.rate), "-t", s.duration.String(),
			"-r", "0.00001", "-p", "50,99,99.9", "-json", inDir(s, "fortio.json"), s.url()}
	}, func(s setup, _ string) (quantiles, error) {
		var r struct {
			DurationHistogram struct {
				Max         float64
				Percentiles []struct{ Percentile, Value float64 }
			}
		}
		if err := read(inDir(s, "fortio.json"), &r); err != nil {
			return quantiles{}, err
		}
		p := r.DurationHistogram.Percentiles
		if len(p) != 3 {
			return quantiles{}, fmt.Errorf("fortio gave %d percentiles", len(p))
		}
		return quantiles{p50: p[0].Value * 1000, p99: p[1].Value * 1000, p999: p[2].Value * 1000, max: r.DurationHistogram.Max * 1000}, nil
	}, false}
}

func vegeta() peer {
	return peer{"vegeta", "vegeta", func(s setup) []string {
		targets := inDir(s, "vegeta.targets")
		if os.WriteFile(targets, []byte("GET "+s.url()+"\n"), 0o644) != nil {
			return nil
		}
		args := []string{"attack", "-targets", targets, "-duration", s.duration.String(), "-output", inDir(s, "vegeta.bin"),
			"-connections", strconv.Itoa(s.conns)}
		if s.rate == 0 {
			return append(args, "-rate", "0", "-max-workers", strconv.Itoa(s.conns))
		}
		return append(args, "-rate", strconv.Itoa(s.rate))
	}, func(s setup, _ string) (quantiles, error) {
		out, err := exec.Command("vegeta", "report", "-type", "json", inDir(s, "vegeta.bin")).Output()
		if err != nil {
			return quantiles{}, err
		}
		var r struct {
			Latencies map[string]float64 `json:"latencies"` // in ns
		}
		err = json.Unmarshal(out, &r)
		return quantiles{p50: r.Latencies["50th"] / 1e6, p99: r.Latencies["99th"] / 1e6, p999: unknown, max: r.Latencies["max"] / 1e6}, err
	}, false}
}

func k6() peer {
	return peer{"k6", "k6", func(s setup) []string {
		how := fmt.Sprintf("executor:'constant-vus',vus:%d", s.conns)
		if s.rate > 0 {
			how = fmt.Sprintf("executor:'constant-arrival-rate',rate:%d,timeUnit:'1s',preAllocatedVUs:%d", s.rate, s.conns)
		}
		script := fmt.Sprintf("import http from 'k6/http';export const options={summaryTrendStats:['p(50)','p(99)','p(99.9)','max'],"+
			"scenarios:{a:{%s,duration:'%s'}}};export default function(){http.get('%s')}", how, s.duration, s.url())
		if os.WriteFile(inDir(s, "k6.js"), []byte(script), 0o644) != nil {
			return nil
		}
		return []string{"run", "--quiet", "--no-usage-report", "--summary-export", inDir(s, "k6.json"), inDir(s, "k6.js")}
	}, func(s setup, _ string) (quantiles, error) {
		var r struct {
			Metrics map[string]map[string]any `json:"metrics"`
		}
		if err := read(inDir(s, "k6.json"), &r); err != nil {
			return quantiles{}, err
		}
		of := func(name string) float64 {
			v, _ := r.Metrics["http_req_duration"][name].(float64)
			return v
		}
		return quantiles{p50: of("p(50)"), p99: of("p(99)"), p999: of("p(99.9)"), max: of("max")}, nil
	}, false}
}

// find reads p50, p99 and the maximum, which the patterns find with a unit or in
// the one that is given.
func find(out, unit, p50, p99, most string) (quantiles, error) {
	var ms [3]float64
	for i, pattern := range []string{p50, p99, most} {
		m := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if m == nil {
			return quantiles{}, fmt.Errorf("no %s in:\n%s", pattern, out)
		}
		d, err := time.ParseDuration(m[1] + unit)
		if err != nil {
			return quantiles{}, err
		}
		ms[i] = float64(d) / float64(time.Millisecond)
	}
	return quantiles{p50: ms[0], p99: ms[1], p999: unknown, max: ms[2]}, nil
}

// read decodes a file of JSON.
func read(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// maxResident is the most memory that an ended process had, in bytes.
func maxResident(p *os.ProcessState) int64 {
	if u, ok := p.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}
