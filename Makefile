# Python 3.11 under whichever name it has here; `make PYTHON=/path/to/python3.11 …` names another.
PYTHON = $(shell for p in python3.11 python3 python; do \
  if $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then echo $$p; exit; fi; done; \
  echo no-python-3.11-found)
BIN := .venv/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install install-serve install-dev demo demo-vllm test lint bench chaos lock clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

install: python ## Make .venv with what it takes to run
	@$(PYTHON) deploy/local/install.py

install-serve: python ## The same, with Ray Serve and vLLM for CPUs (Linux on x86-64)
	@$(PYTHON) deploy/local/install.py --serve

install-dev: python ## The same, with what tests and linting need
	@$(PYTHON) deploy/local/install.py --dev

demo: install ## Start everything, read the examples, draft replies (DEMO_EXIT=1: then stop)
	@$(BIN)/python -m deploy.local.demo

demo-vllm: install-serve ## The same with a language model on vLLM, fetched here (1.1 GB; CPU will do)
	@$(BIN)/python -m deploy.local.demo --model

test: install-dev ## Run all tests on real servers (WORKERS=2)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

lint: install-dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install-dev ## Run the benchmarks; each prints a table and a JSON line
	@for each in $$(grep -l __main__ benchmarks/*.py); do name=$$(basename $$each .py); \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

chaos: install-dev ## The long outages and kills under a running stack
	$(BIN)/pytest -m chaos --timeout 3600 tests/chaos tests/llm

lock: install-dev ## Pin every dependency again
	$(BIN)/python -m pip install --quiet uv
	PATH="$(CURDIR)/$(BIN):$$PATH" sh requirements/compile.sh

clean: ## Remove .venv, the demo's data and caches (never a stack's own data)
	rm -rf .venv .sourcier/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
