# `make run` starts pacsweb, `make test` checks it. Neither needs anything but Python 3.11+,
# Node.js 20+ and make.

PYTHON ?= $(shell command -v python3 || command -v python || echo python3)
BIN := .venv/bin

.PHONY: help run test lint format test-quick benchmark demo build lock docs clean development

help:
	@echo "make run        start pacsweb here; Ctrl-C stops it"
	@echo "make demo       load example studies into the running pacsweb"
	@echo "make test       lint and every test, on SQLite and on PostgreSQL"
	@echo "make test-quick the tests that need no servers and no browser"
	@echo "make lint       ruff, mypy, import contracts, migrations, front end"
	@echo "make format     ruff's formatter and its safe fixes"
	@echo "make benchmark  measurements; see benchmarks/"
	@echo "make build      packages and front end, without starting anything"
	@echo "make lock       pin requirements/*.in anew"
	@echo "make docs       write the generated documents"
	@echo "make clean      remove what was built; never the data folder"

run:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "pacsweb needs Python 3.11 or newer, and found none." >&2; exit 2; }
	@exec $(PYTHON) scripts/bootstrap.py run

build:
	@$(PYTHON) scripts/bootstrap.py runtime

demo: build
	@$(BIN)/python manage.py demo

development:
	@$(PYTHON) scripts/bootstrap.py development

lint: development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	@if [ -f frontend/package.json ]; then cd frontend && npm run --silent lint; fi

format: development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint
	@if [ -f frontend/package.json ]; then cd frontend && npm test --silent; fi
	$(BIN)/python scripts/run_tests.py

test-quick: development
	$(BIN)/python -m pytest tests/standards tests/domain tests/architecture

benchmark: development
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: development
	@for kind in runtime development; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links \
	    --output-file requirements/$$kind.lock requirements/$$kind.in || exit 1; done

docs: development
	@$(BIN)/python manage.py generate_docs

clean:
	rm -rf frontend/dist frontend/node_modules .venv .mypy_cache .ruff_cache .pytest_cache
