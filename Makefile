# The commands of the repository. `make help` lists them. Each does its own set-up, and each also
# works by plain cargo, maturin and pytest (CONTRIBUTING.md says how).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && { echo $$name; exit; }; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
CARGO ?= cargo
STAGE := tools/stage.sh

# Everything that the native module is made of: when one of these is newer, it is built again.
RUST := $(shell find crates \( -path '*/src/*' -name '*.rs' \) -o -name Cargo.toml) Cargo.toml Cargo.lock
# The Rust tests leave out fairlead-python: it converts and delegates, and tests/ tests it whole.
RUST_TESTED := --workspace --exclude fairlead-python --locked

.PHONY: help
help: ## This list
	@echo 'make TARGET, of these:'
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | \
		awk -F ':.*## ' '{ printf "  %-14s %s\n", $$1, $$2 }'

# ------------------------------------------------------------------------------- set-up and running

.PHONY: setup
setup: $(VENV)/.dev $(VENV)/.engine ## Everything that developing needs, into .venv and target

.PHONY: rust
rust:
	@tools/ensure_rust.sh

$(BIN)/python:
	@tools/ensure_python.sh $(PYTHON)
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@echo 'installing what fairlead needs to run (requirements/run.txt)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/run.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo 'installing what the tests and linters need (requirements/dev.txt)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

# The release profile without link-time optimisation: about a minute the first time.
$(VENV)/.engine: $(RUST) pyproject.toml $(VENV)/.run | rust
	@echo 'building the engine (a minute or two the first time)'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(STAGE) 'engine' '' $(BIN)/python -m pip install --disable-pip-version-check \
		--no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: demo
demo: $(VENV)/.engine ## The demo: a balancer over backends that misbehave (SECONDS=15 ends it)
	@$(BIN)/fairlead demo $(if $(SECONDS_ASKED),--seconds $(SECONDS_ASKED))

# Bash has a variable SECONDS of its own; only one given to make counts.
SECONDS_ASKED := $(if $(filter command line environment%,$(origin SECONDS)),$(SECONDS))

# ------------------------------------------------------------------------------------------ testing

# Two processes, since most tests wait; what measures comes after them, with the machine to itself.
TESTS_SHOWN := ^(=+ .* =+|SKIPPED .*|FAILED .*|ERROR .*)$$
TESTS := tools/tests.sh 'Python tests' '$(TESTS_SHOWN)' $(BIN)/pytest --color=no -n 2 --dist worksteal -m
TESTS_ALONE := tools/tests.sh 'Python tests that measure' '$(TESTS_SHOWN)' $(BIN)/pytest --color=no -m
# The standing claims, over ten thousand worlds; built for release they take some 20 s.
WORLDS := $(STAGE) 'Ten thousand worlds' '^test result' $(CARGO) test --package fairlead-sim \
	--release --locked --quiet --test claims -- --ignored ten_thousand_worlds_hold
# What failed once in this run, told again at its end, where it is seen.
FLAKY := target/stages/flaky.txt

.PHONY: test
test: setup ## All that CI runs: lint, Rust tests, Python tests (about 12 minutes on two cores)
	@rm -f $(FLAKY)
	@$(MAKE) --no-print-directory lint
	@$(STAGE) 'Rust tests' '^test result|^test .*FAILED|panicked' \
		$(CARGO) test $(RUST_TESTED) --quiet
	@$(WORLDS)
	@$(TESTS) 'not long and not alone'
	@$(TESTS_ALONE) 'alone and not long'
	@$(ON_URING) -m 'not long and not alone and not root' $(URING_SOME)
	@! [ -f $(FLAKY) ] || cat $(FLAKY)

# The same tests with all calls of the engine made through an io_uring, each in a batch. What is
# `root`, measures or wants the whole of a host is the same on both.
URING_SOME := tests/wire/http1/test_bodies.py tests/wire/http1/test_keep_alive.py \
	tests/wire/http1/test_early_answer.py tests/wire/http1/test_failures.py tests/wire/tcp \
	tests/wire/limits/test_slow.py tests/wire/retry/test_http.py
ON_URING := TEST_IO=uring tools/tests.sh 'Python tests on io_uring' '$(TESTS_SHOWN)' \
	$(BIN)/pytest --color=no -n 2 --dist worksteal

.PHONY: test-uring
test-uring: setup ## tests/wire and tests/fault with io = "uring" (some minutes, root for all of it)
	@$(STAGE) 'Rust tests on io_uring' '^test result|^test .*FAILED|panicked|left out' \
		$(CARGO) test --package fairlead-engine --locked --quiet ring
	@$(ON_URING) -m 'not long and not alone' tests/wire tests/fault
	@TEST_IO=uring $(TESTS_ALONE) 'alone and not long' tests/wire tests/fault

.PHONY: test-fast
test-fast: setup ## The tests that take seconds
	@rm -f $(FLAKY)
	@$(STAGE) 'Rust tests' '^test result|^test .*FAILED|panicked' \
		$(CARGO) test $(RUST_TESTED) --quiet
	@$(TESTS) 'not slow and not long and not root and not alone'
	@! [ -f $(FLAKY) ] || cat $(FLAKY)

.PHONY: test-all
test-all: setup ## Everything, also what takes minutes (a GiB, thousands of connections)
	@rm -f $(FLAKY)
	@$(MAKE) --no-print-directory lint
	@$(STAGE) 'Rust tests' '^test result|^test .*FAILED|panicked' \
		$(CARGO) test $(RUST_TESTED) --release -- --include-ignored --quiet
	@$(TESTS) 'not long and not alone'
	@$(TESTS_ALONE) 'alone or long'
	@FUZZ_OPTIONAL=1 $(STAGE) 'fuzzing' 'executions|needs|hint' tools/fuzz.sh '' 120
	@$(STAGE) 'sanitizers' 'sanitizer:|Miri|^test result|hint|needs' tools/sanitize.sh
	@! [ -f $(FLAKY) ] || cat $(FLAKY)

.PHONY: lint
lint: $(VENV)/.dev | rust ## clippy, rustfmt, ruff, mypy, import-linter, cargo-deny
	@tools/lint.sh

.PHONY: fix
fix: $(VENV)/.dev | rust ## What the linters can mend by themselves
	@$(CARGO) fmt --all
	@$(BIN)/ruff check --fix --quiet python tests tools || true
	@$(BIN)/ruff format --quiet python tests tools

# ------------------------------------------------------------------------------- docs and releasing

.PHONY: docs
docs: setup ## docs/reference anew from the source
	@$(BIN)/python tools/generate_docs.py

.PHONY: change
change: ## A changelog fragment: make change KIND=added TEXT='`fairlead top` shows …'
	@tools/change.sh '$(KIND)' '$(TEXT)'

.PHONY: lock
lock: $(VENV)/.dev ## requirements/*.txt anew from pyproject.toml
	@for group in run dev; do \
		$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --quiet \
			--generate-hashes --no-emit-index-url --custom-compile-command 'make lock' \
			--group build $$([ $$group = run ] || echo --group dev -c requirements/run.txt) \
			-o requirements/$$group.txt; \
	done

.PHONY: wheel
wheel: $(VENV)/.run | rust ## A wheel in dist/, with link-time optimisation (some minutes)
	@$(BIN)/maturin build --profile dist --locked --out dist

# ------------------------------------------------------------------------------- measuring, breaking

.PHONY: bench
bench: setup ## CPU per request beside the rivals, which it sets up: root, 25 minutes; ARGS=--short: 4
	@tools/bench.sh $(ARGS)

.PHONY: bench-failover
bench-failover: setup ## What clients notice of broken hosts, beside the rivals, which it sets up: root, 20 minutes
	@tools/bench_failover.sh $(ARGS)

.PHONY: perf-check
perf-check: setup ## Instructions, allocations and system calls per request, beside the last ones
	@$(BIN)/python tools/perf_check.py $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.engine | rust ## All fuzz targets for an hour each: TARGET=request_head SECONDS=60 (nightly Rust, cargo-fuzz, atheris)
	@FUZZ_RECORD=bench/results/fuzz.md tools/fuzz.sh '$(TARGET)' '$(or $(SECONDS_ASKED),3600)'

.PHONY: sanitize
sanitize: | rust ## The engine under address and thread sanitizers, what can be under Miri (nightly Rust)
	@tools/sanitize.sh

.PHONY: conformance
conformance: setup ## The corpus through fairlead, HAProxy, nginx, Envoy: root; bench/results/conformance.md
	@cd tests && ../$(BIN)/python -m conformance.differential \
		--out ../bench/results/conformance.md $(ARGS)

.PHONY: schemathesis
schemathesis: setup ## All that /openapi.json allows, and more, asked of the admin API: EXAMPLES=300 of each
	@EXAMPLES='$(or $(EXAMPLES),300)' $(BIN)/pytest --color=no -q -m long \
		tests/wire/control/test_schemathesis.py

.PHONY: soak
soak: soak-load ## Half an hour of mixed load, then a million simulated worlds: SECONDS=1800 WORLDS=1000000
	@tools/soak_worlds.sh '$(or $(WORLDS),1000000)'

.PHONY: soak-load
soak-load: setup ## Traffic, faults, aborts, reloads, and what is left of it: SECONDS=1800, RATE=200
	@$(BIN)/python tools/soak.py --seconds '$(or $(SECONDS_ASKED),1800)' --rate '$(or $(RATE),200)' \
		$(if $(SECONDS_ASKED)$(RATE),,--out bench/results/soak.md)

.PHONY: clean
clean: ## Removes .venv, target and caches
	@rm -rf $(VENV) target dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find python tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -f python/fairlead/_engine*.so
