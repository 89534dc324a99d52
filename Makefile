# Each target makes what it needs: .venv comes from the lock file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.radlens-installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types contracts docs base lowest check lock lowest-lock clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

setup: $(STAMP)  ## Make .venv from the lock file

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "radlens needs Python 3.11 or newer; found: $$($(PYTHON) --version). Try: make setup PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-virtualenv -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## Run the whole workflow on simulated radiographs
	$(BIN)/radlens demo --out demo --overwrite

test: setup  ## Pass the tests, with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: setup  ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## Strict types
	$(BIN)/mypy

contracts: setup  ## Which room may import which
	$(BIN)/lint-imports

docs: setup  ## Run the examples in the docstrings
	$(BIN)/python -m pytest --doctest-modules src --no-header -q -p no:cacheprovider

base: setup  ## Install wheel and sdist without the training packages, and pass the prediction tests there
	.ci/base-install.sh

lowest: setup  ## Pass tests of base and training at the lowest versions that pyproject.toml allows
	.ci/base-install.sh
	.ci/lowest.sh train

check: test lint types contracts docs  ## All of the above

lock: setup  ## Compile the lock file anew from pyproject.toml
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --allow-unsafe --constraint constraints.txt --output-file requirements.lock pyproject.toml
	# The project itself is installed by setup; a local build of torch stands for any build of that version.
	sed -i -E -e '/^radlens @/,/^[a-z]/{/^radlens @|^ /d}' -e 's/^(torch==[0-9.]+)\+.*/\1/' requirements.lock

lowest-lock: setup  ## Compile the lowest versions anew from pyproject.toml
	# Packages of the GPU are left to torch, which says which it needs.
	for extra in "" train; do \
	  $(BIN)/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --no-annotate --no-header \
	    $${extra:+--extra $$extra} pyproject.toml | grep -Ev '^(nvidia|cuda|triton)' >lowest$${extra:+-$$extra}.txt; \
	done

clean:  ## Remove what can be made again
	rm -rf $(VENV) demo build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
