# make demo    the main job on real data, from nothing to a table
# make test    every test; FITWELL_FUZZ_EXAMPLES=200 fuzzes the API for longer
# make test-faults   the tests that kill, stop, fill and lock what a system needs, on both databases
# make check   lint and the fast tests, which every commit must pass, in about a minute
# make lint    types, layers, language, style and spelling, side by side
# make generate   rewrite the reference in docs/ and the stored OpenAPI document from the code
# make hooks   run the quick checks before every commit
# make bench   the engine against its peers, interleaved; writes a dated result
# make gpu     laws and speed on this machine's GPU, by the PYTHON that has torch; writes a dated result
# Each but the last sets up what it needs in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A generator of clients, in an environment of its own as users have it.
GENERATOR := $(VENV)/generator
GENERATOR_VERSION := 0.29.1
# Servers that tests start, in an environment of their own: a tracking server for exported histories, reduced to what
# the tests need, and one with the API of S3. What they import is compiled when they start.
SERVERS := $(VENV)/servers
SERVERS_PACKAGES := mlflow-skinny==3.17.2 aiohttp alembic cryptography flask flask-cors graphene huey pandas sqlalchemy \
  'moto[s3,server]'
# Trackers of experiments, beside the client that exports to them.
TRACKERS := $(VENV)/trackers
TRACKERS_PACKAGES := wandb==0.31.0 trackio==0.43.0
# Modules that are never imported need not be compiled.
UNUSED := /tests/|/(sympy|networkx|mypy|mypyc|fontTools)/|/torch/(_inductor|_dynamo)/|/ray/(rllib|data|train|tune|llm|serve)/
# The linter of scripts and style sheets, from npm.
NODE_READY := node_modules/.ready
.DEFAULT_GOAL := help

LINTERS := types layers language style spelling lint-web
.PHONY: help setup peers demo test test-faults check lint $(LINTERS) fast format format-web generate hooks bench gpu lock clean

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Fitwell needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); torch is large, so the first time takes minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 -x '$(UNUSED)' $(VENV)/lib fitwell service worker migrations \
	  >/dev/null 2>&1 || true
	@touch $@

$(GENERATOR)/.ready: $(READY)
	@$(PYTHON) -m venv $(GENERATOR)
	$(GENERATOR)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile openapi-python-client==$(GENERATOR_VERSION) ruff
	@touch $@

$(NODE_READY): package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm not found: install Node.js, for example with apt-get install nodejs npm"; exit 1; }
	npm ci --no-audit --no-fund
	@touch $@

$(SERVERS)/.ready: $(READY)
	@$(PYTHON) -m venv $(SERVERS)
	$(SERVERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile $(SERVERS_PACKAGES)
	@touch $@

$(TRACKERS)/.ready: $(READY)
	@$(PYTHON) -m venv $(TRACKERS)
	$(TRACKERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e . $(TRACKERS_PACKAGES)
	@touch $@

peers: $(GENERATOR)/.ready $(SERVERS)/.ready $(TRACKERS)/.ready

demo: $(READY)
	$(BIN)/fitwell demo

# Three processes on two cores: many tests wait for leases and for processes to start. What torch imports at its first
# backward pass is compiled once, not in each process.
test: $(READY) peers
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 3 --dist worksteal

test-faults: $(READY) $(SERVERS)/.ready
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 3 --dist worksteal -m fault

check: lint fast

# Side by side, and each with its output in one piece; mypy takes as long as all others together.
lint: $(READY)
	@$(MAKE) --no-print-directory -j 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(LINTERS)

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

language: $(READY)
	$(BIN)/python -m tests.lint.language

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

spelling: $(READY)
	git ls-files -z | xargs -0 $(BIN)/codespell

lint-web: $(READY) $(NODE_READY)
	npx --no-install biome ci --error-on-warnings
	$(BIN)/djlint service/web/templates --check --lint

# All tests of whole systems are slow; not to import them saves seconds, and so does compiling modules only once.
fast: $(READY)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' -q --ignore tests/e2e --ignore tests/faults

format: $(READY) format-web
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

format-web: $(READY) $(NODE_READY)
	npx --no-install biome check --write
	$(BIN)/djlint service/web/templates --reformat --quiet || true  # fails if it changes a file

generate: $(READY)
	$(BIN)/python -m docs.generate
	$(BIN)/python -m tests.service.openapi_contract

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.engine

# Needs torch, NumPy, pydantic and safetensors, and takes less than eight minutes.
gpu:
	$(PYTHON) -m benchmarks.gpu $(GPU_OPTIONS)

# Run the checks of a commit before every commit; `git commit --no-verify` skips them.
hooks: $(READY)
	$(BIN)/pre-commit install

# The versions that are tested together, without the builds of torch for accelerators.
lock: $(READY)
	$(BIN)/python -m pip list --format=freeze --exclude-editable | \
	  grep -v -i -E '^(pip|setuptools|wheel|nvidia-|cuda-|triton)' | sort -f > constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
