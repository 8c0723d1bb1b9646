# Two commands: make bench, make test. Both set up .venv first.
#
#   PYTHON   the interpreter that .venv is made with (make clean first, or name another VENV)
#   CXX      the compiler
#   QUICK=1  a short run
#   LOCKED=1 the versions that .ci/requirements.txt has, by their hashes, as CI takes them
#
# make check: what CI runs. make coverage: how much of the code the tests run, by file; TESTS="a b"
#   takes a few of them
#
# make gate BASE=main: has anything become slower since?
#
# make interpreters: the Python variants on every CPython found here, a run on each;
#   INTERPRETERS="a b" names more of them, ONLY="3.12 3.13" takes a few
#
# What is tried with tools of its own, each named where it is missing (CONTRIBUTING.md has more):
# make sanitize: every native entry under address, undefined-behaviour and thread sanitizers and valgrind
# make fuzz: the native entries and the readers of files, a minute; SECONDS=600 longer
# make cpus: CPUs that are not here, and aarch64, under QEMU
# make compilers: each that is found, from GCC 11 and Clang 14 on; COMPILERS="a b" takes a few
# make pythons: the tests on each CPython that is found
# make endings: kill -9 and a full disk at each moment of a command; STEP=5 every fifth
#
# make package: what users install, built and tried in empty environments, also with the lowest
#   versions that pyproject.toml allows
#
# From the second run on, make bench compares with the one before, and the report shows how they moved.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check
# Every test, and every benchmark case once: verified, untimed, and so JOBS at a time. One more than
# most runners have cores, as many tests wait for processes.
JOBS ?= 3
TEST = pytest --benchmark-disable --baremetal-quick -n $(JOBS) --dist worksteal
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
  --no-annotate --no-header pyproject.toml
RUN_FLAGS = $(if $(QUICK),--baremetal-quick) $(if $(wildcard .benchmarks/*/*.json),--benchmark-compare)

.PHONY: bench test check coverage gate interpreters package sanitize fuzz cpus compilers pythons endings lock lint build clean

bench: build
	$(BIN)/python -m pytest --benchmark-only --benchmark-autosave $(RUN_FLAGS)
	$(BIN)/python -m bench report

test: build
	$(BIN)/python -m $(TEST)

check:
	.ci/run

# The floor is given here, not in pyproject.toml: there it would fail every pytest --cov of a few
# tests. A third of them, without the native ones and most of the gate's, reach 87.
coverage: build
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(TEST) $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=85

gate: build
	$(BIN)/python -m bench gate run --base $(or $(BASE),HEAD) $(if $(QUICK),--quick)

interpreters: build
	INTERPRETERS="$(PYTHON) $(INTERPRETERS)" $(BIN)/python -m bench interpreters \
	  $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

package: build
	.ci/package $(BIN)

sanitize: build
	$(BIN)/python -m tests.sanitize

fuzz: build
	$(PIP) --quiet $(if $(LOCKED),--require-hashes -r .ci/requirements-fuzz.txt,-e '.[fuzz]')
	$(BIN)/python -m tests.fuzz $(SECONDS)

cpus: build
	$(BIN)/python -m tests.cpus

compilers: build
	$(BIN)/python -m tests.compilers $(COMPILERS)

pythons: build
	INTERPRETERS="$(PYTHON) $(INTERPRETERS)" $(BIN)/python -m tests.pythons $(TESTS)

endings: build
	$(BIN)/python -m tests.rough_endings $(STEP)

lint: build
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror kernels_c/*.h kernels_c/*.cpp kernels_c/*/*.h kernels_c/*/*.cpp

# Rebuilds only what changed; says what is missing and how to get it.
build: $(VENV)/installed
	$(BIN)/python build_ffi.py

$(VENV)/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "BareMetal-ML needs Python 3.10 or newer as PYTHON (got: $(PYTHON))"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"; exit 2; }
	@# First what build_ffi.py needs: what it lacks it says in one line, pip in a hundred.
	$(PIP) $(if $(LOCKED),--require-hashes -r .ci/requirements.txt,--quiet --upgrade cffi)
	$(BIN)/python build_ffi.py
	$(PIP) -e $(if $(LOCKED),. --no-deps --no-build-isolation,'.[test]')
	@touch $@

# The versions and hashes that LOCKED=1 takes, and releases.
lock: build
	$(LOCK) --extra test --python-version 3.10 -o .ci/requirements.txt
	$(LOCK) --extra fuzz --python-version 3.12 -o .ci/requirements-fuzz.txt
	$(LOCK) --extra release --python-version 3.12 -o .ci/requirements-release.txt

clean:
	rm -rf $(VENV) .venv-interpreters build dist *.egg-info kernels_c/*.so report .coverage*
