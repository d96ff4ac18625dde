# Everything a contributor runs. A bare machine needs python3 (3.11 to 3.13) with venv, and make; the rest comes from the
# hash-locked lists in requirements/. The project itself is installed as a wheel, not editable: what is tested,
# type-checked and measured is what users get.

VENV := .venv
BIN := $(VENV)/bin
SOAK_KILLS ?= 200
TEST_ARGS ?=

# The first of these that is 3.11 or newer, so that a machine whose python3 is older needs no argument.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help demo test check lint format types coverage matrix bench soak wheel lock install clean
.NOTPARALLEL:

help:  ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: install  ## mocks of all systems, gateway and relay on loopback ports; every sample order to its end
	$(BIN)/govpost demo

# A file's tests share a worker, and with it what is dear to set up.
test: install  ## the whole test suite, a worker for each processor
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile $(TEST_ARGS)

check: lint types test  ## what CI runs: lint, types, tests (the wheel's contents among them)

lint: $(VENV)/.locked  ## ruff's rules and its formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.locked  ## let ruff put right what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install  ## mypy, strict, over the installed copy (it cannot follow the mapping of the tree), and the benchmarks
	$(BIN)/python -m mypy -p govpost -p benchmarks

coverage: install  ## the test suite with branch coverage
	$(BIN)/python -m coverage run -m pytest $(TEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

matrix: install  ## the conformance kit on our adapters; its findings into README and docs
	$(BIN)/python -m govpost.tests.conformance matrix --write
	$(BIN)/python -m govpost.tests.conformance checks --write

bench: install  ## the figures, with their ceilings
	$(BIN)/python -m benchmarks

soak: install  ## the acceptance test that kills the daemon, for longer: SOAK_KILLS=200
	GOVPOST_SOAK_KILLS=$(SOAK_KILLS) $(BIN)/python -m pytest -m soak --verbose $(TEST_ARGS)

wheel: $(VENV)/.locked  ## dist/govpost-*.whl
	rm -rf build govpost.egg-info
	$(BIN)/python -m build --wheel --no-isolation
	rm -rf build govpost.egg-info

lock:  ## renew requirements/*.txt (needs uv)
	requirements/lock

clean:  ## remove what was made here
	rm -rf $(VENV) build dist govpost.egg-info .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.*

# build/ and *.egg-info are removed before and after: setuptools would ship the files of the one that are gone from
# the tree, and the other, found first from this folder, would hide the installed entry points.
install: $(VENV)/.locked
	@rm -rf build govpost.egg-info
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --force-reinstall .
	@rm -rf build govpost.egg-info

$(VENV)/.locked: requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "govpost needs Python 3.11 or newer with venv: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
