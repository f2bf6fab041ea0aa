# Everything happens in .venv, inside this checkout; nothing outside it is touched.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-cache-dir
PACKAGING := pyproject.toml setup.cfg
# Many tests wait more than they work, so there are two for each processor.
WORKERS := $(shell expr 2 \* $$(nproc))
# Without compiled files every process of the tests would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-under-load matrix lint databases broker long chaos sdk clean

help:
	@echo "make demo        a site with its own simulated Zoho (ARGS=--once: it ends by itself)"
	@echo "make test        the whole suite on SQLite, with coverage (ARGS: for pytest, then no coverage is demanded)"
	@echo "make lint        style, types and migrations"
	@echo "make databases   the whole suite on DATABASE_URL (ARGS: for pytest)"
	@echo "make broker      end-to-end tests with worker processes on CELERY_BROKER_URL and DATABASE_URL"
	@echo "make test-under-load  end-to-end tests and those of runs, while eight busy loops use the machine (ARGS: for pytest)"
	@echo "make matrix      the suite on every supported Python and Django that this machine has (ARGS: for pytest)"
	@echo "make long        what takes minutes: 5,000 leads, long searches (with CELERY_BROKER_URL: what needs a broker)"
	@echo "make chaos       chaos tests: whole sites under kills and faults (ARGS=--short: three minutes)"
	@echo "make sdk         Zoho's own SDK against the simulator"
	@echo "make clean       remove everything that these commands created"

demo: .venv/.installed
	$(BIN)/python manage.py demo $(ARGS)

test: .venv/.with-test
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --cov --cov-report= --cov-fail-under=0 $(ARGS)
	$(BIN)/coverage report $(if $(ARGS),--fail-under=0)

lint: .venv/.with-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run

databases: .venv/.with-test .venv/.with-databases
	@test -n "$(DATABASE_URL)" || { echo "make databases: set DATABASE_URL"; exit 2; }
	$(BIN)/pytest --numprocesses $(WORKERS) $(ARGS)

broker: .venv/.with-test .venv/.with-databases
	@test -n "$(CELERY_BROKER_URL)" || { echo "make broker: set CELERY_BROKER_URL"; exit 2; }
	$(BIN)/pytest tests/journeys -m "broker and not long" $(ARGS)

test-under-load: .venv/.with-test
	@for _ in 1 2 3 4 5 6 7 8; do (while :; do :; done) & loops="$$loops $$!"; done; \
	trap 'kill $$loops' EXIT; \
	$(BIN)/pytest --numprocesses $(WORKERS) $(or $(ARGS),tests/mass tests/journeys)

matrix: .venv/.with-matrix
	$(BIN)/python -m tests.matrix $(ARGS)

# Each file stays in one process, for its tests share what takes long.
long: .venv/.with-test .venv/.with-databases
	$(BIN)/pytest --numprocesses $(shell nproc) --dist loadfile -m "long and $(if $(CELERY_BROKER_URL),,not )broker" $(ARGS)

chaos: .venv/.with-test .venv/.with-databases
	$(BIN)/python -m tests.chaos $(ARGS)

sdk: .venv/.with-test .venv/.with-sdk
	$(BIN)/pytest tests/sdk $(ARGS)

clean:
	rm -rf .venv .tox .run .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# mysqlclient is built from source: what that needs is checked first, as pip ends in a traceback.
BEFORE_databases = $(BIN)/python -c 'import MySQLdb' 2>/dev/null || $(MYSQLCLIENT_CAN_BE_BUILT) \
	|| { echo "mysqlclient cannot be built; install its Debian packages:" \
	"apt-get install gcc libmariadb-dev pkg-config python3-dev" >&2; exit 2; }
MYSQLCLIENT_CAN_BE_BUILT = { command -v gcc && test -e "$(PYTHON_INCLUDE)/Python.h" \
	&& { test "$$MYSQLCLIENT_CFLAGS" || pkg-config --exists libmariadb \
	|| pkg-config --exists mariadb || pkg-config --exists mysqlclient; }; } >/dev/null 2>&1
PYTHON_INCLUDE = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')

# The pip of Debian 12 knows no dependency groups, so the one in .venv is renewed first.
.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed.")'
	$(PYTHON) -m venv .venv
	$(PIP) install --upgrade pip
	@touch $@

.venv/.installed: $(PACKAGING) | .venv/.created
	$(PIP) install --editable .
	@touch $@

.venv/.with-%: $(PACKAGING) | .venv/.created
	@$(BEFORE_$*)
	$(PIP) install --editable . --group $*
	@touch $@ .venv/.installed
