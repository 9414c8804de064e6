# Switchyard. "make help" lists what can be made.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN     := $(CURDIR)/.bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Libraries, and packages of our own, that no call waits for are compiled without inlining, which makes the binary a megabyte smaller.
OURS    := github.com/switchyard-ai/switchyard
COLD    := github.com/jackc github.com/andybalholm github.com/prometheus github.com/spf13 github.com/antlr4-go cel.dev go.opentelemetry.io go.yaml.in github.com/nats-io/jwt \
           github.com/adhocore text/template html/template encoding/gob encoding/xml encoding/asn1 crypto/x509 golang.org/x/text \
           github.com/goccy buf.build/gen $(OURS)/cmd $(OURS)/internal/app $(OURS)/gateway/console $(OURS)/services/models $(OURS)/services/training $(OURS)/services/identity $(OURS)/internal/registry $(OURS)/internal/engine/report \
           $(OURS)/services/review $(OURS)/services/events $(OURS)/services/decisions $(OURS)/services/monitoring github.com/grpc-ecosystem go.opentelemetry.io/proto encoding/json go.yaml.in net/http/httputil \
           math/big archive/tar runtime/pprof internal/profile github.com/twpayne google.golang.org/genproto google.golang.org/protobuf/reflect/protodesc google.golang.org/protobuf/types/descriptorpb \
           google.golang.org/protobuf/types/dynamicpb github.com/parquet-go/parquet-go/variant github.com/nats-io/nats-server/v2/conf $(OURS)/internal/engine/gate $(OURS)/internal/chart $(OURS)/internal/config
GCFLAGS := $(foreach path,$(COLD),'-gcflags=$(path)/...=-l')

# Tools that are not part of the module: installed once, by version, into .bin.
BUF_VERSION           := v1.59.0
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.1.4
VERSITYGW_VERSION     := v1.8.0
NATS_SERVER_VERSION    = $(shell go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)

BUF           := $(BIN)/buf-$(BUF_VERSION)
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
VERSITYGW     := $(BIN)/versitygw-$(VERSITYGW_VERSION)
NATS_SERVER    = $(BIN)/nats-server-$(NATS_SERVER_VERSION)

export CGO_ENABLED ?= 0

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: ## Build bin/switchyard, one static binary
	@mkdir -p bin
	go build -trimpath -ldflags '$(LDFLAGS)' $(GCFLAGS) -o bin/switchyard ./cmd/switchyard

.PHONY: run
run: build ## Start Switchyard on this machine, with starter models
	bin/switchyard serve --data-dir switchyard-data --dev-key-file switchyard-data/dev.key

.PHONY: demo
demo: build ## Play a day of a support team and a month of learning on real inquiries and report what came of it (needs the data set it_tickets)
	@go run ./test/demo $(ARGS)

.PHONY: test
test: test-deps lint check-generated test-race test-figures test-php conformance conformance-next test-engines-short ## Run every check that has to pass

.PHONY: test-deps
test-deps: ## Install what the tests need beside Go (a C compiler for the race detector, PHP)
	@script/test-deps

.PHONY: lint
lint: $(BUF) $(GOLANGCI_LINT) ## Check contracts and Go code
	$(BUF) lint
	$(BUF) format -d --exit-code
	@if git rev-parse -q --verify HEAD >/dev/null; then $(BUF) breaking --against '.git#branch=$(BREAKING_AGAINST)'; fi
	$(GOLANGCI_LINT) run
	$(GOLANGCI_LINT) fmt -d

# The contracts must stay compatible with what the main branch holds.
BREAKING_AGAINST ?= $(shell git rev-parse -q --verify main >/dev/null && echo main || git rev-parse --abbrev-ref HEAD)

.PHONY: generate
generate: $(BUF) ## Write gen/ anew from proto/
	go build -o $(BIN)/protoc-gen-php-switchyard ./cmd/protoc-gen-php-switchyard
	PATH="$(BIN):$$PATH" $(BUF) generate
	mkdir -p gen/descriptors
	$(BUF) build proto --exclude-imports --as-file-descriptor-set -o gen/descriptors/switchyard.binpb
	go run ./gen/pack gen/openapi/switchyard.swagger.json gen/descriptors/switchyard.binpb
	rm gen/descriptors/switchyard.binpb

.PHONY: check-generated
check-generated: generate ## Fail when gen/ is not what proto/ says
	@test -z "$$(git status --porcelain gen)" || { git status --short gen; echo "gen/ differs from what proto/ generates; run: make generate"; exit 1; }

.PHONY: test-race
test-race: ## Run the tests with the race detector, without the measurements
	script/test-race

.PHONY: engines
engines: $(VERSITYGW) ## Install the engines that tests run against: nats-server and an S3 server, into .bin
	@test -x $(NATS_SERVER) || { GOBIN=$(BIN) go install github.com/nats-io/nats-server/v2@$(NATS_SERVER_VERSION) && mv $(BIN)/nats-server $(NATS_SERVER); }

.PHONY: test-engines
test-engines: engines ## Run the suites of bus, database and lake against a NATS cluster, PostgreSQL and S3 (SHORT=1: without the services)
	SWITCHYARD_TEST_NATS_SERVER=$(NATS_SERVER) script/test-engines $(if $(SHORT),--short)

.PHONY: test-engines-short
test-engines-short:
	$(MAKE) test-engines SHORT=1

.PHONY: conformance
conformance: $(BUF) ## Run the public gRPC conformance suite against php/client
	@if command -v php >/dev/null; then script/conformance; else echo "php is not installed: the conformance suite is skipped"; fi

.PHONY: conformance-next
conformance-next: $(BUF) ## Run it with the PHP of the next Debian, whose libcurl has version 8
	@if php=$$(script/php-next); then PHP="$$php" script/conformance; elif [ $$? -eq 3 ]; then echo "conformance-next is skipped"; else exit 1; fi

.PHONY: test-figures
test-figures: ## Run the measurements that assert figures, and what trains for long, without the race detector
	go test -count=1 -timeout 20m ./internal/engine/... ./services/training/ ./test/...

.PHONY: test-php
test-php: build ## Run the tests of the PHP packages against the real server
	@script/test-php

.PHONY: bench
bench: build ## Measure every figure and print the table of docs/reference/performance.md
	script/bench

.PHONY: bench-php
bench-php: build $(BUF) ## Measure the figures of the PHP client and print their table
	@script/bench-php

.PHONY: fuzz
fuzz: ## Fuzz everything that parses, FUZZTIME each (default 20s)
	script/fuzz $(or $(FUZZTIME),20s)

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in the dependencies (needs the vulnerability database)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

.PHONY: clean
clean: ## Remove what was built; tools and data stay
	rm -rf bin

$(BUF):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	mv $(BIN)/buf $@

$(GOLANGCI_LINT):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

# Tests look for it under its plain name, since they do not know the version.
$(VERSITYGW):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	mv $(BIN)/versitygw $@
	ln -sf $(notdir $@) $(BIN)/versitygw
