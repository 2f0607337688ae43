# Everything here sets itself up in .venv: git, make and a Python of at least 3.11 with venv are enough. A C compiler
# is used if there is one; without it the kernels run as pure Python.
#
#   make demo          a server and a client in one process show what works
#   make test          the test suite, on the compiled kernels, on those over stock aioquic, and on the pure ones
#   make conformance   every rule of the protocol that says what to do about input: passed or not, also as a page
#   make setup-peers   other implementations, for the tests that talk to them (and browsers, if root)
#   make drafts        what must come of every kind of client with every kind of server
#   make lint          ruff and mypy
#   make bench         benchmarks
#   make lossy         long transfers over a bad network: 64 MiB each way, 20 times, some 20 minutes
#   make migration     64 MiB each way while the client's address changes five times
#   make soak          churn of everything between two processes, one minute or MINUTES=20; nothing may grow or be left
#   make fuzz          hostile input: MINUTES (10) of CPU time for each target, two targets at a time
#   make sanitize      the compiled kernels under AddressSanitizer and UBSan (gcc)
#   make docs          the documentation, to build/docs
#   make clean         remove everything that was made here

# The first of these that is new enough and can make environments; a name on the path may be a shim that cannot run.
NAMES := python3 python3.14 python3.13 python3.12 python3.11 python
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(NAMES); do \
	if "$$name" -c '$(SUITABLE)' >/dev/null 2>&1; then command -v "$$name"; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
LINTERS := $(VENV)/.linters
DRIVER := $(VENV)/.driver
DOCTOOLS := $(VENV)/.doctools
FUZZER := $(VENV)/.fuzzer

# More for pytest: make test ARGS="-k datagrams"
ARGS ?=

# How many tests run at a time: make test JOBS=1, for a debugger
JOBS ?= auto

# Minutes of fuzz (of CPU time, for each target), sanitize and soak, where they are not to be the usual ones; and which
# fuzz targets, if not all: make fuzz MINUTES=1 TARGETS="engine frames"
MINUTES ?=
TARGETS ?=

.PHONY: demo test conformance setup setup-peers build driver drafts lint bench lossy migration soak fuzz sanitize docs clean

demo: build
	@$(BIN)/python -m wtransport demo

# The same interpreter and tools for all targets. The package itself is installed in place and nothing is compiled here:
# `build` does that, again whenever a source changed.
$(INSTALLED): pyproject.toml Makefile
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: python3 and python3-venv)"; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --quiet --upgrade "setuptools>=77" wheel "Cython>=3.1,<4"
	@env -u WTRANSPORT_REQUIRE_EXTENSIONS WTRANSPORT_NO_EXTENSIONS=1 \
		$(PIP) install --quiet --no-build-isolation --editable ".[test]"
	@$(PIP) install --quiet --only-binary :all: "uvloop>=0.19" || echo "no uvloop for this Python; tests use asyncio alone"
	@touch $@

# Quick when nothing changed. Where nothing can be compiled it says so in one line and succeeds.
build: $(INSTALLED)
	@$(BIN)/python setup.py --quiet build_ext --inplace

setup: build

# One run per side of the kernels, and one of what is about QUIC with packets left to aioquic, as the pure side leaves
# them too. What drives browsers or other implementations runs once, one test at a time: it spends its time outside of
# the kernels, and a browser wants the machine for itself. Where nothing could be compiled the only side is the pure one.
# That no test of a run has the name asked for (status 5) is no failure.
OVER_QUIC := tests/unit/quic tests/network tests/leaks
SEVERAL := --numprocesses=$(JOBS) --dist=loadfile -m "not browser and not peer"
OUTSIDE := tests/e2e tests/peers
PURE := env -u WTRANSPORT_REQUIRE_EXTENSIONS WTRANSPORT_NO_EXTENSIONS=1

test: build driver
	@set -e; backend=$$($(BIN)/python -c 'from wtransport import _speedups; print(_speedups.BACKEND)'); \
	tests() { "$$@" || test $$? = $(if $(ARGS),5,0); }; \
	if [ "$$backend" = cython ]; then \
		echo "== tests on the compiled kernels"; \
		tests $(BIN)/python -m pytest $(SEVERAL) $(ARGS); \
		echo "== tests on the compiled kernels over stock aioquic"; \
		tests env WTRANSPORT_QUIC=aioquic $(BIN)/python -m pytest $(SEVERAL) $(ARGS) $(OVER_QUIC); \
		echo "== tests on the pure kernels"; \
	else \
		echo "== tests on the pure kernels (none are compiled here)"; \
	fi; \
	tests $(PURE) $(BIN)/python -m pytest $(SEVERAL) $(ARGS); \
	echo "== tests with browsers and other implementations, $$backend kernels"; \
	tests $(BIN)/python -m pytest $(ARGS) $(OUTSIDE)

# Rule by rule, on one side of the kernels; `test` runs the same on both. The page goes to build/conformance.md.
conformance: build
	@$(BIN)/python -m pytest --quiet --no-header tests/conformance --conformance-report build/conformance.md $(ARGS)

# What drives Chromium, once there is a Chromium to drive: it is large.
driver: $(INSTALLED)
	@if command -v chromium >/dev/null && ! test -e $(DRIVER); then \
		$(PIP) install --quiet --only-binary :all: "playwright>=1.40" && touch $(DRIVER) || \
		echo "no playwright for this Python; Chromium is not tested"; \
	fi

# The peers' environments go to .peers; what cannot be installed is named. Browsers come from the distribution.
setup-peers:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: python3 and python3-venv)"; exit 1; }
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		for browser in chromium firefox-esr; do \
			command -v $$browser >/dev/null || \
			{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $$browser >/dev/null; } || \
			echo "$$browser could not be installed; its tests are skipped"; \
		done; \
	fi
	@"$(PYTHON)" tests/peers/setup_peers.py

$(LINTERS): $(INSTALLED)
	@$(PIP) install --quiet "mypy>=1.15" "ruff>=0.11"
	@touch $@

# Of the table that tests/drafts compares the engine with; with ARGS=--docs the part that stands in docs/interop.md.
drafts: $(INSTALLED)
	@$(BIN)/python tests/support/draft_report.py $(ARGS)

lint: $(LINTERS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: build
	$(BIN)/python -m perf.kernels
	@if [ -e perf/engine/__main__.py ]; then $(BIN)/python -m perf.engine; fi
	$(BIN)/python -m perf.listener
	$(BIN)/python -m perf.udp

# Fewer: make lossy ARGS="--mib 4 --seeds 2".
lossy migration: build
	@PYTHONPATH=tests/support $(BIN)/python tests/network/long_transfers.py $@ $(ARGS)

SEED ?= 1

soak: build
	$(BIN)/python tests/soak --minutes $(or $(MINUTES),1) --seed $(SEED) $(ARGS)

# Coverage guidance, where it can be had; without it inputs are changed at random.
$(FUZZER): $(INSTALLED)
	@$(PIP) install --quiet --only-binary :all: "atheris>=3" || echo "no atheris for this Python; inputs change at random"
	@touch $@

# Each input runs on both sides of the kernels, and both must do the same. Fails after a finding.
fuzz: build $(FUZZER)
	$(BIN)/python tests/fuzz run $(TARGETS) --minutes $(or $(MINUTES),10) --jobs 2

# A build of its own, below build/sanitized.
sanitize: build
	$(BIN)/python tests/fuzz sanitize $(TARGETS) --minutes $(or $(MINUTES),1) --jobs 2

# The same packages as the extra `docs`.
$(DOCTOOLS): $(INSTALLED)
	@$(PIP) install --quiet "furo>=2024.8" "myst-parser>=4" "sphinx>=8.1"
	@touch $@

# From nothing each time: Sphinx does not see that a docstring changed in a module that a page only mentions.
docs: $(DOCTOOLS)
	@rm -rf build/docs build/doctrees
	@env -u WTRANSPORT_REQUIRE_EXTENSIONS WTRANSPORT_NO_EXTENSIONS=1 \
		$(BIN)/python -m sphinx --quiet --fail-on-warning --builder html -d build/doctrees docs build/docs
	@echo "documentation: build/docs/index.html"

# The extensions as well: an old one that is left lying in the tree would be imported.
clean:
	rm -rf $(VENV) .peers build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f wtransport/*/_compiled/*.so wtransport/*/_compiled/*.pyd wtransport/*/_compiled/*.c
	find wtransport tests perf docs -name __pycache__ -prune -exec rm -rf {} +
