# `make report` and `make test` are all that a fresh machine needs (python3 >= 3.11 with venv and pip, GNU make, git).
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
PY := $(VENV)/bin/python
BENCH_PY := $(BENCH_VENV)/bin/python
STEP := @bash tools/step.sh
EXTRAS := data,test,dev
CONSTRAINED := test docs data data-gpl dask dev
JOBS ?= 2
# One BLAS thread: parallelism is over blocks of rows, and results do not depend on the number of cores.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: help env report test test-full browser-test lint docs figures bench catalogue constraints wheel-test clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

env: $(VENV)/.installed  ## make the environment .venv

report: $(VENV)/.installed  ## check the claims, draw the figures, write build/report/index.html
	$(STEP) $(PY) -m experiments report --quick --jobs $(JOBS)

test: $(VENV)/.installed  ## the quick test suite
	$(STEP) $(PY) -m pytest -q

test-full: $(VENV)/.installed  ## all tests, bounds-checked kernels, coverage inside kernels
	$(STEP) env HYPOTHESIS_PROFILE=random $(PY) -m pytest -m "not browser"
	$(STEP) env NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=build/numba/boundscheck $(PY) -m pytest -q tests/algos
	rm -rf build/numba/coverage
	$(STEP) env NUMBA_JIT_COVERAGE=1 NUMBA_CACHE_DIR=build/numba/coverage $(PY) -m pytest -q --cov --cov-report=term-missing:skip-covered tests

browser-test: $(VENV)/.installed  ## open the report in a real browser (Debian: chromium, chromium-driver)
	$(STEP) $(PY) -m pytest -q -rs -m browser tests/browser

lint: $(VENV)/.installed  ## ruff, mypy, import contracts
	$(STEP) $(PY) -m ruff check .
	$(STEP) $(PY) -m ruff format --check .
	$(STEP) $(PY) -m mypy
	$(STEP) $(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

docs: $(VENV)/.installed-docs  ## build the site, build/docs/html/index.html
	$(STEP) $(PY) -m sphinx -E -W --keep-going -q -b html -d build/docs/doctrees docs build/docs/html

figures: $(VENV)/.installed  ## draw every figure in full into build/figures
	$(STEP) $(PY) -m experiments figure all --full

bench: $(BENCH_VENV)/.installed  ## ours against named peers, build/bench
	$(STEP) $(BENCH_PY) -m experiments bench all

catalogue: $(VENV)/.installed  ## rewrite proofs_check/catalogue.json from the claims
	$(STEP) $(PY) -m proofs_check catalogue --write

constraints: $(VENV)/.installed  ## resolve constraints.txt anew (all extras but the peers)
	$(STEP) $(PY) -m uv pip compile pyproject.toml --universal --python-version 3.11 --no-header --upgrade $(CONSTRAINED:%=--extra %) -o constraints.txt

wheel-test: $(VENV)/.installed  ## build the wheel, run the quick suite against it outside the checkout
	$(STEP) bash tools/wheel_test.sh $(PYTHON) $(VENV)

clean:  ## remove the environments and everything built
	rm -rf build dist $(VENV) $(BENCH_VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt constraints-no-deps.txt tools/install.sh
	$(STEP) bash tools/install.sh $(PYTHON) $(VENV) constraints.txt $(EXTRAS)
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(STEP) bash tools/install.sh $(PYTHON) $(VENV) constraints.txt $(EXTRAS),docs
	@touch $@

$(BENCH_VENV)/.installed: pyproject.toml constraints.txt constraints-no-deps.txt constraints-peers.txt tools/install.sh tools/install_peers.sh
	$(STEP) bash tools/install.sh $(PYTHON) $(BENCH_VENV) constraints.txt data
	$(STEP) bash tools/install_peers.sh $(BENCH_VENV) constraints-peers.txt
	@touch $@
