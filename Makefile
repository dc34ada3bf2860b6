# What developers and CI run. `make` prints what there is.

# golangci-lint, workflowcheck and govulncheck are built from tools/go.mod,
# so everyone has the same versions.
TOOL     := go tool -modfile=tools/go.mod
FUZZTIME ?= 60s
FUZZ     ?= .

.PHONY: help
help: ## Print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

STEPS := fmt mod vet lint workflowcheck test devserver

.PHONY: check
check: $(STEPS) ## Everything that CI runs

.PHONY: steps
steps:
	@echo $(STEPS)

.PHONY: fmt
fmt: ## Fail if gofmt would change a file
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

.PHONY: mod
mod: ## Fail if go mod tidy would change a go.mod or go.sum
	go mod tidy -diff
	cd devserver && go mod tidy -diff
	cd tools && go mod tidy -diff
	cd tests/s3server && go mod tidy -diff

.PHONY: vet
vet: ## Run go vet
	go vet ./...
	go vet -tags=flawed ./tests/conformance/flawed
	cd devserver && go vet ./...

.PHONY: lint
lint: ## Run golangci-lint (.golangci.yml)
	$(TOOL) golangci-lint run ./...
	cd devserver && go tool -modfile=../tools/go.mod golangci-lint run --config ../.golangci.yml ./...

.PHONY: workflowcheck
workflowcheck: ## Look for what gives a Workflow another answer in a replay
	$(TOOL) workflowcheck ./workflows/... ./internal/worker/... ./internal/send/delivery/... ./internal/reconcile/sweep/...

# `go test ./...` of the README, with the race detector. A few tests cannot run
# with it (//go:build !race): their packages run once more without it. The tests
# build the dev server, which takes minutes the first time.
TESTS := go test -shuffle=on -timeout=30m
FILES := go list -f '{{.ImportPath}} {{.TestGoFiles}} {{.XTestGoFiles}}'
.PHONY: test
test: ## Run all tests with the race detector, in random order
	$(TESTS) -race ./...
	$(TESTS) $$({ $(FILES) ./...; $(FILES) -race ./...; } | sort | uniq -u | cut -d ' ' -f 1 | sort -u)

.PHONY: devserver
devserver: ## Run the dev server's own tests
	cd devserver && go test -timeout=30m ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities (asks vuln.go.dev, so it is not in check)
	$(TOOL) govulncheck ./...
	cd devserver && go tool -modfile=../tools/go.mod govulncheck ./...

# `make fuzz FUZZ=./ingest` runs those of one folder. The first run compiles the
# dependencies anew, SQLite among them, to see which code an input reaches: 15
# minutes and more. To make an input smaller may take Go a minute, which counts
# as fuzzing; it is allowed 20 tries instead.
.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (60s)
	@failed=; \
	for target in $$(grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' $(FUZZ) | sed 's|/[^/]*:func |:|' | sort); do \
		folder=$${target%:*} name=$${target#*:}; \
		echo "=== $$folder $$name"; \
		go test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=20x $$folder || failed="$$failed $$name"; \
	done; \
	if [ -n "$$failed" ]; then \
		echo "failed:$$failed; the inputs that no commit has yet:"; \
		git ls-files --others '*/testdata/fuzz/*'; \
		exit 1; \
	fi

.PHONY: bench
bench: ## Run the benchmarks
	go test -run='^$$' -bench=. -benchmem ./...

# Go records the commit as the version that `hookyard --version` prints.
.PHONY: build
build: ## Build bin/hookyard, a static program
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags='-s -w' -o bin/hookyard ./cmd/hookyard

.PHONY: clean
clean: ## Remove what build made
	rm -rf bin
