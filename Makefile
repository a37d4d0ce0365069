# `make help` lists the targets. Everything that a target needs is built or installed by it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo v0.0.0-dev)
RUNNER_IMAGE ?= kubectl-kanister/runner:dev
MODULE       := github.com/kubectl-kanister/kubectl-kanister
LDFLAGS      := -s -w -X $(MODULE)/cmd/kubectl-kanister/internal/release.Version=$(VERSION) \
                -X $(MODULE)/cmd/kubectl-kanister/internal/release.RunnerImage=$(RUNNER_IMAGE)
BUILD        := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
MODULES      := . hack docs/examples/custom-runner
export RUNNER_IMAGE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: demo
demo: ## Fresh machine to a restored PostgreSQL: cluster, app, backup, destruction, restore
	hack/demo/run.sh

.PHONY: build
build: bin/kubectl-kanister ## Build the plugin into bin/

.PHONY: bin/kubectl-kanister
bin/kubectl-kanister:
	$(BUILD) -o $@ ./cmd/kubectl-kanister
	@ln -sf kubectl-kanister bin/kubectl_complete-kanister

.PHONY: dist
dist: ## Build the plugin's archives for all platforms into dist/, as krew.yaml names them
	LDFLAGS='$(LDFLAGS)' hack/dist.sh

.PHONY: images
images: ## Build the runner, demo and test images as tar files
	cd hack && go run ./image all

##@ Test

.PHONY: test
test: lint verify unit e2e ## Everything: lint, generated files, unit tests with the race detector, e2e on the cluster

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint on every module
	hack/verify-gofmt.sh
	for m in $(MODULES); do (cd $$m && go vet -tags e2e ./...); done
	hack/lint.sh $(MODULES)

.PHONY: verify
verify: ## Generated files match their sources
	hack/verify-generated.sh

.PHONY: update
update: ## Rewrite generated files and golden files
	hack/update-generated.sh

.PHONY: unit
unit: ## Unit and golden tests with the race detector
	for m in $(MODULES); do (cd $$m && go test -race -timeout 20m ./...); done

.PHONY: test-compat
test-compat: cluster-up ## The part of test about upstream's blueprints: load, validate, plan, kando, ActionSets, templates; real databases
	go test -race -timeout 20m ./runner/blueprint/... ./runner/kando/... ./runner/kanx/... ./runner/output/... ./runner/params/... ./runner/restic/... \
		./runner/template/... ./runner/toolimage/... ./cmd/kubectl-kanister/internal/plan/... ./cmd/kubectl-kanister/internal/source/... \
		./cmd/kubectl-kanister/internal/verb/blueprint/... ./cmd/kubectl-kanister/internal/verb/profile/...
	hack/e2e.sh -run 'TestCompat|TestKando|TestAccessSecrets'

.PHONY: test-functions
test-functions: cluster-up ## The part of test about the functions: each one's conformance, and docs/function-tests.md on the cluster
	go test -race -timeout 20m ./functions/... ./runner/kube/... ./runner/location/... ./runner/kopia/...
	cd hack && go test -race -timeout 20m ./aws/...
	hack/e2e.sh -run 'TestFunction|TestLocation|TestKubeOps|TestMultiContainerRun|TestWait|TestEBS|TestRDS|TestCredentials|TestCustom|TestVolumes|TestRun|TestCompatOldBackups'

.PHONY: e2e
e2e: cluster-up ## The built binaries against the real cluster
	hack/e2e.sh

.PHONY: bench
bench: cluster-up ## The figures of docs/performance.md, measured here
	hack/bench.sh

##@ Test bed

.PHONY: cluster-up
cluster-up: ## Start the test cluster if it is not there
	cd hack && go run ./cluster up

.PHONY: cluster-down
cluster-down: ## Stop the test cluster (add WIPE=1 to delete its state)
	cd hack && go run ./cluster down $(if $(WIPE),--wipe)
