# make demo and make test do all the set-up: .venv, pinned packages, the compiled extension, Horovod.
# Not make's own rules, which would build a folder from a source of its name.
MAKEFLAGS += --no-builtin-rules
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
PYTHON3 ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
DEMO := --problem=MNIST --topology=LeNet --config=w4a4

# What clang-format looks after.
C_SOURCES = $$(find backend_cpp quantlab/deploy/c -name '*.[hc]' -o -name '*.[hc]pp' -o -name '*.inc')

# The folders of quantlab count too: the installed package knows its modules by name, and a folder is
# newer once one came or went.
BACKEND_SOURCES := CMakeLists.txt $(shell find backend_cpp -name '*.[hc]*' -o -name 'CMakeLists.txt') \
    $(shell find quantlab -type d -not -name __pycache__)

.PHONY: setup tools demo test test-full check format docs bench clean

setup: $(STAMPS)/backend $(STAMPS)/horovod

$(STAMPS)/venv:
	@$(PYTHON3) cfg/requirements.py
	$(PYTHON3) -m venv .venv
	@mkdir -p $(STAMPS) && touch $@

# torch first and pinned: anything that merely asks for torch would bring another build.
$(STAMPS)/packages: $(STAMPS)/venv pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) $$($(BIN)/python cfg/requirements.py --packages all build)
	@touch $@

$(STAMPS)/backend: $(STAMPS)/packages $(BACKEND_SOURCES)
	$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

$(STAMPS)/horovod: $(STAMPS)/packages cfg/horovod.sh cfg/cxx_for_horovod.sh
	bash cfg/horovod.sh
	@touch $@

# What only tests need; without it they skip.
tools:
	@bash cfg/tools.sh

$(STAMPS)/bench: $(STAMPS)/packages
	$(PIP) $$($(BIN)/python cfg/requirements.py --packages bench)
	@touch $@

demo: setup
	@$(BIN)/python main.py data --problem=MNIST
	@PATH="$(CURDIR)/$(BIN):$$PATH" horovodrun -np 1 -H localhost:1 python main.py $(DEMO)

# A process of a gigabyte for each core; each takes over tests from those that have more left. Dozens
# of others import the library, which Python compiles anew where the environment forbids to keep it.
PYTEST := $(BIN)/python -m compileall -q quantlab experiments && \
    $(BIN)/python -m pytest -q -n logical --maxprocesses=16 --dist worksteal --durations=20

test: setup tools
	$(PYTEST) -m "not long"

test-full: setup tools
	$(PYTEST)

check: $(STAMPS)/backend
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)

format: $(STAMPS)/packages
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_SOURCES)

docs: $(STAMPS)/backend
	$(BIN)/python -m docs.reference
	$(BIN)/python -m docs.library
	$(BIN)/python -m tests.quantlab.deploy.operation_table

# Those that need a GPU say so where there is none. A failure does not keep the others from running.
bench: setup tools $(STAMPS)/bench
	@failed=; \
	for script in $$(grep -l '^if __name__' benchmarks/*.py); do \
	    name=$$(basename $$script .py); \
	    $(BIN)/python -m benchmarks.$$name || failed="$$failed $$name"; \
	done; \
	[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

# The data and the runs in storage/ stay.
clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
