# `make help` lists what there is. Tools are pinned in e2e/tools and made into
# .cache by the target that needs them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SETUP := e2e/setup/tools
BIN := $(CURDIR)/.cache/bin

DEMO_TOOLS := bazel bazel-remote registry
TEST_TOOLS := $(DEMO_TOOLS) golangci-lint docker-registry postgresql buf buildifier containerd debian-base umoci bzip2 lz4 python3 xz zip zstd

# Packages whose tests start servers and Bazel. Bazel needs a core while it starts and
# waits for most of the rest: four tests at a time keep two cores busy, in 4 GiB.
E2E := ./e2e/...
E2E_TEST = go test -json -timeout 60m -p 1 -parallel 4 $(GOTEST) $(E2E) | $(TIMES)
UNIT = $$(go list ./... | grep -v '/e2e')

# Where the store's tests find PostgreSQL's programs.
PG_BIN = $$(dirname $$(readlink -f $(BIN)/initdb))

# Flags for `go test`, as in `make test-unit GOTEST='-race -count=1'`.
GOTEST ?=

# Prints what `go test` prints, and what each test took.
TIMES = go run ./e2e/times $(filter -v,$(GOTEST))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## build two images with Bazel and watch them arrive in a registry
	@$(SETUP) $(DEMO_TOOLS)
	@go run ./e2e/demo

.PHONY: test
test: ## everything that a change must pass: lint, unit and end-to-end tests
	@$(SETUP) $(TEST_TOOLS)
	@$(MAKE) lint
	@$(MAKE) test-unit
	@$(MAKE) race
	$(E2E_TEST)

.PHONY: test-unit
test-unit: ## the tests without Bazel
	@$(SETUP) postgresql
	DRAYAGE_PG_BIN=$(PG_BIN) go test -json -timeout 15m $(GOTEST) $(UNIT) | $(TIMES)

.PHONY: test-quick
test-quick: ## the unit tests that take a minute together; it lists those that it leaves out
	go test -json -vet=off -short -timeout 5m $(GOTEST) $(UNIT) | $(TIMES)

# Two images that share a layer, a thousand times. The race detector needs a C
# compiler.
.PHONY: race
race: ## the haul's shared layers under the race detector
	@if command -v cc >/dev/null; then go test -race -timeout 10m -run AThousandTimes ./internal/haul; \
	else echo "race: no C compiler, so no race detector: install gcc to have it"; fi

.PHONY: e2e
e2e: ## the end-to-end tests alone: real Bazel, cache and registries
	@$(SETUP) $(TEST_TOOLS)
	$(E2E_TEST)

.PHONY: soak
soak: ## kill the daemon, the store's owner, and PostgreSQL under two daemons, a hundred times; push through a registry that fails
	@$(SETUP) $(TEST_TOOLS)
	DRAYAGE_PG_BIN=$(PG_BIN) go test -timeout 60m -run Kill ./internal/store -kills 100
	go test -timeout 120m -run TestKills ./e2e -v -kills 100
	go test -timeout 120m -run TestSoak ./e2e -v -soak 300
	go test -timeout 60m -run TestWhatTheCache ./e2e -v -exhaustive

# How long each fuzzer runs, and those to run: `make fuzz FUZZTIME=5m FUZZ=./bes/...`.
FUZZTIME ?= 10s
FUZZ ?= ./...

.PHONY: fuzz
fuzz: ## each decoder of what others send, for FUZZTIME (10s); what it finds is kept in testdata/fuzz
	@e2e/setup/fuzz "$(FUZZTIME)" $(FUZZ)

.PHONY: lint
lint: ## golangci-lint, imports and exported names, and buildifier over the Starlark files
	@$(SETUP) golangci-lint buildifier
	$(BIN)/golangci-lint run
	go test ./internal/architecture
	@$(MAKE) starlark

.PHONY: starlark
starlark:
	@e2e/setup/starlark check

.PHONY: fmt
fmt: ## format Go and Starlark
	@$(SETUP) golangci-lint buildifier
	$(BIN)/golangci-lint fmt
	@e2e/setup/starlark fix

.PHONY: generate
generate: ## write the generated Go, and the reference of the rules, again
	@$(SETUP) buf bazel
	cd proto && $(BIN)/buf lint && $(BIN)/buf generate
	go run ./e2e/rulesdoc/generate

.PHONY: bench
bench: bench-relay bench-haul bench-store bench-layer ## all benches, one after another

.PHONY: bench-relay
bench-relay: ## the relay: events a second, CPU, latency, against other proxies
	@$(SETUP) nginx
	go run ./bes/bench -nginx $(BIN)/nginx

.PHONY: bench-haul
bench-haul: ## the haul: images a second and requests, against other pushers
	@$(SETUP) bazel-remote registry
	go run ./internal/haul/bench -bazel-remote $(BIN)/bazel-remote -registry $(BIN)/registry

.PHONY: bench-store
bench-store: ## the store: enqueue latency, jobs a second, queries, on both databases
	@$(SETUP) postgresql
	go run ./internal/store/bench -postgres $(PG_BIN)

.PHONY: bench-layer
bench-layer: ## image layers: MB/s against tar and a compressor
	@$(SETUP) pigz zstd
	PATH="$(BIN):$$PATH" go run ./internal/layer/bench

.PHONY: changelog
changelog: ## gather the fragments of docs/changes into CHANGELOG.md as a release: VERSION=0.2.0
	go run ./deploy/changelog -version "$(VERSION)"

.PHONY: release
release: ## the tool for each platform, the lock with its hashes, and the module's archive, into dist
	go run ./deploy/release -out dist

.PHONY: tools
tools: ## what demo and test need, made into .cache
	@$(SETUP) $(TEST_TOOLS)

.PHONY: clean
clean: ## remove what was built, and keep what was fetched
	rm -rf .cache/bin .cache/stamps .cache/bazel .cache/docker-registry .cache/e2e
