# Each command does all of its own set-up, in .venv; it is made again when what it is made from
# changes. Needs Python 3.11 with its venv module.
#
#   make demo       BN-Inception in PyTorch and Keras on a photograph, with one set of weights
#   make test       the tests; PYTEST_ARGS='tests/test_x.py -x' to choose
#   make test-slow  more of what those only sample; some minutes
#   make lint       ruff and mypy
#   make bench      the figures, as one table; BENCH_ARGS=--smallest only shows that they work
#   make agreement  published implementations against ours, as one table; some minutes
#   make tools      every tool that models are handed to, on every spec, as a table; TOOLS_ARGS=xception
#                   tries some
#   make release-check
#                   the wheel in dist/, installed in an empty environment and tried
#   make setup      only the set-up, for what is run in .venv itself
#   make clean      removes what the commands above made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST_ARGS ?= -n 2 --dist loadfile

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq --progress-bar off --constraint constraints.txt

# They ask for torchvision's own build of torch and for much that is not used here. tf_keras is for
# tf_slim.
PUBLISHED := torchvision timm pretrainedmodels facenet-pytorch pytorchcv pytorch-fid munch tqdm \
    tf-slim tf-keras

# What TensorFlow tells at start is not of interest here.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DELETE_ON_ERROR:
.PHONY: demo test test-slow lint bench agreement release-check tools setup clean

demo: setup
	@$(BIN)/python examples/demo.py

test: setup
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-slow: setup
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

agreement: setup
	@$(BIN)/python tests/published.py
	@$(BIN)/python tests/live.py

tools: setup
	@$(BIN)/python tests/tools.py $(TOOLS_ARGS)

release-check: setup
	@rm -rf build dist
	@$(PIP) wheel -q --no-deps --no-build-isolation --wheel-dir dist .
	@$(BIN)/python -m pytest tests/test_wheel.py
	@echo "dist/ has the wheel; CONTRIBUTING.md says what else a release takes"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 was not found; PYTHON=... names it" >&2; exit 1; }
	@echo "Installing into $(VENV): some minutes, once"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(INSTALL) --editable '.[dev]'
	@$(INSTALL) --no-deps $(PUBLISHED)
	@touch $@

clean:
	rm -rf $(VENV) build dist generated *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
