# Everything starts from a clone and Python 3.11: `make demo`, `make test`. EXTRA=gpu installs vLLM for CUDA instead.
PYTHON ?= python3
EXTRA ?= cpu
BIN := .venv/bin
STAMP := .venv/.installed-$(EXTRA)

export RAY_worker_niceness = 0
export HF_HUB_OFFLINE = 1
ifdef PIP_FIND_LINKS # uv does not read pip's settings
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
# Where no folder of wheels is given, uv finds the CPU build of torch by itself.
TORCH := $(if $(UV_FIND_LINKS),,$(if $(filter cpu,$(EXTRA)),--torch-backend=cpu))
CONSTRAINTS := $(if $(filter cpu,$(EXTRA)),--constraints .ci/constraints-cpu.txt)

.PHONY: help setup demo test test-all unit check format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv and install everything (other targets do it too)

$(STAMP): pyproject.toml .ci/constraints-cpu.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ...")'
	@ls .venv/.installed-* 2>/dev/null | grep -qv '$(STAMP)' && rm -rf .venv || true # cpu and gpu cannot share one
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(TORCH) $(CONSTRAINTS) --editable '.[$(EXTRA),dev]'
	@rm -f .venv/.installed-* && touch $@

demo: setup ## the main job end to end on CPU: index, generate, train, evaluate, report, serve, ask
	$(BIN)/steper demo --fresh

test: unit ## what a newcomer runs: unit tests and one real path per phase
	$(BIN)/pytest --ignore tests/unit -m "not slow"

test-all: unit ## everything, kills included
	$(BIN)/pytest --ignore tests/unit

unit: setup ## unit tests alone; the other tests share one Ray, these share the cores
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 tests/unit

check: setup ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what was built and run here (not the model cache)
	rm -rf .venv runs .mypy_cache .ruff_cache .pytest_cache
