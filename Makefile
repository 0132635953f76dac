# `make help` lists the targets. Each sets up what it needs: a virtual environment in .venv with pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
VENV_MIN := .venv-min
VENV_DOCS := .venv-docs
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
LAUNCH := $(BIN)/accelerate launch --quiet --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
	--num_cpu_threads_per_process $(CORES)
# Not `?=`: the environment's LANGUAGE is that of messages.
LANGUAGE := id
ADAPT_OPTIONS ?=
# One process a core, each with one thread; the tests of a file share what they set up.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile

.PHONY: installed help setup adapt browser test test-all test-min check docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make the virtual environment

# torch first: what else is installed must take this build.
$(VENV)/.ready: requirements.txt pyproject.toml
$(VENV_MIN)/.ready: requirements-min.txt pyproject.toml
$(VENV)/.ready $(VENV_MIN)/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check "$$(grep -m 1 '^torch==' $<)"
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV_DOCS)/.ready: requirements-docs.txt
	$(PYTHON) -m venv $(VENV_DOCS)
	$(VENV_DOCS)/bin/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

adapt: setup ## adapt the embedded English Backpack to Indonesian (LANGUAGE=sw: Swahili); 10 to 14 minutes on 2 cores
	$(LAUNCH) examples/adapt.py --config examples/configs/quickstart.yaml --target_language $(LANGUAGE) $(ADAPT_OPTIONS)

browser: ## Chromium for the tests of pages (Debian or Ubuntu, as root)
	@{ command -v chromium && command -v chromedriver; } >/dev/null \
		|| { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; }

test: setup ## the tests (4 minutes on 2 cores)
	$(PYTEST) -m "not slow"

test-all: setup ## all tests, with spawned ranks, Hub processes and restarts
	$(PYTEST)

test-min: $(VENV_MIN)/.ready ## the tests with the lowest versions that pyproject.toml admits
	$(VENV_MIN)/bin/pip check
	OMP_NUM_THREADS=1 $(VENV_MIN)/bin/python -m pytest -n $(CORES) --dist loadfile -m "not slow"

docs: $(VENV_DOCS)/.ready installed ## the site, in build/site; fails on every broken link
	NO_MKDOCS_2_WARNING=1 $(VENV_DOCS)/bin/mkdocs build --strict

# The packages as an installation has them, for mypy and mkdocs to find.
installed:
	@mkdir -p build/installed/sensia
	@ln -sfn $(addprefix $(CURDIR)/,corpora trainers evaluation model_cards $(wildcard sensia/*)) build/installed/sensia/

check: setup installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/installed:examples $(BIN)/mypy -p sensia -p modeling_sensia -p reproduction
	MYPYPATH=build/installed:examples $(BIN)/mypy examples/*.py

clean: ## remove the virtual environments and the caches, not the runs
	rm -rf $(VENV) $(VENV_MIN) $(VENV_DOCS) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
