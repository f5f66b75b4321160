# Needs Go, git and make, and nginx and chromium for the tests. Servers come from .ci/servers, everything else from Go modules.

SERVERS := prometheus promtool prometheus-2.53 alertmanager amtool alertmanager-0.27

# Without cgo all packages are compiled once for the servers, the binary and the linters alike.
GO         := CGO_ENABLED=0 go
STATICCHECK := $(GO) tool -modfile=.ci/tools/go.mod staticcheck

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
# The commit's date, not today's: the same commit gives the same bytes.
DATE     ?= $(shell git log -1 --format=%cd --date=format:%Y%m%d-%H:%M:%S 2>/dev/null)
STAMP    := github.com/prometheus/common/version
LDFLAGS  := -s -w -X $(STAMP).Version=$(VERSION) -X $(STAMP).Revision=$(REVISION) \
            -X $(STAMP).Branch=$(BRANCH) -X $(STAMP).BuildDate=$(DATE)
IMAGE    ?= ghcr.io/stoker-project/stoker:latest

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test unit lint bench build servers docker clean

help: ## List what make can do
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: servers build ## Show the whole story on this machine, in about two minutes; Ctrl-C ends it
	@CGO_ENABLED=0 .ci/gobuild demo bin/demo ./examples/demo
	@bin/demo --stoker=bin/stoker

test: servers lint unit ## Everything: linters, unit tests and scripts with the race detector, real servers

# The one place where cgo is needed: the race detector.
unit: ## All tests with the race detector; needs "make servers" once
	@echo "testing with the race detector: the first time it compiles everything once more, roughly 10 min"
	CGO_ENABLED=1 go test -race -timeout=20m ./...

lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(find . -name "*.go" -not -path "./.*")) && \
	  test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted" >&2; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

bench: servers ## Measure speed and size, as ratios to a floor of the same run; roughly 15 min
	$(GO) test -run='^$$' -bench=. -benchmem -timeout=30m ./...

build: ## Build bin/stoker
	@CGO_ENABLED=0 .ci/gobuild stoker bin/stoker -ldflags '$(LDFLAGS)' ./cmd/stoker

servers: $(SERVERS:%=.servers/%) .servers/kustomize ## Build real Prometheus and Alertmanager into .servers; slow only once

docker: build ## Build the image from bin/stoker, without pulling anything
	docker build --target prebuilt --tag $(IMAGE) .

clean: ## Remove what was built, not Go's cache
	rm -rf bin .servers

.servers/prometheus: FROM = prometheus-3.15
.servers/promtool: FROM = prometheus-3.15
.servers/prometheus-2.53: FROM = prometheus-2.53
.servers/alertmanager: FROM = alertmanager-0.34
.servers/amtool: FROM = alertmanager-0.34
.servers/alertmanager-0.27: FROM = alertmanager-0.27

.servers/prometheus .servers/promtool: $(wildcard .ci/servers/prometheus-3.15/*)
.servers/prometheus-2.53: $(wildcard .ci/servers/prometheus-2.53/*)
.servers/alertmanager .servers/amtool: $(wildcard .ci/servers/alertmanager-0.34/*)
.servers/alertmanager-0.27: $(wildcard .ci/servers/alertmanager-0.27/*)

# What kubectl has inside, for the example for Kubernetes.
.servers/kustomize: .ci/tools/go.mod .ci/tools/go.sum
	@CGO_ENABLED=0 .ci/gobuild kustomize $@ -modfile=.ci/tools/go.mod sigs.k8s.io/kustomize/kustomize/v5

# A program's command has its name without the version.
$(SERVERS:%=.servers/%):
	@.ci/servers/build $(FROM) $(firstword $(subst -, ,$(notdir $@))) $@
