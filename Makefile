# Everything happens in .venv, inside this checkout; nothing outside it is touched.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-cache-dir
PACKAGING := pyproject.toml setup.cfg
# Many tests wait more than they work, so there are two for each processor.
WORKERS := $(shell expr 2 \* $$(nproc))
# Without compiled files every process of the tests would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

DOCUMENTED_SCREENS = $(shell sed -n 's|.*(images/\([a-z-]*\)-light-1280.png).*|\1|p' docs/screens.md)

.PHONY: help demo test coverage test-under-load matrix lint messages databases broker long chaos sdk test-browser pictures clean

help:
	@echo "make demo        a site with its own simulated Zoho (ARGS=--once: it ends by itself)"
	@echo "make test        the whole suite on SQLite (ARGS: for pytest)"
	@echo "make coverage    the same, and which lines and branches of the package it reaches"
	@echo "make lint        style, types and migrations"
	@echo "make messages    the catalogue of each language from code and templates, and compiled"
	@echo "make databases   what has to do with tables on DATABASE_URL (ARGS: for pytest)"
	@echo "make broker      end-to-end tests with worker processes on CELERY_BROKER_URL and DATABASE_URL"
	@echo "make test-under-load  end-to-end tests and those of runs, while eight busy loops use the machine (ARGS: for pytest)"
	@echo "make matrix      the suite on every supported Python and Django that this machine has (ARGS: for pytest)"
	@echo "make long        what takes minutes: 5,000 leads, long searches (with CELERY_BROKER_URL: what needs a broker)"
	@echo "make chaos       chaos tests: whole sites under kills and faults (ARGS=--short: about five minutes)"
	@echo "make sdk         Zoho's own SDK against the simulator"
	@echo "make test-browser  journeys and screens in Debian's Chromium (ARGS: for pytest)"
	@echo "make pictures    the pictures of docs/screens.md, in docs/images"
	@echo "make clean       remove everything that these commands created"

demo: .venv/.installed
	$(BIN)/python manage.py demo $(ARGS)

test: .venv/.with-test
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

# Tracing branches doubles the time of some tests.
coverage: .venv/.with-test
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --cov --cov-branch $(ARGS)

lint: .venv/.with-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run

# Without date and line numbers a catalogue changes when a text does, and not otherwise.
messages: .venv/.installed
	@command -v msgfmt >/dev/null || { echo "gettext is missing: apt-get install gettext" >&2; exit 2; }
	cd zoho_crm && ../$(BIN)/python ../manage.py makemessages --all --no-wrap --no-obsolete --add-location file
	sed -i '/^"POT-Creation-Date/d' zoho_crm/locale/*/LC_MESSAGES/django.po
	cd zoho_crm && ../$(BIN)/python ../manage.py compilemessages

databases: .venv/.with-test .venv/.with-databases
	@test -n "$(DATABASE_URL)" || { echo "make databases: set DATABASE_URL"; exit 2; }
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

broker: .venv/.with-test .venv/.with-databases
	@test -n "$(CELERY_BROKER_URL)" || { echo "make broker: set CELERY_BROKER_URL"; exit 2; }
	$(BIN)/pytest tests/journeys -m "broker and not long" $(ARGS)

test-under-load: .venv/.with-test
	@for _ in 1 2 3 4 5 6 7 8; do (while :; do :; done) & loops="$$loops $$!"; done; \
	trap 'kill $$loops' EXIT; \
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(or $(ARGS),tests/mass tests/journeys)

matrix: .venv/.with-matrix
	$(BIN)/python -m tests.matrix $(ARGS)

# Each file stays in one process, for its tests share what takes long; the order is theirs, for xdist
# would begin with the files of most tests.
long: .venv/.with-test .venv/.with-databases
	$(BIN)/pytest --numprocesses $(shell nproc) --dist loadfile --no-loadscope-reorder \
		-m "long and $(if $(CELERY_BROKER_URL),,not )broker" $(ARGS)

chaos: .venv/.with-test .venv/.with-databases
	$(BIN)/python -m tests.chaos $(ARGS)

sdk: .venv/.with-test .venv/.with-sdk
	$(BIN)/pytest tests/sdk $(ARGS)

test-browser: .venv/.with-test .venv/.with-browser
	@$(BEFORE_browser)
	$(BIN)/pytest --numprocesses $(shell nproc) --dist worksteal tests/browser $(ARGS)

pictures: .venv/.with-test .venv/.with-browser
	@$(BEFORE_browser)
	$(BIN)/pytest $(DOCUMENTED_SCREENS:%='tests/browser/test_screens.py::test_a_screen_is_accessible_and_fits[%]') \
		--pictures docs/images $(ARGS)

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

BEFORE_browser = command -v chromium >/dev/null || { echo "There is no browser:" \
	"apt-get install chromium" >&2; exit 2; }

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
