# Every command sets itself up in .venv, which is rebuilt when its inputs change. Needs Python 3.11
# with the venv module.
#
#   make demo       BN-Inception in PyTorch, Keras and Flax on a photograph, with one set of
#                   weights
#   make test       the tests; PYTEST_ARGS='tests/test_x.py -x' selects some
#   make test-slow  what `make test` only samples, in full; some minutes
#   make test-browser
#                   the HTML pages, the site and its playground in Chromium, if there is one;
#                   otherwise it is downloaded; needs Node.js
#   make lint       ruff and mypy
#   make bench      the benchmarks, as one table; half an hour in which nothing else should run.
#                   BENCH_ARGS=--smallest only shows that they work
#   make bench-peers
#                   one of them: every engine, against published models and converters; 15 minutes
#   make agreement  published implementations compared with ours, as one table; some minutes
#   make tools      every tool on every spec, as a table; TOOLS_ARGS=xception
#                   selects some
#   make science    the experiments of docs/batch-normalisation.md; about an hour
#   make vscode     the extension for VS Code, editors/vscode/incgen.vsix, tested; needs Node.js
#   make docs       the site of the documentation, build/site; needs Node.js
#   make release-check
#                   builds the wheel into dist/ and tries it in an empty environment
#   make setup      only the set-up, for running programs in .venv directly
#   make clean      removes what the commands above made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST_ARGS ?= -n 2 --dist worksteal

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Modules are compiled when they are imported, which most of the frameworks' never are.
INSTALL := $(PIP) install -qq --progress-bar off --no-compile --constraint constraints.txt

# They depend on torchvision's own build of torch and on much that is not used here. tf_keras is for
# tf_slim.
PUBLISHED := torchvision timm pretrainedmodels facenet-pytorch pytorchcv pytorch-fid munch tqdm \
    tf-slim tf-keras

# Silence TensorFlow's messages at start-up.
export TF_CPP_MIN_LOG_LEVEL ?= 2

# The tests start hundreds of processes, which would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: demo test test-slow test-browser lint bench bench-peers agreement vscode docs release-check tools science setup clean

demo: setup
	@$(BIN)/python examples/demo.py

test: setup
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-slow: setup
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-browser: docs
	@$(INSTALL) --editable '.[browser]'
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do \
	    command -v $$name >/dev/null && exit; done; $(BIN)/playwright install chromium-headless-shell
	@$(BIN)/python -m pytest -m browser $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# They are optional: the benchmark names those that are missing.
PEERS = $(if $(filter --smallest --page,$(BENCH_ARGS)),,$(INSTALL) --editable '.[bench]' \
    || echo "make: some of what is compared could not be installed" >&2)

bench: setup
	@$(PEERS)
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

bench-peers: setup
	@$(PEERS)
	@$(BIN)/python benchmarks/inference.py $(BENCH_ARGS)

agreement: setup
	@$(BIN)/python tests/published.py
	@$(BIN)/python tests/live.py

tools: setup
	@$(BIN)/python tests/tools.py $(TOOLS_ARGS)

science: setup
	@$(BIN)/python science/run.py $(SCIENCE_ARGS)

release-check: setup
	@rm -rf build dist
	@$(PIP) wheel -q --no-deps --no-build-isolation --wheel-dir dist .
	@$(BIN)/python -m pytest tests/test_wheel.py
	@echo "the wheel is in dist/; see CONTRIBUTING.md for the remaining steps of a release"

vscode: setup
	@command -v npm >/dev/null || { echo "make: npm was not found; install Node.js 20 or later" >&2; exit 1; }
	@cd editors/vscode && npm ci --no-audit --no-fund --silent
	@cd editors/vscode && PYTHON="$(CURDIR)/$(BIN)/python" npm test --silent
	@cd editors/vscode && npm run --silent package

docs: setup
	@command -v npm >/dev/null || { echo "make: npm was not found; install Node.js 20 or later" >&2; exit 1; }
	@cd website && npm ci --no-audit --no-fund --silent
	@$(BIN)/python -m website

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 was not found; set PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV): some minutes, once"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(INSTALL) --editable '.[dev]'
	@$(INSTALL) --no-deps $(PUBLISHED)
	@touch $@

clean:
	rm -rf $(VENV) build dist generated editors/vscode/node_modules editors/vscode/dist website/node_modules
	rm -rf *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
