# Everything here needs Go and make; `make lint` installs its tool into .bin.
# A C compiler is used where there is one, for the race detector alone.

SHELL := /bin/sh

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
PACKAGES ?= ./...
FUZZTIME ?= 10s
FUZZ ?= .
FUZZPARALLEL ?=
BENCHTIME ?= 1s
BENCH_SIZE ?= smoke
BENCH_FLAGS ?=
LAB_FLAGS ?=
RELIABILITY ?= short
RELIABILITY_FLAGS ?=
SEED ?= 0
TEST_TIMEOUT ?= 20m
TEST_FLAGS ?=
GOLANGCI_LINT_VERSION := v2.15.0

# The version is stamped below; asking git again for each program only fails in
# a checkout that belongs to somebody else.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# The race detector waits that long at the end of every program for reports of other
# goroutines: a second if nobody says, which is most of what a short one takes.
export GORACE ?= atexit_sleep_ms=50

# -race needs cgo and a C compiler. RACE= switches it off.
RACE ?= $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v $$(go env CC | cut -d' ' -f1) >/dev/null 2>&1 && echo -race)

CLI := github.com/docket-hub/docket/internal/cli
LDFLAGS := -s -w -X $(CLI).version=$(VERSION) -X $(CLI).commit=$(COMMIT)
SOURCES := cmd config connectors deploy internal pipeline
LINT := .bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET, where TARGET is one of" } \
	  /^[a-z][a-z-]*:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static program bin/docket
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/docket ./cmd/docket

.PHONY: run
run: build ## plan and apply the sample organisation of deploy/quickstart
	@sh deploy/quickstart/run.sh bin/docket

.PHONY: aws-lab
aws-lab: build ## start a stand-in for AWS, ten accounts full of findings, to try the AWS sources on
	go run ./internal/awsx/awstest/cmd/awslab -dir bin/aws-lab -docket ../docket $(LAB_FLAGS)

.PHONY: test
test: ## run all tests, with the race detector where there is a C compiler
	go test $(RACE) -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) $(PACKAGES)

# What one goroutine does with large inputs. The race detector makes it ten times as slow and has nothing to find in it.
LARGE := ^(TestSplitStreams|TestSplitStreamsSARIF|TestOneDamagedByteLosesOneRecord|TestSteadyTwins|TestBodiesAreWhatTheyCount|TestClientsShareNoFinding|TestShortCutsLoseNothing|TestSampleDataSurvives|TestMemoForgets|TestModel)$$

.PHONY: test-race
test-race: ## run all tests with the race detector, the suites that kill processes at full length, but what test-large runs
	DOCKET_CRASH=1 CGO_ENABLED=1 go test -race -timeout $(TEST_TIMEOUT) -skip '$(LARGE)' $(TEST_FLAGS) $(PACKAGES)

.PHONY: test-large
test-large: ## run the tests of large inputs, without the race detector
	go test -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) -run '$(LARGE)' ./connectors/format ./internal/bench ./internal/mask ./internal/state ./pipeline/ingest

.PHONY: cover
cover: ## run all tests and write coverage.out
	go test -timeout $(TEST_TIMEOUT) -coverpkg=./... -coverprofile=coverage.out $(TEST_FLAGS) $(PACKAGES)
	go tool cover -func=coverage.out | tail -1

.PHONY: crash
crash: ## run only the tests that kill processes, and the contracts between parts
	DOCKET_CRASH=1 go test $(RACE) -count=1 -timeout $(TEST_TIMEOUT) -run 'Crash|Kill|Contract|Sequence' $(TEST_FLAGS) $(PACKAGES)

.PHONY: reliability
reliability: ## run the reliability suites (RELIABILITY=short or long, SEED=n replays) into docs/reliability.md
	go run ./internal/crashtest/cmd/reliability -size '$(RELIABILITY)' -seed '$(SEED)' $(RELIABILITY_FLAGS)

# An input that reaches something new is made smaller by at most a hundred tries: by itself the tool takes up to a
# minute for each, in which nothing is searched.
# The targets are found in the text of the packages, so that only what FUZZ chooses is built.
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s); FUZZ=regexp chooses by "package target", FUZZPARALLEL=n sets the processes
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	  go list -f '{{$$p := .ImportPath}}{{$$d := .Dir}}{{range .TestGoFiles}}{{$$p}} {{$$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$p}} {{$$d}}/{{.}}{{"\n"}}{{end}}' $(PACKAGES) | \
	  while read -r package file; do sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing.F).*|$$package \1|p" "$$file"; done | \
	  grep -E -- '$(FUZZ)' >"$$work/targets" || { echo "no fuzz target matches FUZZ='$(FUZZ)'"; exit 1; }; \
	  total=$$(grep -c . "$$work/targets"); number=0; : >"$$work/failed"; \
	  while read -r package target; do \
	    number=$$((number + 1)); echo "== $$number of $$total: $$package $$target, $(FUZZTIME)"; \
	    if go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' -fuzzminimizetime 100x -timeout 0 $(if $(FUZZPARALLEL),-parallel $(FUZZPARALLEL)) "$$package" >"$$work/log" 2>&1 </dev/null; \
	    then grep 'fuzz: elapsed' "$$work/log" | tail -1 | sed 's/^fuzz: elapsed/   ok/'; \
	    else echo "$$package $$target" >>"$$work/failed"; grep -v 'fuzz: elapsed' "$$work/log" | sed 's/^/   /'; fi; \
	  done <"$$work/targets"; \
	  echo "== $$total targets, $$(grep -c . "$$work/failed" || true) failed"; sed 's/^/   /' "$$work/failed"; test ! -s "$$work/failed"

.PHONY: bench
bench: ## measure the real program against the bare limits (BENCH_SIZE=smoke, standard or growth)
	go run ./internal/bench/cmd/bench -size $(BENCH_SIZE) $(BENCH_FLAGS)

.PHONY: bench-document
bench-document: ## the same at standard size, into docs/performance.md
	$(MAKE) bench BENCH_SIZE=standard BENCH_FLAGS='-out docs/performance.md'

.PHONY: bench-parts
bench-parts: ## run the benchmarks of the packages for BENCHTIME (1s)
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 60m $(PACKAGES)

.PHONY: lint
lint: fmt-check $(LINT) ## check format, go vet and golangci-lint
	go vet $(PACKAGES)
	$(LINT) run $(PACKAGES)

# Kept under its version's name, so that a new pin installs again.
$(LINT):
	@mkdir -p .bin
	GOBIN='$(CURDIR)/.bin' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv .bin/golangci-lint $@

.PHONY: fmt-check
fmt-check: ## fail where gofmt would change a file
	@changed=$$(gofmt -l $(SOURCES)); if [ -n "$$changed" ]; then \
	  echo "gofmt -w would change:"; echo "$$changed"; exit 1; fi

.PHONY: generate
generate: ## write the generated files again
	go generate $(PACKAGES)

.PHONY: generate-check
generate-check: ## fail where a generated file is not what its generator writes
	go run ./deploy/quickstart/generate -check
	go test -count=1 -run 'IsCurrent|AreCurrent' ./config ./docs ./pipeline/risk

.PHONY: clean
clean: ## remove what was built and what the quick start left
	rm -rf bin coverage.out deploy/quickstart/data deploy/quickstart/tickets
