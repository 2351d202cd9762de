package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/adhoc"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports"
)

// loadOptions are the flags of load.
type loadOptions struct {
	rate     rateFlag
	closed   bool
	arrivals string
	stages   stagesFlag
	spike    spikeFlag
	sine     sineFlag
	replay   string
	duration time.Duration
	requests uint64
	warmup   time.Duration

	connections  int
	protocol     string
	streams      int
	pipeline     int
	connRequests int
	connLifetime time.Duration
	dialRate     rateFlag
	batch        time.Duration
	whenStalled  stalledFlag

	targets string
	har     string
	strict  bool
	data    string

	method  string
	headers []string
	body    string
	checks  []string
	follow  int
	timeout time.Duration
	unix    string

	protoset string
	reflect  bool
	hex      bool

	insecure   bool
	serverName string
	caFile     string
	certFile   string
	keyFile    string

	loops     int
	transport string
	seed      uint64

	failIf []string
	report loadReports
	json   bool
	hlog   string
	record string
	quiet  bool

	export exportOptions
}

func (o *loadOptions) AddFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.VarP(&o.rate, "rate", "r", "offered `rate` of the open model: 500/s, 100k/s, or a number per second (default 100/s)")
	f.BoolVar(&o.closed, "closed", false, "closed model: each connection sends its next request when the last is answered, as wrk does")
	f.StringVar(&o.arrivals, "arrivals", experiment.Constant,
		"`name` of how arrivals spread: constant, evenly, or poisson, with exponential gaps; of --rate and --stages")
	f.Var(&o.stages, "stages", "instead of --rate and --duration: `stages` like 'to 1k/s over 10s, hold 30s, to 0/s over 5s'; the first "+
		"ramp begins at 0, one without over jumps")
	f.Var(&o.spike, "spike", "beside --rate: a `spike` like '2k/s at 10s for 5s', times since the load began")
	f.Var(&o.sine, "sine", "beside --rate: a `wave` around it like '400/s every 1m': by up to 400/s more and less, up and down "+
		"once a minute")
	f.StringVar(&o.replay, "replay", "", "arrivals at the times in this `file`, one in a line: seconds or durations since the start, or "+
		"RFC 3339 timestamps")
	f.DurationVarP(&o.duration, "duration", "d", 0,
		"how long, such as 30s or 5m; a warm-up comes before it (default 10s, or as long as --requests take)")
	f.Uint64VarP(&o.requests, "requests", "n", 0, "end after this many `requests`")
	f.DurationVar(&o.warmup, "warmup", 0, "before that, send for this `time` at the rate that the load begins with, and keep it out of "+
		"all results but a line of its own")
	f.IntVarP(&o.connections, "connections", "c", 0, "most `connections` at a time; in the closed model as many (default 1024; closed 64)")
	f.StringVar(&o.protocol, "protocol", load.HTTP1, "`name` of what is spoken: http1, h2 (without TLS by prior knowledge) or grpc "+
		"(unary; the body is the encoded message, or JSON, which begins with {: see --protoset and --reflect), or auto (h2 or http1 by "+
		"TLS, as the server chooses before the load begins; http1 without)")
	f.IntVar(&o.streams, "streams", 100, "`requests` under way on one HTTP/2 connection")
	f.IntVar(&o.pipeline, "pipeline", 1, "`requests` under way on one HTTP/1.1 connection")
	f.DurationVar(&o.batch, "batch", 0, "send what falls due within this `time`, like 1ms, together: much cheaper at a fixed rate, and "+
		"sent late by as much; response times stay true")
	f.Var(&o.whenStalled, "when-stalled", "what becomes of arrivals when every connection is taken, a `word`: queue (they wait, and "+
		"their wait counts), skip (they are not sent, and counted) or burst=N (up to N wait at a time, the rest is skipped)")
	f.IntVar(&o.connRequests, "conn-requests", 0, "close a connection after this many `requests` (default never)")
	f.DurationVar(&o.connLifetime, "conn-lifetime", 0, "close a connection at about this age, like 30s, give or take half (default never)")
	f.Var(&o.dialRate, "dial-rate", "most new connections per second, a `rate` like 200/s (default no limit)")
	f.StringVar(&o.targets, "targets", "", "send vegeta's targets of this `file` in turn, HTTP or JSON format; a URL beside it says "+
		"where to instead")
	f.StringVar(&o.har, "har", "", "send the requests of this HAR `file`, drawn as often as they are in it; a URL beside it says where "+
		"to instead")
	f.BoolVar(&o.strict, "strict", false, "refuse a --har recording with an entry that cannot be sent, instead of leaving it out")
	f.StringVar(&o.data, "data", "", "CSV or JSON-lines `file`: its columns are ${data.COLUMN} in requests, a row for each")
	f.StringVarP(&o.method, "method", "X", "GET", "HTTP `method`")
	f.StringArrayVarP(&o.headers, "header", "H", nil,
		"`NAME:VALUE`; may be repeated; ${id} is the request's id, ${seq} its number, ${rand:1-6} one drawn")
	f.StringVarP(&o.body, "body", "b", "", "request body: `TEXT`, or @FILE")
	f.StringArrayVar(&o.checks, "check", nil, "a response is wrong unless this `holds`: status=2xx, header:X-Cache=hit, body~\"ok\", "+
		"body~/REGEXP/, json:$.state=ready; may be repeated")
	f.IntVar(&o.follow, "follow", 0, "follow up to this `number` of redirects in a row, to the same scheme, host and port alone; others "+
		"are wrong (default none: a 3xx is ok as it is)")
	f.StringVar(&o.protoset, "protoset", "", "for grpc: `file` of descriptors (protoc --include_imports --descriptor_set_out); the body "+
		"is then JSON")
	f.BoolVar(&o.reflect, "reflect", false, "for grpc: ask the server for its descriptors (gRPC server reflection); the body is then "+
		"JSON. By itself if the body begins with { and there is no --protoset")
	f.BoolVar(&o.hex, "hex", false, "the body is in hexadecimal digits")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "for one request, until its last byte")
	f.StringVar(&o.unix, "unix", "", "connect to this unix `socket` instead of the URL's host")
	f.BoolVar(&o.insecure, "insecure", false, "take any certificate")
	f.StringVar(&o.serverName, "server-name", "", "`name` to ask for and to verify by TLS (default the URL's host)")
	f.StringVar(&o.caFile, "cacert", "", "PEM `file` of the authorities to trust (default the system's)")
	f.StringVar(&o.certFile, "cert", "", "PEM `file` of a client certificate")
	f.StringVar(&o.keyFile, "key", "", "PEM `file` of its key (default that of --cert)")
	f.IntVar(&o.loops, "loops", 0, "event `loops` (default one per core; with --closed on this machine every other core)")
	f.StringVar(&o.transport, "poller", "", "`name` of what tells of bytes: "+strings.Join(load.Transports(), ", ")+" (default the best)")
	f.Uint64Var(&o.seed, "seed", 1, "decides every random draw, a `number`")
	f.StringArrayVar(&o.failIf, "fail-if", nil, "exit 1 if this `holds`, like 'p99>50ms' or 'success<99.9%'; of "+adhoc.MetricNames+
		"; may be repeated")
	o.report.AddFlags(f)
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.StringVar(&o.hlog, "hlog", "", "write a HdrHistogram log of every second to this `file`")
	f.StringVar(&o.record, "record", "", "write a line for every request, as CSV, to this `file`")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress on stderr")
	o.export.AddFlags(f)
}

func newLoadCommand() *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load [URL]",
		Short: "Drives load at a URL and tells what callers would have got",
		Long: `Drives load at a URL. When requests are due is fixed beforehand and does not
depend on how the system copes (open model), and every response time counts from
there: a stall shows in full. --closed sends the next request when the last one
is answered instead, for comparison with tools that do so.

The path, the values of headers and the body may have ${id}, ${seq},
${rand:LOW-HIGH} and, with --data, ${data.COLUMN}; a plain ${ is written $${.

A name with several addresses is tried at each in turn, and the first that lets
us in takes all of the load. The zone of a link-local address is written
http://[fe80::1%25eth0]:8080/.

The summary goes to stdout, a line a second to stderr; --report FORMAT --out DIR
writes files besides. If the harness itself was
unhealthy, as it was late or short of something, that is the summary's first
line, and latencies that fail a --fail-if are then inconclusive.

Ctrl-C and stormctl halt end it early: nothing more is sent, what is under way has
its --timeout, and the summary of what was seen follows.

Durations are written 250ms, 5s or 1m30s, rates 500/s, 100k/s or 6000/m, shares
99.9%.

Exit codes:
  0  done, and no --fail-if holds
  1  some --fail-if holds
  2  could not run: usage, or nothing listens there
  3  inconclusive: some --fail-if holds, but the harness was unhealthy
  4  stopped early by a signal or by stormctl halt`,
		Example: `  stormctl load http://127.0.0.1:8080/ --rate 5k/s --duration 30s
  stormctl load http://127.0.0.1:8080/ --rate 500/s --fail-if 'p99>50ms' --fail-if 'success<99.9%'
  stormctl load http://127.0.0.1:8080/ --rate 500/s --report markdown,json --out loads/tonight
  stormctl load 'http://127.0.0.1:8080/users/${data.user}' --data users.csv --rate 1k/s
  stormctl load http://127.0.0.1:8080/ --check status=2xx --check 'json:$.state=ready' --fail-if 'success<99.9%'
  stormctl load http://127.0.0.1:8080/ --warmup 5s --stages 'to 1k/s over 10s, hold 30s'
  stormctl load http://127.0.0.1:8080/ --rate 200/s --spike '2k/s at 10s for 5s' --duration 30s
  stormctl load http://127.0.0.1:8080/ --rate 1k/s --connections 50 --when-stalled skip
  stormctl load http://127.0.0.1:8080/ --replay arrivals.txt
  stormctl load --targets targets.txt --rate 200/s --duration 1m
  stormctl load http://staging:8080 --har shop.har --rate 50/s
  stormctl load http://127.0.0.1:9090/shop.Orders/Get --protocol grpc --body '{"id": 7}' --rate 1k/s
  stormctl load https://shop.example/ --protocol auto --rate 100/s
  stormctl load http://localhost/ --unix /run/app.sock --closed --connections 64 --json`,
		Args: upTo("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target := ""
			if len(args) > 0 {
				target = args[0]
			}
			if err := refuseZeros(cmd.Flags()); err != nil {
				return usageError{err}
			}
			if err := o.report.check(); err != nil {
				return usageError{err}
			}
			job, err := o.job(cmd.Context(), target)
			if err != nil {
				return err
			}
			if err := o.report.prepare(); err != nil {
				return err
			}
			for _, note := range job.Notes {
				fmt.Fprintln(cmd.ErrOrStderr(), reports.Clean(note))
			}
			return runLoad(cmd.Context(), job, o, cmd.OutOrStdout(), cmd.ErrOrStderr()).err()
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// refuseZeros refuses a 0 that was written where 0 is what is not given: somebody
// meant something by it, and would get the default.
func refuseZeros(f *pflag.FlagSet) error {
	for name, way := range map[string]string{
		"duration": "no load takes no time; leave it out for 10s", "requests": "leave it out for as many as --duration takes",
		"connections": "at least 1 is needed; leave it out for 1024, or 64 in the closed model", "loops": "leave it out for one per core",
		"conn-requests": "leave it out to keep connections", "conn-lifetime": "leave it out to keep connections",
	} {
		flag := f.Lookup(name)
		if text := flag.Value.String(); flag.Changed && (text == "0" || text == "0s") {
			return fmt.Errorf("--%s %s: %s", name, text, way)
		}
	}
	return nil
}

// job makes of the command line what is to be done. target is "" if none is
// given.
func (o *loadOptions) job(ctx context.Context, target string) (*adhoc.Job, error) {
	j := &adhoc.Job{URL: cmp.Or(target, o.targets, o.har), Auto: o.protocol == load.Auto, Record: o.record, Hlog: o.hlog}
	for _, text := range o.failIf {
		t, err := adhoc.ParseThreshold(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--fail-if %w", err)}
		}
		j.Thresholds = append(j.Thresholds, t)
	}
	p := load.Plan{
		Seed: o.seed, Run: randomRun(), Loops: o.loops, Transport: o.transport,
		MaxConns: o.connections, MaxQueue: o.whenStalled.queue, Pipeline: o.pipeline, Streams: o.streams, Batch: o.batch,
		ConnRequests: o.connRequests, ConnLifetime: o.connLifetime, DialRate: o.dialRate.limit,
	}
	if err := o.schedule(&p, j); err != nil {
		return nil, usageError{err}
	}
	if err := o.routes(ctx, target, &p, j); err != nil {
		return nil, err
	}
	j.Plan = p
	return j, nil
}

var protocols = []string{load.HTTP1, load.HTTP2, load.GRPC, load.Auto}

// bodyBytes is what --body means.
func (o *loadOptions) bodyBytes() ([]byte, error) {
	file, isFile := strings.CutPrefix(o.body, "@")
	if !isFile {
		return []byte(o.body), nil
	}
	b, err := input.Read(file, input.Body)
	if err != nil {
		return nil, fmt.Errorf("--body: %w", err)
	}
	return b, nil
}

// headerList reads the --header flags.
func (o *loadOptions) headerList() ([][2]string, error) {
	var list [][2]string
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, usageError{fmt.Errorf("--header %q: write NAME:VALUE", h)}
		}
		list = append(list, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return list, nil
}

// writeLoad prints what a load came to.
func writeLoad(w io.Writer, l *reports.Load, asJSON bool, getenv func(string) string) error {
	if asJSON {
		return reports.LoadJSON(w, l)
	}
	return reports.LoadText(w, l, textOptions(w, getenv))
}
