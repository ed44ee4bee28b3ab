# Needs Python 3.11 or newer with venv, and nothing else: `make demo`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# The peers that the benchmarks compare with need other versions of what we share with them.
BENCH_VENV := .venv-bench
TEST_OUT := test-out
# livekit-agents pins another version of LiveKit's SDK than the one that the tests use.
AGENTS_VENV := .venv-agents
AGENTS_PINS := tests/livekit_rooms/agents-constraints.txt
# pipecat-ai pins another version of soxr.
PIPECAT_VENV := .venv-pipecat
PIPECAT_PINS := tests/integrations/pipecat-constraints.txt
NATIVE := $(wildcard src/roomtape/audio/timing/_*.[ch])

# What waits for the real clock, or harms the machine for a while, runs side by side: it mostly sleeps.
# All else uses a processor from its first moment to its last, and takes what the others leave of it.
OUTSIDE := realtime or root or browser
SIDE_BY_SIDE := 4
# A server of another make and its clients take a processor each call, and all of the machine.
LIVEKIT := tests/livekit_rooms tests/fleet
PROCESSORS := $(shell nproc 2>/dev/null || echo 2)

# Each worker would compile all tests anew, and each program that they start all of the package.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint format bench soak agents pipecat clean

demo: $(READY)
	$(BIN)/roomtape demo --out demo-out

test: lint
	@mkdir -p $(TEST_OUT); failed=0; \
	echo "Tests, 1 of 4 (what waits for no clock) begin, and beside them 2 of 4: what runs in real time"; \
	$(BIN)/pytest -n $(PROCESSORS) -m 'not ($(OUTSIDE))' >$(TEST_OUT)/1.txt 2>&1 & first=$$!; \
	trap 'kill $$first 2>/dev/null' INT TERM; \
	$(BIN)/pytest -n $(SIDE_BY_SIDE) -m '($(OUTSIDE)) and not alone' $(addprefix --ignore=,$(LIVEKIT)) || failed=1; \
	echo "Tests, 1 of 4: what waits for no clock"; wait $$first || failed=1; cat $(TEST_OUT)/1.txt; \
	echo "Tests, 3 of 4: calls over LiveKit, in real time"; \
	$(BIN)/pytest -n $(PROCESSORS) -m '($(OUTSIDE)) and not alone' $(LIVEKIT) || failed=1; \
	echo "Tests, 4 of 4: what takes the machine for itself"; $(BIN)/pytest -m alone || failed=1; \
	exit $$failed

check: lint
	$(BIN)/pytest -n $(PROCESSORS) -m 'not ($(OUTSIDE) or slow)'

lint: $(READY)
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

agents: $(AGENTS_VENV)/ready

pipecat: $(PIPECAT_VENV)/ready

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(AGENTS_VENV) $(PIPECAT_VENV) demo-out bench-out soak-out $(TEST_OUT)

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

$(AGENTS_VENV)/ready: pyproject.toml $(AGENTS_PINS) $(NATIVE)
	@echo "Setting up $(AGENTS_VENV): once, two minutes ..."
	$(PYTHON) -m venv $(AGENTS_VENV)
	$(AGENTS_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint $(AGENTS_PINS) --editable '.[livekit-sdk]' livekit-agents
	@touch $@

$(PIPECAT_VENV)/ready: pyproject.toml $(PIPECAT_PINS) $(NATIVE)
	@echo "Setting up $(PIPECAT_VENV): once, a minute ..."
	$(PYTHON) -m venv $(PIPECAT_VENV)
	$(PIPECAT_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint $(PIPECAT_PINS) --editable '.[pipecat]' fastapi uvicorn websockets
	@touch $@
