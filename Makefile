# check: everything that needs no test to run, staticcheck included. test: every test. fidelity: verdicts on real modules next to go test's, here and on a
# host without Go. splitting: modules that are in trouble when they are split, next to go test, in all modes, several times.
# bench: speed next to the peers, with the limits that this project holds itself to.

GO ?= go
PLATFORMS = linux/amd64 linux/arm64 darwin/arm64 windows/amd64

.PHONY: check test self fidelity splitting floods chaos lies bench fuzz release release-check clean

check:
	@unformatted=$$(git ls-files '*.go' | grep -v /testdata/ | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt wants to change:"; echo "$$unformatted"; exit 1; fi
	$(GO) mod verify
	$(GO) mod tidy -diff
	$(GO) tool staticcheck ./...
	@set -e; for p in $(PLATFORMS); do \
		echo "GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./..."; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./...; \
	done

test:
	GO=$(GO) sh .ci/test.sh

# self runs this project's own tests through xdist.
self:
	$(GO) run ./cmd/xdist --tx '2*popen' ./...

fidelity:
	$(GO) run ./integration/fidelity
	@if [ "$$(uname)" = Linux ] && [ "$$(id -u)" = 0 ] && [ -x /usr/sbin/sshd ]; then \
		echo "$(GO) run ./integration/fidelity -ssh"; $(GO) run ./integration/fidelity -ssh; \
	else echo "skipped: fidelity over ssh, which needs root on Linux and openssh-server"; fi

# splitting takes more than an hour on two cores; SPLITTING='-splitting.times=1' is quicker.
splitting:
	$(GO) test ./integration -run '^TestSplitting(OnTerminal)?$$' -count=1 -v -timeout=6h -splitting.full $(SPLITTING)

# floods has hostile agents, two and eight of them, report without end to a real controller. It takes ten minutes on two cores.
floods:
	$(GO) test ./integration -run '^TestFloods$$' -count=1 -v -timeout=2h -floods.full

# chaos strikes runs by popen, ssh and listen, by seed: KILL, STOP, TERM and INT for agents, tests, the build, the controller and sshd's sessions,
# and in every fifth round a connection that freezes. It takes twenty minutes on two cores. CHAOS='-chaos.seed=41 -chaos.rounds=1' repeats a round.
CHAOS ?= -chaos.rounds=500 -chaos.seed=1
chaos:
	$(GO) test ./integration -run '^TestChaos$$' -count=1 -v -timeout=6h -parallel=6 $(CHAOS)

# lies has workers say what they like, by seed, a million times. It takes half a minute. LIES='-lies.seed=41 -lies.steps=1' repeats a run.
LIES ?= -lies.steps=1000000
lies:
	$(GO) test ./scheduler -run '^TestLyingWorkers$$' -count=1 -v -timeout=1h $(LIES)

# ONLY=gateways,memory are the parts to run, RUNS=3 the runs of each thing, and ARGS more flags, such as -v.
bench:
	sh bench/run.sh $(if $(ONLY),-only $(ONLY)) $(if $(RUNS),-runs $(RUNS)) $(ARGS)

# fuzz runs each fuzz target for a short while.
fuzz:
	@set -e; for p in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | sed 's/func //'); do \
			$(GO) test ./$$p -run '^$$' -fuzz "^$$f$$" -fuzztime 20s; \
		done; \
	done

# The tools of a release, each at a version that was tried.
GORELEASER = $(GO) run github.com/goreleaser/goreleaser/v2@v2.18.2
ACTIONLINT = $(GO) run github.com/rhysd/actionlint/cmd/actionlint@v1.7.7

release:
	$(GORELEASER) release --clean

# release-check makes all that a release has, but publishes nothing: archives, checksums, SBOMs, packages, the cask. Images want docker.
release-check:
	$(ACTIONLINT)
	$(GORELEASER) check
	HOMEBREW_TAP_TOKEN=none $(GORELEASER) release --snapshot --clean --skip=publish$$(command -v docker >/dev/null 2>&1 || { echo "skipped: the image, because there is no docker" >&2; echo ,docker; })

clean:
	$(GO) clean -testcache
	rm -f xdist
