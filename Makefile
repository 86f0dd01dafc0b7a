# Everything runs in .venv, made here from PYTHON (3.8 or newer) when it is not there yet.
# Tests are shared out to WORKERS processes, one more than there are cores: many tests wait.

PYTHON ?= python3
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
BIN := .venv/bin
PY := $(BIN)/python
INSTALL = $(PY) -m pip install --quiet --quiet
SHARED_OUT := --numprocesses $(WORKERS) --dist loadscope
LINTED := lupis_instrument sitecustomize_template tests examples .ci

.DEFAULT_GOAL := help
# Otherwise each program that a test starts would compile this package again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup demo test test-slow test-runners test-browser coverage test-all test-clients suites backends lint typecheck bench catalog docs site build clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1@\2/p' Makefile | while IFS=@ read -r target text; \
	do printf '  make %-12s %s\n' "$$target" "$$text"; done

setup: .venv/.installed-dev  ## make .venv with all that the other targets need

demo: .venv/.installed  ## run a small agent offline, and show what its LLM calls did
	LUPIS_EXPORTER=console LUPIS_SUMMARY=true LUPIS_ROOT_SPAN=true LUPIS_CHAT_ID=$${LUPIS_CHAT_ID:-demo-trip} \
	$(BIN)/lupis-run $(PY) examples/agent.py
	@LUPIS_EXPORTER=local LUPIS_DATA_DIR=.venv/demo LUPIS_SUMMARY=false LUPIS_ROOT_SPAN=true \
	LUPIS_CHAT_ID=$${LUPIS_CHAT_ID:-demo-trip} $(BIN)/lupis-run $(PY) examples/agent.py >/dev/null 2>&1
	@echo "In the browser: LUPIS_DATA_DIR=.venv/demo $(BIN)/lupis ui"

test: setup  ## run the fast tests, in random order; ARGS="-k name" for some
	$(PY) -m pytest $(SHARED_OUT) --durations 10 -m "not slow" $(ARGS)

test-slow: setup  ## run the slow tests, which `make test` leaves out
	$(PY) -m pytest $(SHARED_OUT) -m slow $(ARGS)

test-runners: .venv/.installed-runners  ## run the tests with gunicorn, celery, gevent and the like
	$(PY) -m pytest -m runners $(ARGS)

test-browser: .venv/.installed  ## test the pages of `lupis ui` in Chromium; needs node 20
	.ci/browser

coverage: setup  ## run the fast tests, and show which lines and branches none of them reached
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest $(SHARED_OUT) -m "not slow" $(ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

test-all:  ## run the tests on each Python there is, with the oldest and the newest OpenTelemetry
	$(PYTHON) .ci/matrix.py $(ARGS)

test-clients:  ## run the tests of the clients with the oldest releases of the clients
	$(PYTHON) .ci/matrix.py --python 3.8 3.10 --opentelemetry newest --clients oldest $(ARGS)

suites: setup  ## run the clients' own test suites, with lupis-run and without; takes an hour
	$(PY) .ci/suites.py $(ARGS)

backends: setup  ## send a run to Phoenix and to MLflow, and ask their APIs for it
	$(PY) .ci/backends.py $(ARGS)

lint: setup  ## check style, format and English
	$(PY) -m ruff check $(LINTED)
	$(PY) -m ruff format --check $(LINTED)
	$(PY) .ci/english.py $(LINTED)

typecheck: setup  ## check the types
	$(PY) -m mypy

bench: setup  ## measure what it costs a program
	@for file in tests/bench/*.py; do echo "== $$file" && $(PY) "$$file" || exit 1; done

catalog: setup  ## make the catalog of prices from the newest genai-prices
	$(INSTALL) --upgrade genai-prices
	$(PY) .ci/catalog.py

docs: setup  ## write the generated parts of docs/
	$(PY) .ci/docs.py docs

site: setup  ## build the site with the documentation, in .site
	$(PY) -m dependency_groups --output .venv/docs.txt docs
	$(INSTALL) --requirement .venv/docs.txt
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict --config-file .ci/mkdocs.yml

build: setup  ## build sdist and wheel, look into the wheel, and have an old pip take it
	rm -rf dist
	$(PY) -m build
	$(PY) .ci/check_wheel.py dist/*.whl
	$(PY) .ci/check_install.py dist/*.whl

clean:  ## remove what the other targets made
	rm -rf .venv .venvs .site dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp says that what pyproject.toml asks for is installed; pip is brought up to date first, for
# those that old Pythons bring along take minutes to resolve what newer ones do in seconds.
$(PY):
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade pip

.venv/.installed: pyproject.toml | $(PY)
	$(INSTALL) --editable .
	@touch $@

# pip installs dependency groups from 25.1 on, which Python 3.8 never gets; this package resolves
# them for any pip.
.venv/.installed-dev: pyproject.toml | $(PY)
	$(INSTALL) dependency-groups
	$(PY) -m dependency_groups --output .venv/dev.txt dev
	$(INSTALL) --editable ".[async]" --requirement .venv/dev.txt
	@touch .venv/.installed $@

# uWSGI is built here, for this interpreter; its tests skip where that can't be done.
.venv/.installed-runners: .venv/.installed-dev
	$(PY) -m dependency_groups --output .venv/runners.txt runners
	$(INSTALL) --requirement .venv/runners.txt
	-$(INSTALL) uwsgi
	@touch $@
