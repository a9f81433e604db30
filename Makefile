# Python 3.11 under whichever name it has here; `make PYTHON=/path/to/python3.11 …` names another.
PYTHON = $(shell for p in python3.11 python3 python; do \
  if $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then echo $$p; exit; fi; done; \
  echo no-python-3.11-found)
BIN := .venv/bin
WORKERS ?= 3
# Where it is set, each of the hundreds of processes that start here compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: screenshots help install install-serve install-dev demo demo-vllm test lint bench chaos lock clean images secrets wheelhouse

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

test: install-dev ## Run all tests on real servers (WORKERS=3)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

lint: install-dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install-dev ## Run the benchmarks; each prints a table and a JSON line
	@for each in $$(grep -l __main__ benchmarks/*.py); do name=$$(basename $$each .py); \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

screenshots: install-dev ## Write each page of the desk at both widths to docs/screenshots
	$(BIN)/pytest -n 0 tests/browser/screenshots.py

chaos: install-dev ## The long outages and kills under a running stack
	$(BIN)/pytest -m chaos --timeout 3600 tests/chaos tests/llm

lock: install-dev ## Pin every dependency again
	$(BIN)/python -m pip install --quiet uv
	PATH="$(CURDIR)/$(BIN):$$PATH" sh requirements/compile.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" sh deploy/docker/requirements/compile.sh

# -- for a server: docs/deploy.md; DOCKER=podman builds as well
DOCKER ?= docker
TAG ?= latest
BASE ?= python:3.11-slim-bookworm
GPU_BASE ?= python:3.11-bookworm
IMAGES ?= ingest embed retrieve generate feedback mail operator model
BUILD = $(DOCKER) build -f deploy/docker/Dockerfile --build-arg TORCH_INDEX=$(SOURCIER_TORCH_INDEX) \
  --build-arg REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)

images: ## Build the images of compose.yaml (IMAGES=model-gpu: the one for NVIDIA)
	@for each in $(IMAGES); do echo "== sourcier/$$each:$(TAG)"; case $$each in \
	  *-gpu) set -- --build-arg ACCELERATOR=gpu --build-arg BASE=$(GPU_BASE);; \
	  *) set -- --build-arg BASE=$(BASE);; esac; \
	  $(BUILD) "$$@" --target $${each%-gpu} -t sourcier/$$each:$(TAG) . || exit 1; done

secrets: ## Write .env and .secrets/, without which compose.yaml refuses to start
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.docker.secrets; else \
	  $(DOCKER) run --rm --user "$$(id -u):0" -v "$(CURDIR)":/out sourcier/operator:$(TAG) \
	  python -m deploy.docker.secrets --to /out; fi

wheelhouse: python ## Collect the wheels of all images, to build them where there is no network
	@for each in build $(patsubst model,model-cpu,$(patsubst embed,embed-cpu,$(IMAGES))); do \
	  echo "== $$each"; \
	  $(PYTHON) -m pip download --quiet --no-deps --require-hashes -d deploy/docker/wheelhouse \
	  -r deploy/docker/requirements/$$each.txt \
	  $(if $(SOURCIER_TORCH_INDEX),--extra-index-url $(SOURCIER_TORCH_INDEX)) || exit 1; done

clean: ## Remove .venv, the demo's data and caches (never a stack's own data)
	rm -rf .venv .sourcier/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
