# `make` alone lists what there is. Nothing but Python 3.11 and make is needed to begin.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SILENT:
SHELL := /bin/sh

PYTHON_OF_VENV := .venv/bin/python
# Test settings bring throw-away keys, so that checks need no data directory.
CHECK_SETTINGS := DJANGO_SETTINGS_MODULE=telemetry_site.settings_test
PYTEST := $(PYTHON_OF_VENV) -m pytest -q
PIP_COMPILE := $(PYTHON_OF_VENV) -m piptools compile -q --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-emit-options --strip-extras --annotation-style=line
# The apps whose tests also run on PostgreSQL: those that read or write the database.
STORED := devices ingestion realtime
# Many tests wait for processes they started: three share two cores well. The folders with the
# longest tests come first (`testpaths`), so that no core idles at the end.
SPREAD := -n 3 --dist loadscope --no-loadscope-reorder

.PHONY: help
help: ## list the targets
	sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-10s %s\n' "$$name" "$$what"; done

.PHONY: run
run: ## start the site (PORT=8000 DATA_DIR=var DEMO=1); Ctrl-C stops it
	sh scripts/bootstrap.sh requirements.txt
	exec $(PYTHON_OF_VENV) -m telemetry_site.start

.PHONY: install-dev
install-dev:
	sh scripts/bootstrap.sh requirements.txt requirements-dev.txt

.PHONY: test
test: check ## run all checks and tests, with real Valkey, PostgreSQL and Chromium
	$(PYTHON_OF_VENV) -m scripts.services --newest -- $(MAKE) --no-print-directory -k test-sqlite \
		test-postgres test-postgres-newest test-clickhouse test-outgrown

# The five below run inside `scripts.services`, which names servers, browser and report directory.
.PHONY: test-sqlite test-postgres test-postgres-newest test-clickhouse test-outgrown
test-sqlite:
	echo "== the whole suite, on SQLite =="
	$(PYTEST) $(SPREAD) --junitxml="$$TEST_REPORTS/sqlite.xml"

test-postgres:
	if [ -n "$$TEST_POSTGRES_URL" ]; then \
		echo "== what is stored, on PostgreSQL =="; \
		TEST_DATABASE_URL="$$TEST_POSTGRES_URL" $(PYTEST) $(SPREAD) -m 'database and not browser' \
			--junitxml="$$TEST_REPORTS/postgres.xml" $(STORED); \
	fi

# What a server decides (partitions, locks, plans), on both ends of what is there.
test-postgres-newest:
	if [ -n "$$TEST_POSTGRES_NEWEST_URL" ]; then \
		echo "== readings, on the newest PostgreSQL here =="; \
		TEST_DATABASE_URL="$$TEST_POSTGRES_NEWEST_URL" $(PYTEST) $(SPREAD) \
			-m 'database and not browser' --junitxml="$$TEST_REPORTS/postgres-newest.xml" \
			devices/readings; \
	fi

# Each process that tests has ClickHouse's engine behind HTTP; what is not asked of it, SQLite knows.
test-clickhouse:
	echo "== what is stored, on ClickHouse =="
	TEST_READINGS_URL=chdb $(PYTEST) $(SPREAD) -m 'database and not browser' \
		--junitxml="$$TEST_REPORTS/clickhouse.xml" devices/readings

# What a site has that outgrew one PostgreSQL: writers side by side, whose locks are in the books.
test-outgrown:
	if [ -n "$$TEST_POSTGRES_URL" ]; then \
		echo "== what is written, on ClickHouse beside PostgreSQL =="; \
		TEST_DATABASE_URL="$$TEST_POSTGRES_URL" TEST_READINGS_URL=chdb $(PYTEST) $(SPREAD) \
			-m 'database and not browser' --junitxml="$$TEST_REPORTS/outgrown.xml" \
			$(addprefix devices/readings/tests/test_,backup.py backup_clickhouse.py \
			concurrency.py clickhouse_undone.py correcting.py correcting_together.py newest.py \
			received.py retention.py retention_clock.py rollups.py writing.py); \
	fi

# Its own report, beside the table at the end: one JSON object a line.
.PHONY: chaos
chaos: export CHAOS := long
chaos: export CHAOS_REPORT ?= var/chaos.jsonl
chaos: install-dev ## prove in full what ingestion promises: kills, outages, overload (an hour)
	$(PYTHON_OF_VENV) -m scripts.services -- $(PYTEST) tests/chaos

.PHONY: check
check: install-dev ## style, types, import directions, settings, migrations
	echo "== ruff, mypy, import-linter, Django's checks =="
	$(PYTHON_OF_VENV) -m ruff check .
	$(PYTHON_OF_VENV) -m ruff format --check .
	$(CHECK_SETTINGS) $(PYTHON_OF_VENV) -m mypy .
	.venv/bin/lint-imports
	$(CHECK_SETTINGS) $(PYTHON_OF_VENV) manage.py check --fail-level WARNING
	$(CHECK_SETTINGS) $(PYTHON_OF_VENV) manage.py makemigrations --check --dry-run

.PHONY: fix
fix: install-dev ## repair style where a tool can
	$(PYTHON_OF_VENV) -m ruff check --fix .
	$(PYTHON_OF_VENV) -m ruff format .

.PHONY: lock
lock: install-dev ## pin requirements*.txt from requirements*.in
	CUSTOM_COMPILE_COMMAND="make lock" $(PIP_COMPILE) requirements.in -o requirements.txt
	CUSTOM_COMPILE_COMMAND="make lock" $(PIP_COMPILE) requirements-dev.in -o requirements-dev.txt

.PHONY: bench
bench: install-dev ## measure (NAME=page, or all); one JSON object a line
	TEST_POSTGRES_DURABLE=1 $(PYTHON_OF_VENV) -m scripts.services -- $(PYTHON_OF_VENV) -m benchmarks $(NAME)

.PHONY: replay
replay: install-dev ## poll the recorded feeds in FOLDER with the real stack and report
	$(PYTHON_OF_VENV) -m scripts.services -- $(PYTHON_OF_VENV) -m benchmarks.replay "$(FOLDER)"

.PHONY: clean
clean: ## remove .venv and caches; your data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
