# Works in the active virtual environment, else in .venv. In a fresh clone each target installs what it needs.
PYTHON ?= python3
VENV := $(if $(VIRTUAL_ENV),$(VIRTUAL_ENV),.venv)
OLDEST_VENV ?= .venv-oldest
BIN := $(VENV)/bin
STAMPS := $(VENV)/.npx$(subst /,-,$(CURDIR))
JOBS := 2

# Both are read from pyproject.toml: what a build needs, and the oldest NumPy.
BUILD_REQUIRES = $(shell sed -n 's/^requires = \[\(.*\)\]/\1/p' pyproject.toml | tr -d ,)
OLDEST_NUMPY = $(shell sed -n 's/^dependencies.*"numpy>=\([0-9.]*\)".*/\1/p' pyproject.toml)

BUILD_INPUTS := pyproject.toml setup.py npx/_version.py $(shell find npx dispatch kernels -name '*.pyx' -o -name '*.pxd' -o -name '*.h')
PYTEST := -m pytest -n $(JOBS) -m "not slow"

.PHONY: demo test test-oldest test-interop bench docs lint clean
.SECONDARY:

demo: $(STAMPS)/demo
	$(BIN)/python examples/digits.py
	$(BIN)/python examples/wave.py

test: lint
	$(BIN)/python $(PYTEST)

# An ordinary install, not an editable one, beside the oldest NumPy supported.
test-oldest: $(OLDEST_VENV)/bin/python
	rm -rf build/lib*
	$< -m pip install --quiet '.[test]' 'numpy==$(OLDEST_NUMPY).*'
	$< $(PYTEST)

# Beside the real libraries: one that is missing is an error here, and no reason to skip its tests.
test-interop: $(STAMPS)/test-interop
	NPX_REQUIRE_INTEROP=1 $(BIN)/python -m pytest -n $(JOBS) tests/interop

bench: $(STAMPS)/bench
	test -e ~/.asv-machine.json || $(BIN)/asv machine --yes --config asv_bench/asv.conf.json
	$(BIN)/asv run --python=same --quick --config asv_bench/asv.conf.json

docs: $(STAMPS)/docs
	$(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

lint: $(STAMPS)/test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

clean:
	rm -rf $(STAMPS) build dist *.egg-info .venv .venv-oldest docs/_build asv_bench/html asv_bench/results
	find npx dispatch kernels -name '*.so' -delete -o -name '*.pyd' -delete
	find npx dispatch kernels tests -name __pycache__ -prune -exec rm -r {} +

# $(STAMPS)/EXTRA: the environment holds this clone, editable, with that extra. Without build isolation only changed
# modules compile. An environment holds one clone at a time, so the stamps of others go.
$(STAMPS)/%: $(BUILD_INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(BUILD_REQUIRES)
	$(BIN)/python -m pip install --quiet --no-build-isolation -e '.[$*]'
	@rm -rf $(filter-out $(STAMPS),$(wildcard $(VENV)/.npx-*))
	@mkdir -p $(STAMPS) && touch $@

%/bin/python:
	$(PYTHON) -m venv $*
