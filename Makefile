# Two commands are all a new user needs: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-fast test-slow lint docs clean

train: $(VENV)/.installed ## train the default model on the embedded digits, then evaluate it on their test split
	@run="$$($(BIN)/cnnlab train)" && $(BIN)/cnnlab eval run="$$run" split=test

test: $(VENV)/.installed-dev ## run the test suite but its longest tests
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow'

test-fast: $(VENV)/.installed-dev ## run what needs no TensorFlow: configurations, tables, files
	$(BIN)/python -m pytest -n auto --without-tensorflow -m 'not slow'

test-slow: $(VENV)/.installed-dev ## run those: whole sweeps, lost hosts, the patterns of a trained network
	$(BIN)/python -m pytest -n auto --dist load -m slow

lint: $(VENV)/.installed-dev ## check style, formatting and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

docs: $(VENV)/.installed-dev ## build the documentation: docs/_build/html/index.html
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

clean: ## remove the virtual environment; outputs/ stays
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "error: cnnlab needs Python 3.11, 3.12 or 3.13, as TensorFlow does; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
