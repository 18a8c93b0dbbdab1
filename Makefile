# make run and make test are the two commands to know.

VERSION ?= $(shell git describe --tags 2>/dev/null || sed -n 's/^var version = "\(.*\)"/\1/p' cmd/cairn/version.go)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 10s
# All builds are like those of a release, so that they share what is compiled.
export GOFLAGS := $(GOFLAGS) -trimpath
# lint vets; without symbols for debuggers some seventy test programs are linked in half the time.
TESTFLAGS := -race -tags cairn_invariants -vet=off -ldflags=-s -timeout 30m

.PHONY: run cluster build bench-program test short lint vulncheck fuzz interop clients bench microbench random torture torture-race release clean

# Serve on 127.0.0.1:11211 with the data in ./cairn-data.
run: build
	bin/cairn serve

# Three nodes of a cluster on loopback, with the data in ./cairn-cluster, until Ctrl-C.
cluster: build
	deploy/cluster/three bin/cairn cairn-cluster

build:
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o bin/cairn ./cmd/cairn

bench-program:
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o bin/cairn-bench ./cmd/cairn-bench

# The packages whose tests take longest. go starts them in the order given, so that
# the many short ones run beside them and not one long one alone at the end. Tests wait
# as much as they compute: twice as many packages as cores run side by side.
LONGEST := ./torture ./engine ./cluster ./cmd/cairn ./deploy ./memcachedfront ./httpapi/console

# Every test, under the race detector. The engine checks its invariants while it
# runs. Real clients have timeouts of their own: their tests come last, when the
# others are not at work any more.
test: clients
	go test $(TESTFLAGS) -p $$((2 * $$(nproc))) $(LONGEST) $$(go list ./... | grep -v '/interop$$')
	go test $(TESTFLAGS) ./interop

# Go's tests alone: what a change is checked with while it is being made.
short:
	go test -short ./...

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
		if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go vet -tags cairn_invariants ./engine ./torture
	cd deploy/release && go vet ./...
	cd deploy/helm/check && go vet ./...
	go tool staticcheck ./...

# Known vulnerabilities in what the programs reach, by the Go project's database.
vulncheck:
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

# Every fuzz target for a bounded time each.
fuzz:
	.ci/fuzz $(FUZZTIME)

# The real clients alone, with what they said.
interop: clients
	go test -race -count=1 -v ./interop

clients:
	@interop/install.sh

bench: build bench-program
	bin/cairn-bench

# Go's benchmarks, summed up; with BASE=REVISION compared with that revision's.
microbench:
	bench/micro/compare $(BASE)

# A million random commands to a store in the test's own process, among restarts,
# power cuts and drops of buckets.
random:
	go test -timeout 0 -count=1 -v ./engine -run '^TestRandom$$' -random.commands 1000000

# The long form of the torture tests, and a share of it with the race detector:
# figures and plots are in torture/out and torture/out/race afterwards.
torture: random
	go test -timeout 0 -count=1 -v ./torture -long

torture-race: export CAIRN_TORTURE_SCALE ?= 0.2
torture-race:
	go test -race -tags cairn_invariants -timeout 0 -count=1 -v ./torture -long -out out/race

# What a release consists of, in dist/release, with checksums: the same bytes for
# the same commit and VERSION.
release: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
release:
	rm -rf dist/release
	cd deploy/release && go run . -version '$(VERSION:v%=%)' -out ../../dist/release

clean:
	rm -rf bin dist
