# Two commands are all there is to know:  make demo   and   make test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 10
SEED ?= 1
# What `make coverage` holds: lines and branches that are reached (per cent).
CORE := 94
CONVERSATION := 70
WORKERS ?= 8
SEEDS ?= 20000
SECONDS ?= 600
INTERRUPTS ?= 100000
ROUNDS ?= 100000
# Most of the time tests wait, so there may be more of these than processors.
TESTERS ?= 4
# Of those that are marked `alone`; `ALONE=2` is faster on a machine with nothing else to do.
ALONE ?= 1

.PHONY: demo test test-together test-alone plain quick coverage check format map news hooks bench chaos simulate rain races fuzz trajectory clean help

help:
	@echo "make demo        set up and run a first job"
	@echo "make test        set up and run all tests (what this machine lacks is skipped, with the reason)"
	@echo "make plain       tests of workers, where each of them is started as a program of its own"
	@echo "make quick       the tests that need no processes, in half a minute"
	@echo "make coverage    the same, with the branches of the core that they reach; fails below a bound"
	@echo "make check       formatting, types, import rules, sizes"
	@echo "make map         draw docs/map.md anew: imports, modules, tables of states"
	@echo "make news        what the next entry of CHANGELOG.md will say"
	@echo "make hooks       let git judge commit messages in this clone"
	@echo "make trajectory  analyse a real protein trajectory with several workers (large download)"
	@echo "make chaos       a long job under a rain of faults: MINUTES=10 SEED=1 WORKERS=8"
	@echo "make simulate    many histories of master, workers and a bad network, in virtual time: SEEDS=20000"
	@echo "make rain        a program that catches every Ctrl-C and goes on: INTERRUPTS=100000 SEED=1"
	@echo "make races       futures of an executor, between four threads: ROUNDS=100000 SEED=1"
	@echo "make fuzz        bad messages and tickets, searched for this many seconds each: SECONDS=600"
	@echo "make bench       masterworker beside the pools of the standard library, as a table (python -m benchmarks --help)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("masterworker needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[progress]'
	@touch $@

$(VENV)/dev: pyproject.toml $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/examples: pyproject.toml $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[examples]'
	@touch $@

# What else `tests/ecosystem` needs; about 1 GB.
$(VENV)/ecosystem: pyproject.toml $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[ecosystem]'
	@touch $@

# What `tests/engines` needs; about 500 MB, most of it Ray.
$(VENV)/engines: pyproject.toml $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[engines]'
	@touch $@

$(VENV)/bench: pyproject.toml $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

demo: $(VENV)/base
	$(BIN)/python Examples/first_job.py

test: $(VENV)/dev
	$(MAKE) test-together
	$(MAKE) test-alone

test-together: $(VENV)/dev
	$(BIN)/python -m pytest -m "not alone" --numprocesses $(TESTERS) --dist loadfile

test-alone: $(VENV)/dev
	$(BIN)/python -m pytest -m alone --numprocesses $(ALONE) --dist loadfile

# What depends on how a worker is started, where each of them is a program of its own.
PLAINLY := $(patsubst %,tests/faults/test_%.py,processes poison surroundings) \
	$(patsubst %,tests/integration/test_%.py,broken_workers forks life supervisor templates verdicts \
	workers_that_do_not_start)
plain: $(VENV)/dev
	MASTERWORKER_TEMPLATE=0 $(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile $(PLAINLY)

# What needs no processes. The folders are named, so that the others are not even read.
QUICKLY := $(BIN)/python -m pytest --numprocesses 2 -m "quick and not search" \
	$(wildcard tests/unit tests/model tests/contract tests/typing)

quick: $(VENV)/dev
	$(QUICKLY)

# The conversation is mostly the simulation's to search, which is not run here.
coverage: $(VENV)/dev
	$(QUICKLY) --ignore tests/unit/test_house.py --cov --cov-report=
	$(BIN)/coverage report --include "*/conversation/*" --fail-under $(CONVERSATION)
	$(BIN)/coverage report --include "*/core/*,*/wire/*" --fail-under $(CORE)

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.house

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m tools.house --draw

map: $(VENV)/dev
	$(BIN)/python -m tools.house --draw

news: $(VENV)/dev
	$(BIN)/towncrier build --draft --version next

hooks: $(VENV)/dev
	git config core.hooksPath tools/hooks

trajectory: $(VENV)/examples
	$(BIN)/python Examples/trajectory_analysis.py

chaos: $(VENV)/dev
	PYTHONPATH=tests $(BIN)/python -m faults.chaos --minutes $(MINUTES) --seed $(SEED) --workers $(WORKERS)

simulate: $(VENV)/dev
	PYTHONPATH=tests $(BIN)/python -m simulation --seeds $(SEEDS)

rain: $(VENV)/dev
	PYTHONPATH=tests $(BIN)/python -m interruptions.rain --interrupts $(INTERRUPTS) --seed $(SEED)

races: $(VENV)/dev
	PYTHONPATH=tests $(BIN)/python -m races --rounds $(ROUNDS) --seed $(SEED)

fuzz: $(VENV)/dev
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	MASTERWORKER_FUZZ=$(SECONDS) $(BIN)/python -m pytest tests/security/test_wire_fuzz.py

bench: $(VENV)/bench
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.joblib_backends
	$(BIN)/python -m benchmarks.executors

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
