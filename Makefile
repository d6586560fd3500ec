# make help lists the targets that have a comment after ##, under the headings after ##@.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

BIN := $(CURDIR)/bin
# A folder of rendered charts. It is not part of the repository, and tests that read it are skipped if it does not exist.
export MOORING_CORPUS ?= $(abspath ../shared/corpus)
# Small inputs that mooring check once judged wrongly. They are not part of the repository either.
export MOORING_CASES ?= $(abspath ../shared/cases/check)
# The Kubernetes version that the tests run on: make test K8S=1.34. Empty means the newest version with a build recipe.
export MOORING_TEST_K8S ?= $(K8S)
# Every Go module with code of this project. The excluded modules only pin tools, or build programs of other projects.
MODULES := $(patsubst %/,%,$(dir $(shell git ls-files --cached --others --exclude-standard -- '*go.mod' \
	':!.ci/tools/*' ':!test/controlplane/versions/*' ':!test/compat/programs/*' ':!test/bench/kubescore/*')))

##@ Building

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

VERSION ?= $(shell git describe --tags --always --dirty)

.PHONY: build
build: ## Build bin/mooring.
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -X main.version=$(VERSION)' -o $(BIN)/mooring ./cmd/mooring

# A separate module pins the tools, so that the main go.mod does not list development dependencies.
TOOLS := $(BIN)/controller-gen $(BIN)/cyclonedx-gomod $(BIN)/govulncheck $(BIN)/staticcheck

$(TOOLS) &: .ci/tools/go.mod .ci/tools/go.sum
	GOBIN=$(BIN) go -C .ci/tools install tool
	@touch $(TOOLS)

IMAGE ?= ghcr.io/mooring-dev/mooring:$(VERSION)
# Empty means the Go image in the Dockerfile.
GO_IMAGE ?=

.PHONY: image
image: ## Build the image with buildah, without a container engine; IMAGE=… sets its name, GO_IMAGE=… the Go image to build with.
	buildah --storage-driver=vfs bud --isolation=chroot --quiet --build-arg=VERSION=$(VERSION) $(GO_IMAGE:%=--build-arg=GO_IMAGE=%) --tag=$(IMAGE) .

# The image that the chart uses by default.
CHART_IMAGE := ghcr.io/mooring-dev/mooring:$(shell sed -n 's/^appVersion: //p' deploy/chart/Chart.yaml)
# The container engine (docker or podman), and the kind of cluster to load the image into: kind, minikube or k3d.
ENGINE ?= docker
CLUSTER ?= kind
CLUSTER_NAME ?=
# An archive, because the tools find an image by its name only in Docker.
ARCHIVE := $(BIN)/image.tar
load-kind = kind load image-archive $(ARCHIVE) $(CLUSTER_NAME:%=--name=%)
load-minikube = minikube image load $(ARCHIVE) $(CLUSTER_NAME:%=--profile=%)
load-k3d = k3d image import $(ARCHIVE) $(CLUSTER_NAME:%=--cluster=%)

.PHONY: load
load: ## Build the chart's default image, and load it into a local cluster: CLUSTER=kind, minikube or k3d.
	$(if $(load-$(CLUSTER)),,$(error unknown CLUSTER=$(CLUSTER). Fix: set CLUSTER to kind, minikube or k3d))
	$(ENGINE) build --build-arg=VERSION=$(VERSION) --tag=$(CHART_IMAGE) .
	mkdir -p $(BIN)
	$(ENGINE) save --output=$(ARCHIVE) $(CHART_IMAGE)
	$(load-$(CLUSTER))

.PHONY: test-image
test-image: image ## Check that the image has only the binary, starts, and does not run as root.
	.ci/test-image $(IMAGE)

.PHONY: sbom
sbom: build $(BIN)/cyclonedx-gomod ## Write the binary's bill of materials (CycloneDX) to bin/mooring.cdx.json.
	$(BIN)/cyclonedx-gomod bin -json -licenses=false -version=$(VERSION) -output $(BIN)/mooring.cdx.json $(BIN)/mooring
	@echo "$$(grep -c '"purl"' $(BIN)/mooring.cdx.json) components in bin/mooring.cdx.json"

# Builds what a release publishes, without publishing it. The image, the signatures and the provenance need a container engine and the
# release's identity: see .goreleaser.yaml and .github/workflows/release.yaml.
RELEASE := $(BIN)/release
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: release-dry-run
release-dry-run: $(BIN)/cyclonedx-gomod ## Build a release's binaries, bills of materials, chart and checksums in bin/release, without publishing them.
	rm -rf $(RELEASE) && mkdir -p $(RELEASE)
	@for platform in $(PLATFORMS); do \
		file=$(RELEASE)/mooring_$${platform/\//_}; case $$platform in windows/*) file+=.exe ;; esac; echo "build $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -trimpath -ldflags='-s -X main.version=$(VERSION)' -o $$file ./cmd/mooring; \
		$(BIN)/cyclonedx-gomod bin -json -licenses=false -version=$(VERSION) -output $$file.cdx.json $$file; \
	done
	tar --sort=name --owner=0 --group=0 --mtime=@0 -C deploy --transform='s,^chart,mooring,' -czf $(RELEASE)/mooring-chart.tgz chart
	cp deploy/install.yaml $(RELEASE)
	cd $(RELEASE) && sha256sum * > checksums.txt && sha256sum --check --quiet checksums.txt && ls -s --human-readable

##@ Documentation

.PHONY: recording
recording: controlplane ## Run the demo, and record it for README.md.
	fresh=$$(mktemp); trap 'rm -f "$$fresh"' EXIT; \
	go -C test run ./demo > $$fresh; \
	go -C test run ./demo/recording -steps=8,18,21,22,35,38 < $$fresh > docs/images/demo.svg

.PHONY: walk
walk: controlplane ## Run the commands in README.md as a new user would, and write docs/walk.md with their output and time.
	go -C test test -count=1 ./readme -walk=$(CURDIR)/docs/walk.md

.PHONY: site
site: ## Build the documentation site in bin/site/.vitepress/dist; needs npm. Broken links fail the build.
	mkdir -p $(BIN)/site
	find $(BIN)/site -mindepth 1 -maxdepth 1 ! -name node_modules -exec rm -r {} +
	cp -r docs/. site/. $(BIN)/site
	cd $(BIN)/site && npm ci --no-audit --no-fund && npm run build

##@ Generated files

# $(call custom-resource,GO-DIRECTORY,CRD-DIRECTORY) generates the deep copies and the CRD from the types of StatefulPolicy.
custom-resource = $(BIN)/controller-gen paths=./policies/v1alpha1 object output:object:dir=$(1) crd output:crd:dir=$(2)

.PHONY: generate
generate: $(BIN)/controller-gen ## Write all generated files: deep copies, the CRD, install.yaml, the rules' pages and profiles, and the golden files of the tests.
	$(call custom-resource,policies/v1alpha1,deploy/chart/crds)
	cp deploy/chart/crds/mooring.dev_statefulpolicies.yaml policies/crd
	go run ./policies/ruledoc/generate
	$(MAKE) --no-print-directory render
	go test ./webhooks -run '^(TestMessages|TestReviews|TestAllocations)$$' -update
	go test ./report -run '^TestGolden$$' -update

# $(call native-fallback,FILE) writes the profiles as ValidatingAdmissionPolicies, for the chart.
native-fallback = go run ./cmd/mooring export --vap --profile=baseline,restricted > $(1)

.PHONY: new-rule
new-rule: ## Create the skeleton of a rule: NAME=liveness-probe, and READS=StatefulSet:spec.… for a field that no other rule reads.
	@go run ./policies/ruledoc/newrule -name='$(NAME)' -reads='$(READS)'

.PHONY: try-new-rule
try-new-rule: ## Add a rule in a copy of the repository, and check that the tests and mooring check use it.
	@.ci/new-rule

.PHONY: render
render: ## Generate the chart's native fallback from the profiles, and deploy/install.yaml from the chart.
	$(call native-fallback,deploy/chart/native-fallback.yaml)
	go -C deploy run ./cmd/render

.PHONY: verify
verify: $(BIN)/controller-gen ## Fail if a generated file is stale.
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call custom-resource,$$fresh,$$fresh); \
	go -C deploy run ./cmd/render -o $$fresh/install.yaml; \
	$(call native-fallback,$$fresh/native-fallback.yaml); \
	go run ./policies/ruledoc/generate -o $$fresh; \
	stale() { echo "$$1 is stale. Fix: run make generate"; exit 1; }; \
	for file in policies/v1alpha1/zz_generated.deepcopy.go deploy/chart/crds/mooring.dev_statefulpolicies.yaml deploy/chart/native-fallback.yaml deploy/install.yaml; do \
		diff -u $$file $$fresh/$${file##*/} || stale $$file; \
	done; \
	cmp deploy/chart/crds/mooring.dev_statefulpolicies.yaml policies/crd/mooring.dev_statefulpolicies.yaml || stale policies/crd; \
	diff -ru docs/rules $$fresh/docs/rules || stale docs/rules; \
	for file in docs/schemas/policy-test.json policies/ruledoc/rules.json policies/profiles/baseline.yaml policies/profiles/restricted.yaml README.md docs/operating/owners.md deploy/chart/generated.yaml deploy/audit-policy.yaml; do \
		diff -u $$file $$fresh/$$file || stale $$file; \
	done

##@ Checking

.PHONY: lint
lint: verify $(BIN)/staticcheck ## Run gofmt, go vet and staticcheck in every module, and check that generated files are up to date.
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 --no-run-if-empty gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w $$unformatted"; exit 1; fi
	@for module in $(MODULES); do echo "lint $$module"; (cd $$module && go vet ./... && $(BIN)/staticcheck ./...); done

# govulncheck exits with 3 if it finds a vulnerability. Any other error means that it could not check.
.PHONY: vuln
vuln: $(BIN)/govulncheck ## Check the code that the binary calls for known vulnerabilities; needs the Go vulnerability database.
	@$(BIN)/govulncheck ./... || { code=$$?; [ $$code != 3 ] || exit 3; echo "not checked: cannot reach the Go vulnerability database"; }

.PHONY: test-unit
test-unit: ## Run the unit tests under the race detector.
	go test -race ./...
	@# Without the race detector, because it allocates memory too.
	go test ./webhooks -run '^TestAllocations$$'
	go -C deploy test ./...

# Only a part of the suite. To run everything on an older version, use make test K8S=1.34.
.PHONY: test-older
test-older: ## Run the end-to-end and security tests on Kubernetes 1.34; the first run takes minutes longer to build it.
	MOORING_TEST_K8S=v1.34 go -C test test -count=1 -p 1 -timeout 30m ./e2e ./security

# One package at a time: each starts its own control planes, and two at once are too slow on a machine with two cores.
.PHONY: test-cluster
test-cluster: controlplane ## Run the tests on a real control plane.
	go -C test/controlplane test -count=1 ./...
	go -C test test -count=1 -p 1 -timeout 30m ./alerts ./e2e ./audit ./helm ./live ./readme ./replay ./report ./security

.PHONY: test-long
test-long: controlplane ## Run the accident and fault tests; takes about twenty minutes.
	go -C test test -count=1 -p 1 -timeout 60m ./accidents ./faults

.PHONY: test
test: test-unit test-cluster ## Run every test.

# The parts of the compatibility suite. Each runs on its own control plane. The page is written only if all parts ran with the same
# version of Mooring.
PART ?= kubectl helm gitops movers operators e2e

.PHONY: compat
compat: controlplane ## Run programs of other projects under every profile, and write docs/measurements/compatibility.md; PART=helm runs one part.
	@for part in $(PART); do echo "compat $$part"; go -C test/compat test -count=1 -timeout 60m -part=$$part -results=$(BIN)/compat || exit 1; done
	@go -C test/compat test -count=1 -results=$(BIN)/compat -table=$(CURDIR)/docs/measurements/compatibility.md

.PHONY: compat-quick
compat-quick: controlplane ## Run a selection of the compat cases, in less than ten minutes.
	go -C test/compat test -count=1 -timeout 60m -quick

.PHONY: record-operators
record-operators: controlplane ## Record the requests of operators, which compat-quick replays.
	go -C test/compat test -count=1 -timeout 60m -run '^TestRecord$$' -part=operators -record=testdata/operators

.PHONY: corpus
corpus: ## Count the findings of each rule in each chart of MOORING_CORPUS, and check that each finding has a line.
	@go test ./manifests -count=1 -v -run '^TestCorpus'

.PHONY: shapes
shapes: ## Run mooring check on repositories of many shapes, and write docs/measurements/shapes.md.
	go test ./cmd/mooring -count=1 -run "^TestShapes$$" -shapes

.PHONY: bench-check
bench-check: build ## Measure mooring check on generated manifests: wall time and peak memory of the whole process.
	@go -C test run ./bench/check -mooring $(BIN)/mooring

# A separate module pins it, as for the tools.
$(BIN)/kube-score: test/bench/kubescore/go.mod
	GOBIN=$(BIN) go -C test/bench/kubescore install tool

.PHONY: bench-beside
bench-beside: build $(BIN)/kube-score ## Compare mooring check with kube-score on the same files, and print the table as Markdown.
	@go -C test run ./bench/check -mooring $(BIN)/mooring -beside $(BIN)/kube-score; uptime

.PHONY: bench
bench: controlplane ## Compare Mooring with a no-op webhook, and print the tables as Markdown; BENCH=… sets flags.
	@go -C test run ./bench $(BENCH)

.PHONY: performance
performance: controlplane ## Run make bench, and write its tables to docs/measurements/performance.md.
	@fresh=$$(mktemp); trap 'rm -f "$$fresh"' EXIT; \
	sed '/^<!-- make performance/q' docs/measurements/performance.md > $$fresh; \
	go -C test run ./bench $(BENCH) >> $$fresh; \
	cat $$fresh > docs/measurements/performance.md

.PHONY: growth
growth: controlplane ## Measure the cost of requests in namespaces with 10 to 5,000 StatefulSets, and write docs/measurements/growth.md.
	@fresh=$$(mktemp); trap 'rm -f "$$fresh"' EXIT; \
	sed '/^<!-- make growth/q' docs/measurements/growth.md > $$fresh; \
	go -C test run ./bench -parts growth -rounds 3 $(BENCH) >> $$fresh; \
	cat $$fresh > docs/measurements/growth.md

.PHONY: audit-fleet
audit-fleet: controlplane ## Compare mooring audit with a plain listing, on a fleet of 2,000 StatefulSets.
	go -C test run ./fleet

##@ When things break

# How long to fuzz each target. -fuzzminimizetime is short, because minimizing a single input would use up this time.
FUZZTIME ?= 1m
SOAK ?= 15m

.PHONY: faults
faults: controlplane ## Break one thing after another under load, and write the table in docs/measurements/faults.md.
	go -C test test -count=1 -timeout 30m ./faults -v -run '^(TestFaults|TestCertManager)$$' -calm=5s -table=$(CURDIR)/docs/measurements/faults.md

.PHONY: soak
soak: controlplane ## Break things repeatedly for SOAK=15m, and print a replica's memory, goroutines and file descriptors.
	go -C test test -count=1 -timeout 60m ./faults -v -run '^TestSoak$$' -soak=$(SOAK)

# Go 1.26 can report the end of the fuzzing time as a failure (go.dev/issue/75804). A real failure names the failing input.
.PHONY: fuzz
fuzz: ## Fuzz every decoder for FUZZTIME=1m each.
	@out=$$(mktemp); trap 'rm -f "$$out"' EXIT; \
	git grep --untracked -oE '^func Fuzz[A-Za-z]+' -- '*_test.go' | sed 's|/[^/]*:func | |' | while read -r package target; do \
		echo "fuzz $$package $$target"; \
		go test ./$$package -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 2 2>&1 | tee "$$out" || \
			{ grep -qx ' *context deadline exceeded' "$$out" && ! grep -q 'Failing input' "$$out"; } || exit 1; \
	done

##@ A control plane on this machine

CONTROLPLANE := go -C test/controlplane run ./cmd/controlplane

.PHONY: demo
demo: ## Run the demo on a control plane; with KUBECONFIG=…, on your own cluster with Mooring.
	@go -C test run ./demo

.PHONY: accidents
accidents: ## Run every accident with and without Mooring, and write docs/measurements/accidents.md.
	@go -C test run ./accidents -o ../docs/measurements/accidents.md

# The scripts are not part of the repository. The header of each states the expected result. HELM3 and HELM4 are the paths of Helm.
.PHONY: live
live: controlplane ## Run the scripts in CASES=FOLDER on a cluster with Mooring, and write docs/measurements/live-cases.md.
	$(if $(CASES),,$(error CASES is not set. Fix: make live CASES=FOLDER))
	go -C test run ./live -o $(CURDIR)/docs/measurements/live-cases.md $(abspath $(CASES))

.PHONY: record
record: ## Record the AdmissionReviews in webhooks/testdata from a real API server.
	go -C test run ./record

.PHONY: controlplane
controlplane: ## Build the control plane's binaries in the user's cache; takes minutes the first time.
	@$(CONTROLPLANE) build

.PHONY: up
up: ## Start a control plane and print the line that sets KUBECONFIG: eval "$(make -s up)".
	@$(CONTROLPLANE) up

.PHONY: down
down: ## Stop the control plane that make up started.
	@$(CONTROLPLANE) down
