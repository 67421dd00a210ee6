# Each on a fresh clone with nothing set up:
#   make run      environment, install, the main job (tables on the terminal, report folder)
#   make test     environment, install, every check and test
#   make docs     the documentation as a site, in site/; every link is followed
#   make release  wheel and sdist, each installed in a clean environment, the main job run from there
# Choose another interpreter with PYTHON=/path/to/python3.11, more test processes with WORKERS=8.

VENV := .venv
WORKERS ?= 2
PYTHON ?= $(shell .ci/find-python 3.11 3.12 3.13)
# Modules are compiled when they are first imported: most of those of PyTorch and others never are, and compiling all of
# them is half of an installation's work.
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt
export WORKERS
# Where Python may keep no compiled modules, as in many container images, each of the tests' processes compiles all of
# them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-ready test-lint test-kernels test-torch-free docs release
.DELETE_ON_ERROR:

run: $(VENV)/.installed
	$(VENV)/bin/python -m tqhw.run

test:
	$(MAKE) --jobs $(WORKERS) test-ready
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal
	.ci/torch-free tests

# What takes one processor each, beside each other.
test-ready: $(VENV)/.installed-dev test-torch-free test-lint test-kernels

test-lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test-kernels: $(VENV)/.installed-dev
	.ci/kernels $(VENV)/bin/python

test-torch-free:
	.ci/torch-free set-up

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

release: $(VENV)/.installed-dev
	.ci/release

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "tqhw needs Python 3.11 or newer; none was found. Give one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev,docs,onnx,parquet,sweep]'
	@touch $(VENV)/.installed $@
