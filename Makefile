# stormctl: `make` lists the targets.

GO       ?= go
LINT     := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ROUNDS   ?= 10
JOBS     ?= 4
ONLY     ?=
SET      ?=
BUSY     ?= 1
HALF     ?=
GATES    ?= 100
GATES_SLOWER ?= 20
GATES_LENGTH ?= 5s
GATE_ROUNDS ?= 20
FUZZTIME ?= 1m
PAGES    ?= bin/pages
CROWD    ?= 10s
KILLS    ?= 50
SOAK     ?= 20m
RATE     ?= 5000
SOAK_KILLS ?= 3
SCRAPED  ?= 60s
CROSS    ?= arm64
PROVE_JOBS ?= 2
DISCOVERED ?= 0
PROVING_PACKAGES := haproxy nginx-light apache2 varnish squid curl python3 python3-tenacity python3-urllib3 python3-requests \
  ruby ruby-faraday ruby-webrick
TOXIPROXY ?= toxiproxy-server
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.15.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.DEFAULT_GOAL := help
.PHONY: soak help build check test raced-cmd cross portable bench bench-peers bench-truth bench-relay busy-relay notices vulnerabilities fuzz rulings power pages gates discover prove proving-ground kill-test surroundings cgroup2-test release-check man completions image deps metrics-test gameday-crowd agents-test data nomad-test

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## build bin/stormctl
	$(GO) build -o bin/stormctl ./cmd/stormctl

check: ## format, vet, lint and the short tests: fast
	@test -z "$$(gofmt -l cmd load chaos targets reports)" || { gofmt -l cmd load chaos targets reports; exit 1; }
	$(GO) vet ./...
	$(LINT) run
	$(GO) test -short ./...

# What is tested twice or not at once is so for a reason: rulings on simulated
# runs want many seeds, which the race detector makes slow, and are made by one
# goroutine but for what claims share, which is tested with it; those on real runs
# want a machine that is not slowed down by it, and what measures wants few others
# beside it: those go by themselves. Others wait for half of their time: four packages
# go at once, and those of the load, which take longest, begin first.
MEASURED := ^(TestHarnessRefutes|TestNoFaultIsInconclusive|TestGrowthOfProcesses)$$

# What goes without the race detector is built as releases are, so that packages are
# compiled once for it and for the tests that build the program or others of its modules.
AS_RELEASED := CGO_ENABLED=0 GOFLAGS=-trimpath

test: export GORACE ?= atexit_sleep_ms=50
test: deps ## everything, with the race detector
	$(AS_RELEASED) $(GO) vet ./...
	$(AS_RELEASED) $(GO) test -vet=off -timeout 5m ./chaos/judge ./chaos/compare
	$(AS_RELEASED) $(GO) test -vet=off -timeout 25m -parallel 3 -run '$(MEASURED)' ./cmd/stormctl
	$(GO) test -vet=off -race -timeout 10m -run '^(TestClaimsMayBeJudgedAtOnce|TestJudgingIsPure|TestRecorded|TestAdmitted)' ./chaos/judge
	$(GO) test -vet=off -race -p 4 -timeout 20m $$($(GO) list ./load/... ./... | grep -v -e /cmd/ -e /chaos/judge$$)
	$(MAKE) --no-print-directory -j2 --output-sync=target raced-cmd cross

# Its tests mostly wait, for what they run takes its time: compiling for other systems has room beside them.
raced-cmd:
	$(GO) test -vet=off -race -timeout 25m -parallel 4 -skip '$(MEASURED)' ./cmd/...

# What stands in for Linux's own on other systems, used here.
portable: ## the forms for other systems, tested on this one
	$(GO) test -vet=off -short -tags portable -timeout 10m ./chaos/proxy/tcp ./chaos/proxy/transport ./targets ./chaos/lease

# Types are what is looked at here, and unoptimized code of them is compiled sooner. It gives way to tests beside it.
CROSS_VET := nice $(GO) vet '-gcflags=all=-N -l'

cross: ## vet everything, tests included, for macOS on CROSS (default arm64; amd64 differs in nothing of ours), and what there is on Windows
	@set -e; for arch in $(CROSS); do echo "vet for darwin/$$arch"; GOOS=darwin GOARCH=$$arch $(CROSS_VET) ./...; done
	@set -e; export GOOS=windows GOARCH=amd64; echo "vet for windows/amd64, without tests"; mkdir -p bin; \
	  nice $(GO) build '-gcflags=all=-N -l' -o bin/stormctl.exe ./cmd/stormctl; \
	  packages=$$($(GO) list -deps ./cmd/stormctl | grep ^github.com/stormctl/stormctl/); \
	  { echo '{"Replace": {'; $(GO) list -f '{{$$dir := .Dir}}{{range .TestGoFiles}}"{{$$dir}}/{{.}}": ""{{"\n"}}{{end}}{{range .XTestGoFiles}}"{{$$dir}}/{{.}}": ""{{"\n"}}{{end}}' \
	    $$packages | grep . | paste -sd, -; echo '}}'; } >bin/no-tests.json; \
	  $(CROSS_VET) -overlay bin/no-tests.json $$packages

bench: ## the micro-benchmarks beside the hot files
	$(GO) test -run '^$$' -bench . -benchmem ./load/... ./chaos/...

bench-peers: deps ## the load engine beside wrk, vegeta, fortio ... whichever are installed: BENCH='-rounds 5 -modes closed,5000'
	$(GO) build -o bin/stormctl ./cmd/stormctl
	$(GO) run ./load/benchmarks -stormctl $(CURDIR)/bin/stormctl $(BENCH)

bench-truth: ## what stormctl and its peers say of targets whose behaviour is known
	$(GO) build -o bin/stormctl ./cmd/stormctl
	$(GO) run ./load/benchmarks -stormctl $(CURDIR)/bin/stormctl -truth -duration 20s $(BENCH)

bench-relay: deps ## the relay beside haproxy and toxiproxy (TOXIPROXY=path of its server): BENCH='-rounds 5 -duration 5s'
	@command -v wrk >/dev/null || { echo "wrk is not installed"; exit 1; }
	$(GO) build -o bin/bench-relay ./chaos/proxy/benchmarks
	bin/bench-relay -toxiproxy $(TOXIPROXY) $(BENCH)

busy-relay: ## toxics change 1,000 times a second under 200 busy connections for 60 s
	$(GO) test -count=1 -run '^TestStreamNothingIsLostWhileToxicsChange$$' -v ./chaos/proxy/tcp -busy 60s -busy-connections 200

notices: ## THIRD-PARTY, the licences of what is linked in
	.ci/notices > THIRD-PARTY

vulnerabilities: ## known vulnerabilities in what is linked in, where their database can be reached
	.ci/vulnerabilities

fuzz: ## each fuzz target for FUZZTIME (default 1m)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

rulings: deps ## examples (ONLY=REGEXP, SET=KEY=VALUE) and lies about them ROUNDS times (10), JOBS at once (4), quiet and with BUSY cores busy (1), or one HALF
	$(GO) test -count=1 -timeout 170m -run '^TestRulings$$' -v ./cmd/stormctl -rulings $(ROUNDS) -jobs $(JOBS) -only '$(ONLY)' -set '$(SET)' -busy $(BUSY) -half '$(HALF)'

# Of stores and brokers: what they keep, who their primary is, how many connections they get, what comes twice or late.
STORES := ^(broken/)?(cap|stale-price|durable|failover|stampede|pgbouncer|cache|broker|cluster|rabbitmq|events|backlog|saga)\b

data: JOBS = 1
data: ONLY = $(STORES)
data: rulings ## the same of the examples that need redis, PostgreSQL, etcd or a broker that is killed, and of their variants; one at a time

# A broken example ends with 1 and what is left open with 3: both have a page.
pages: build ## the HTML reports of all examples into PAGES (default bin/pages), each looked at in Chromium in seven views; pictures beside them
	@rm -rf $(PAGES); mkdir -p $(PAGES); for f in examples/*.yaml examples/broken/*.yaml; do \
	  name=$$(basename $$f .yaml); run=$(PAGES)/run; echo $$f; code=0; \
	  bin/stormctl run $$f --out $$run --report html >$(PAGES)/$$name.txt 2>&1 || code=$$?; \
	  case $$code in 0 | 1 | 3) ;; *) tail -5 $(PAGES)/$$name.txt; exit 1 ;; esac; \
	  mv $$run/report.html $(PAGES)/$$name.html || exit 1; rm -rf $$run; \
	done
	STORMCTL_PICTURES=$(abspath $(PAGES)) $(GO) test -count=1 -timeout 60m -run '^TestPagesInABrowser$$' ./reports -pages $(abspath $(PAGES))

power: ## what plans were warned of before their runs (ONLY=REGEXP), against what those come to; on a quiet machine
	$(GO) test -count=1 -timeout 60m -run '^TestPowerAgainstRuns$$' -v ./cmd/stormctl -power 1 -only '$(ONLY)'

gates: ## duets (GATES equal, GATES_SLOWER 10% slower, of GATES_LENGTH) and GATE_ROUNDS of 5 + 5 rounds, with BUSY cores busy
	$(GO) test -count=1 -timeout 170m -run '^TestGates$$' -v ./cmd/stormctl -gates $(GATES) \
	  -gates-slower $(GATES_SLOWER) -gates-length $(GATES_LENGTH) -gate-rounds $(GATE_ROUNDS) -busy $(BUSY)

discover: ## reference services, sound, plain and flawed, measured by discover ROUNDS times, JOBS at once (4); on a quiet machine
	$(GO) test -count=1 -timeout 170m -parallel $(JOBS) -run '^TestDiscover(Finds|Pasted|InventsNothing)$$' -v ./cmd/stormctl -discover $(ROUNDS)

prove: proving-ground ## real implementations (ONLY=REGEXP): documented figures, false ones; ROUNDS times, quiet and BUSY; DISCOVERED of them (0 is all) by discover
	$(GO) test -count=1 -timeout 175m -run '^TestProve$$' -v ./cmd/stormctl -prove $(ROUNDS) -prove-discover $(DISCOVERED) -jobs $(PROVE_JOBS) -only '$(ONLY)' \
	  -busy $(BUSY) -prove-page $(CURDIR)/docs/implementations.md

# What make prove runs: Go's modules by their lock file, those of Node.js by theirs,
# and the system's packages.
proving-ground: ## builds and installs what make prove runs; no other target needs it
	cd targets/proving/go && $(AS_RELEASED) $(GO) build -o ../bin/proving .
	cd targets/proving/caddy && $(AS_RELEASED) $(GO) build -o ../bin/caddy github.com/caddyserver/caddy/v2/cmd/caddy
	@missing=""; \
	for p in $(PROVING_PACKAGES); do \
	  [ "$$(dpkg-query --show --showformat '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; \
	done; \
	command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	if [ -n "$$missing" ]; then \
	  echo "installing for the proving ground:$$missing"; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	cd targets/proving/node && npm ci --silent

soak: deps ## a soak of SOAK (20m) at RATE (5000) a second, killed SOAK_KILLS (3) times and resumed; and one of a week, recorded at speed
	$(GO) test -count=1 -timeout 24h -run '^TestSoak$$' -v ./cmd/stormctl -soak $(SOAK) -soak-rate $(RATE) -soak-kills $(SOAK_KILLS)
	$(GO) test -count=1 -timeout 2h -run '^TestSoakAtSpeed$$' -v ./chaos -soak-chapters 1008 -soak-chapter 10m

kill-test: deps ## kill -9 at KILLS (default 50) random moments of a run with every outliving fault; as root, or less is shown
	$(GO) test -count=1 -timeout 60m -parallel $(JOBS) -run '^(TestKilledRunLeavesNothing|TestHealAfterTheGuardianWasKilledToo)$$' -v ./cmd/stormctl -kills $(KILLS)

agents-test: deps ## agents, broker and coordinator lost at ROUNDS random moments (10) each, clocks in namespaces, what it costs; as root, on a quiet machine
	$(GO) test -count=1 -timeout 60m -parallel $(JOBS) -run '^TestAgentsLost$$' -v ./cmd/stormctl -agent-rounds $(ROUNDS)
	$(GO) test -count=1 -timeout 10m -run '^TestOffsetAcrossNamespaces$$' -v ./chaos/agents -clock-rounds 1000
	$(GO) test -count=1 -timeout 20m -run '^TestAgentCost$$' -v ./cmd/stormctl -agent-cost 20s

surroundings: deps ## runs in surroundings that take long to try (no port, 1 GB of output, stopped for 10 s ...), and in all others; as root
	$(GO) test -count=1 -timeout 10m -run '^TestSurroundings$$' -v ./cmd/stormctl -surroundings

cgroup2-test: ## the cgroup faults on a kernel with cgroup v2 of its own: needs Debian's user-mode-linux
	$(GO) test -c -o bin/host.test ./chaos/host
	chaos/host/testdata/cgroup2.sh bin/host.test

metrics-test: ## a run scraped by Debian's Prometheus for SCRAPED (default 60s), the dashboard's queries answered by it, and a run pushed to OpenTelemetry's collector
	@command -v prometheus >/dev/null || { sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus; }
	cd chaos/export/collector && $(GO) build -o $(CURDIR)/bin/collector .
	$(GO) test -count=1 -timeout 10m -run '^(TestPrometheusScrapes|TestCollectorReceives)$$' -v ./cmd/stormctl -prometheus $(SCRAPED) \
	  -collector $(CURDIR)/bin/collector

nomad-test: ## the job for Nomad, read by its own parser
	cd chaos/agents/nomad && $(GO) build -o $(CURDIR)/bin/nomad .
	$(GO) test -count=1 -run '^TestNomadReadsTheJob$$' -v ./cmd/stormctl -nomad $(CURDIR)/bin/nomad

gameday-crowd: ## the send lag of a game day of CROWD (10s), alone and with a thousand who ask for its events
	$(GO) test -count=1 -timeout 20m -run '^TestGamedayCrowd$$' -v ./cmd/stormctl -crowd $(CROWD)

release-check: ## goreleaser's own check of .goreleaser.yaml, actionlint's of action.yml: large downloads, minutes to build
	$(GO) run $(GORELEASER) check
	.ci/action-check $(GO) run $(ACTIONLINT)

man: ## man pages, a file for each verb, into man/
	$(GO) test -count=1 -run '^TestManPages$$' ./cmd/stormctl -man $(CURDIR)/man

completions: build ## completions for bash, zsh and fish, into completions/
	mkdir -p completions
	for shell in bash zsh fish; do bin/stormctl completion $$shell > completions/stormctl.$$shell; done

image: ## the static image of Dockerfile
	docker build -t stormctl .

# The packages that the tests need from the system; only what is missing is installed.
deps:
	@missing=""; \
	command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || missing="$$missing haproxy"; \
	command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$$missing nginx-light"; \
	command -v nghttpd >/dev/null || missing="$$missing nghttp2-server"; \
	command -v h2load >/dev/null || missing="$$missing nghttp2-client"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v ip >/dev/null || [ -x /usr/sbin/ip ] || missing="$$missing iproute2"; \
	command -v nft >/dev/null || [ -x /usr/sbin/nft ] || missing="$$missing nftables"; \
	command -v python3 >/dev/null || missing="$$missing python3"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	command -v redis-cli >/dev/null || missing="$$missing redis-tools"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v tmux >/dev/null || missing="$$missing tmux"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$$missing pgbouncer"; \
	command -v etcd >/dev/null || missing="$$missing etcd-server"; \
	[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$$missing rabbitmq-server"; \
	command -v etcdctl >/dev/null || missing="$$missing etcd-client"; \
	if [ -n "$$missing" ]; then \
	  echo "installing for the tests:$$missing"; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi
