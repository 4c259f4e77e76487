# One verb for each task of a developer. Every verb that needs packages
# makes the environment first; that takes minutes once and nothing after.
PYTHON ?= python3
JOBS ?= 2
# Without byte code every process compiles torch and mmpretrain again.
unexport PYTHONDONTWRITEBYTECODE
PY := .venv/bin/python
PYTEST := $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup setup-pretrain demo test unit integration lint format types doctor \
        parity evidence benchmarks gpu test-pretrain test-upstream site wheel \
        audit lock clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

setup: ## make or update .venv
	@$(PYTHON) tools/dev/setup_env.py

setup-pretrain: ## the same without a compiler: the newest torch, no detection
	@$(PYTHON) tools/dev/setup_env.py pretrain

demo: setup ## pretrain, transfer to a detector, compare, write a report
	$(PY) tools/demo/run.py

# Whole files go to JOBS processes: fixtures of a file are made once. Neither
# process may take the cores of the other.
SPREAD := OMP_NUM_THREADS=1 $(PYTEST) -q -n $(JOBS) --dist loadfile

test: lint types ## everything that must pass: lint, types, all tests
	$(SPREAD) -m "not evidence"

unit: setup ## the fast tests
	$(SPREAD) -m "not integration and not evidence"

integration: setup ## the tests with runners, processes and command lines
	$(SPREAD) -m integration

lint: setup ## check style
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

format: setup ## fix style
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

types: setup ## check types
	$(PY) -m mypy

doctor: setup ## say what is installed and whether it works
	$(PY) -m sce_mm.doctor

parity: setup ## replay the traces of the official implementation
	$(PY) -W ignore tests/oracle/replay_trace.py tests/oracle/traces/*.npz

evidence: setup ## long runs on real data, not part of the gate
	$(PYTEST) -m evidence

benchmarks: setup ## measure speed again, renew docs/benchmarks.md
	for each in loss memory step views start scale; do \
	    $(PY) -W ignore tools/dev/speed/$$each.py \
	        --json docs/benchmarks/$$each.json || exit 1; \
	done
	$(PY) -W ignore tools/dev/speed/page.py

# On whatever Python has the packages, the one that was named first: a machine
# with a GPU may have no network. Figures are worth having when a test fails,
# so both are run; they get what the tests leave of eight minutes, less the
# minute that the compiler and the last rounds may take beyond.
GPU_PY := $(firstword $(if $(filter file,$(origin PYTHON)), \
    $(wildcard .venv/bin/python .venv-pretrain/bin/python)) $(PYTHON))
GPU_REPORT = build/gpu/report.json

gpu: export PYTHONPATH := $(CURDIR)
gpu: ## test and measure on one GPU, meant for eight minutes of an H100
	@$(GPU_PY) tools/dev/speed/gpu.py --check
	@mkdir -p $(dir $(GPU_REPORT))
	@code=0; start=$$(date +%s); \
	    $(GPU_PY) -m pytest -m gpu -W default --durations 10 \
	        --continue-on-collection-errors || code=$$?; \
	    left=$$((start + 420 - $$(date +%s))); \
	    $(GPU_PY) -W ignore tools/dev/speed/gpu.py --json $(GPU_REPORT) \
	        --seconds $$((left > 120 ? left : 120)) --plot $(GPU_REPORT:.json=.png) || code=$$?; \
	    exit $$code

# Without mmdet and mmseg: their tests are left out.
PRETRAINING = -m pytest -m "not integration and not evidence"
ONE_RUN = -m pytest -m integration tests/test_tools/test_train_cli.py

test-pretrain: setup-pretrain ## unit tests and a pretraining on the newest torch
	.venv-pretrain/bin/python $(PRETRAINING)
	.venv-pretrain/bin/python $(ONE_RUN)

test-upstream: ## the same on upstream OpenMMLab
	@$(PYTHON) tools/dev/setup_env.py upstream
	.venv-upstream/bin/python $(PRETRAINING)
	.venv-upstream/bin/python $(ONE_RUN)

site: setup ## build the site of the documents into build/site
	$(PY) tools/dev/build_site.py

wheel: setup ## build the wheel into dist/
	@rm -rf build  # or files deleted since would come along
	$(PY) -m pip wheel --no-deps --no-build-isolation -w dist .

audit: ## look the locked versions up among known vulnerabilities (needs uv)
	uvx pip-audit --strict --disable-pip --no-deps \
	    -r requirements/constraints.txt

lock: setup ## renew the versions of the default environment (needs uv)
	uv pip compile -q --universal --python-version 3.11 --upgrade \
	    --no-annotate --no-header --override requirements/overrides.txt \
	    requirements/default.txt -o requirements/constraints.txt

clean: ## remove what was built, not the environments
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
