# Everything a developer types. `make` alone says what there is.
# Each target makes its own .venv first; the stamp file makes that happen once, and again when a lock changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# Set PYTHON=/path/to/python3.12 to choose another interpreter; ARGS="…" goes to the command that a target runs.
PYTHON ?=
ARGS ?=
# Tests share the cores; WORKERS=0 runs them in one process, for a debugger.
WORKERS ?= logical

.PHONY: help setup peers run demo check unit test cover fuzz soak bench corpus-table lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with the locked dependencies and the project in it

$(STAMP): requirements-dev.lock pyproject.toml
	@find_python() { \
	  for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      command -v "$$candidate"; return; \
	    fi; \
	  done; \
	  echo 'setup: no Python 3.11 or newer with venv found (on Debian: apt-get install python3 python3-venv)' >&2; \
	  return 1; \
	}; \
	if [ ! -x $(BIN)/python ]; then \
	  python=$$(find_python); \
	  echo "setup: .venv from $$python ($$("$$python" -c 'import platform; print(platform.python_version())'))"; \
	  "$$python" -m venv --clear .venv; \
	fi
	@echo 'setup: installing the locked dependencies (a minute or two)'
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

peers: ## install the independent peers that integration tests talk to (DCMTK, HL7 packages of npm)
	@tests/peers/install.sh

run: $(STAMP) ## start the engine with the default site, data in ./data
	@exec $(BIN)/isthmus serve $(ARGS)

demo: $(STAMP) ## play a hospital's morning against a running engine
	@exec $(BIN)/isthmus demo $(ARGS)

check: $(STAMP) ## lint: format, style, types, layers, spelling, house rules, routes and mappings
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/mypy --no-error-summary --explicit-package-bases tests/conftest.py tests/bench tests/unit/test_house_*.py
	$(BIN)/lint-imports > .venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }
	$(BIN)/codespell
	$(BIN)/python -m pytest -q --no-header -p no:cacheprovider tests/unit/test_house_*.py
	$(BIN)/isthmus check

unit: $(STAMP) ## the tests without a network: unit and contract
	$(BIN)/python -m pytest -n $(WORKERS) tests/unit tests/contract $(ARGS)

test: $(STAMP) peers ## all tests, real peers on loopback
	$(BIN)/python -m pytest -n $(WORKERS) -o faulthandler_timeout=300 $(ARGS)

cover: $(STAMP) peers ## all tests with branch coverage
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term $(ARGS)

fuzz: $(STAMP) ## the property tests, long, and a million spoiled HL7 frames; a failure prints how to replay it
	ISTHMUS_FUZZ=$${ISTHMUS_FUZZ:-1000000} $(BIN)/python -m pytest -n $(WORKERS) --hypothesis-profile=long tests/property $(ARGS)

soak: $(STAMP) peers ## the durability tests, long
	ISTHMUS_LONG=1 $(BIN)/python -m pytest -n 0 tests/durability $(ARGS)

bench: $(STAMP) peers ## measure reading, orders, images and worklist (PROFILE=1 adds where the engine's time went)
	$(BIN)/python -m tests.bench.run $(if $(PROFILE),--profile) $(ARGS)

corpus-table: $(STAMP) ## send the HL7 corpus to a listener and write tests/corpus/hl7_outcomes.tsv, to be reviewed
	$(BIN)/python -m tests.corpus.outcome_table

lock: ## resolve the dependencies of pyproject.toml anew into both lock files
	python3 -m venv --clear build/lock
	build/lock/bin/pip install --quiet pip-tools
	$(RESOLVE) --output-file requirements.lock pyproject.toml
	$(RESOLVE) --extra dev --build-deps-for editable --constraint requirements.lock \
	  --output-file requirements-dev.lock pyproject.toml

# Only the public registry is asked, whatever this machine's pip is set up to prefer: the hashes must hold everywhere.
RESOLVE := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null build/lock/bin/pip-compile --quiet \
  --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links

clean: ## remove what the targets made, except ./data
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
