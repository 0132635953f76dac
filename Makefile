# `make help` lists the targets. Each sets up what it needs: a virtual environment in .venv with pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
LAUNCH := $(BIN)/accelerate launch --quiet --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
	--num_cpu_threads_per_process $(CORES)
ADAPT_OPTIONS ?=

.PHONY: help setup adapt test test-all check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make the virtual environment

# torch first: what else is installed must take this build.
$(VENV)/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep -m 1 '^torch==' requirements.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

adapt: setup ## adapt the embedded English Backpack to Indonesian and show before and after (10 minutes on 2 cores)
	$(LAUNCH) examples/adapt.py --config examples/configs/quickstart.yaml $(ADAPT_OPTIONS)

test: setup ## the tests (under 8 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not slow"

test-all: setup ## all tests, with spawned ranks, Hub processes and restarts
	$(BIN)/python -m pytest

check: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/mypy/sensia # the packages as an installation has them, for mypy to find
	@ln -sfn $(addprefix $(CURDIR)/,corpora trainers evaluation model_cards $(wildcard sensia/*)) build/mypy/sensia/
	MYPYPATH=build/mypy:examples $(BIN)/mypy -p sensia -p modeling_sensia -p reproduction
	MYPYPATH=build/mypy:examples $(BIN)/mypy examples/*.py

clean: ## remove the virtual environment and the caches, not the runs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
