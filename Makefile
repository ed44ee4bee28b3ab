# Needs Python 3.11 or newer with venv, and nothing else: `make demo`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# The peers that the benchmarks compare with need other versions of what we share with them.
BENCH_VENV := .venv-bench
NATIVE := $(wildcard src/roomtape/audio/timing/_*.[ch])

.PHONY: demo test check format bench soak clean

demo: $(READY)
	$(BIN)/roomtape demo --out demo-out

test: check
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH_VENV)/ready
	$(BENCH_VENV)/bin/python bench/run.py

soak: $(READY)
	PYTHONPATH=tests $(BIN)/python -m soak
	PYTHONPATH=tests $(BIN)/python -m soak.fuzz --minutes 10 --keep soak-out

clean:
	rm -rf $(VENV) $(BENCH_VENV) demo-out bench-out soak-out

$(READY): pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit("Python %d.%d is too old: Roomtape needs 3.11 or newer (make PYTHON=python3.12 ...)" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV): once, about a minute ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(BENCH_VENV)/ready: pyproject.toml bench/constraints.txt $(NATIVE)
	@echo "Setting up $(BENCH_VENV): once, a few minutes ..."
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint bench/constraints.txt --editable '.[bench]'
	@touch $@
