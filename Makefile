# Needs Python 3.11 or newer and make, nothing else. `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.9

# Nothing that runs here reports home or asks the network at run time.
export DO_NOT_TRACK = 1
export MLFLOW_DISABLE_TELEMETRY = true
export KEDRO_DISABLE_TELEMETRY = 1
export PATH := $(CURDIR)/$(BIN):$(PATH)
# every command starts Python anew, and would compile our own code each time
unexport PYTHONDONTWRITEBYTECODE

# bandit's names of what docs/security.md explains line by line; ruff watches over new ones
EXPLAINED = B310,B404,B603,B606,B608,B704

.DEFAULT_GOAL := help
.PHONY: help setup run quick test coverage torture lint audit format viz ui serve bench bench-autogluon bench-speed lock clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# uv takes seconds where pip takes minutes; pip is for machines whose mirror only pip.conf knows
install = $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(1)/bin/python -r $(2) \
	  || $(1)/bin/python -m pip install --quiet --require-hashes -r $(2)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else \
	  "found Python %d.%d, expected 3.11 to 3.13: name another one with make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(call install,$(VENV),requirements.lock)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP)  ## make the virtual environment (done by every other command when needed)

run: $(STAMP)  ## train, backtest, forecast and report on data/01_raw/transactions
	kedro run

quick: $(STAMP)  ## the same, smaller and faster, to try things out
	kedro run --env=quick

# 450 MB that nothing but these tests needs, beside the other packages because MLflow imports it at
# every start where it is among them; where it cannot be got the tests are skipped and say so
SPARK = $(VENV)/spark
into = --quiet --require-hashes --no-deps --target $(SPARK) --requirement $<

$(SPARK)/.installed: tests/requirements-spark.lock $(STAMP)
	@($(BIN)/uv pip install --python $(BIN)/python $(into) || $(BIN)/python -m pip install $(into)) \
	  && touch $@ || echo "Spark could not be installed: its tests are skipped." >&2

# the order of the files is the one that tests/conftest.py gives them
TESTS = pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

test: $(STAMP) $(SPARK)/.installed  ## all tests
	@sh tests/setup_system.sh
	$(TESTS)

coverage: $(STAMP) $(SPARK)/.installed  ## all tests, and the lines that none of them runs; a third slower
	@sh tests/setup_system.sh
	$(TESTS) --cov --cov-report=term

torture: $(STAMP)  ## kill runs at random moments, and damage their input at random; minutes long
	pytest -m torture tests/torture/test_damage_matrix.py
	pytest -m torture --numprocesses=2 --dist=loadfile tests/torture --ignore-glob='*_matrix.py'

lint: $(STAMP)  ## style, and which room may import what
	ruff check .
	ruff format --check .
	lint-imports --no-cache

audit: $(STAMP)  ## known holes in the pinned versions, and bandit; needs the internet (docs/security.md)
	uv tool run --from pip-audit==2.10.1 pip-audit --disable-pip --requirement requirements.lock
	uv tool run --from bandit==1.9.4 bandit --quiet --recursive src data benchmarks --skip $(EXPLAINED)

format: $(STAMP)  ## put the code into the project's style
	ruff check --fix .
	ruff format .

viz: $(STAMP)  ## the pipeline in the browser, http://127.0.0.1:4141
	kedro viz run

ui: $(STAMP)  ## the MLflow UI, http://127.0.0.1:5000
	kedro explore --serve

serve: $(STAMP)  ## forecasts over HTTP, http://127.0.0.1:5001 (or PORT=...; ENV=... as for kedro)
	kedro serve --port=$(or $(PORT),5001) $(if $(ENV),--env=$(ENV))

# the peers of the benchmark need other versions than we do: environments of their own
.venv-%/.installed: benchmarks/requirements-%.lock | $(STAMP)
	$(PYTHON) -m venv --clear .venv-$*
	$(call install,.venv-$*,$<)
	@touch $@

bench: $(STAMP) .venv-peers/.installed  ## measure ours and every peer again (see benchmarks/RESULTS.md)
	python benchmarks/run.py

bench-autogluon: .venv-autogluon/.installed  ## make the large environment of AutoGluon, then the same
	$(MAKE) bench

bench-speed: $(STAMP) .venv-peers/.installed  ## measure again how fast reading, training and tracking are
	python benchmarks/run.py reading rows scale slope tracking
	python benchmarks/guard.py

COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header

lock: $(STAMP)  ## pin the dependencies anew after a change of pyproject.toml
	$(COMPILE) --group dev pyproject.toml --output-file requirements.lock
	$(COMPILE) --group pyproject.toml:spark --output-file tests/requirements-spark.lock
	for group in peers autogluon; do \
	  $(COMPILE) --group pyproject.toml:$$group --output-file benchmarks/requirements-$$group.lock || exit; done

clean:  ## remove the environment and every output of a run
	rm -rf $(VENV) .venv-peers .venv-autogluon benchmarks/.cache mlflow.db* mlruns .pytest_cache .ruff_cache .hypothesis .coverage*
	find data/0[2-8]_* -mindepth 1 ! -name .gitkeep -delete
