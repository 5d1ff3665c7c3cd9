# make run      the hub with the demo companies on http://127.0.0.1:8080
# make test     every test            make check    lint, types, layers
# make bench    the README's figures  make help     all of it
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

# The environment remembers which lock it was made from, so a second start installs nothing.
$(VENV)/.runs: requirements.lock
	@test -x $(BIN)/python || $(MAKE) --no-print-directory venv
	@test -f $(VENV)/.complete || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.complete: requirements.lock requirements-dev.lock
	@test -x $(BIN)/python || $(MAKE) --no-print-directory venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $(VENV)/.runs $@

.PHONY: venv
venv:
	@$(PYTHON) -c 'import sys; sys.exit("Leadfloor needs Python 3.11 or newer; this is %s. Try: make PYTHON=python3.12 …" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making $(VENV) …"; $(PYTHON) -m venv $(VENV)

.PHONY: setup
setup: $(VENV)/.complete ## .venv with all that check and test need

.PHONY: run
run: $(VENV)/.runs ## the embedded hub with the demo companies
	@exec $(BIN)/python main.py --demo

.PHONY: test
test: setup ## every test but the long ones
	@$(BIN)/python -m pytest -m "not long"

.PHONY: test-long
test-long: setup ## the long versions: 200 kills, soak, fuzzing
	@$(BIN)/python -m pytest -m long

.PHONY: check
check: setup ## ruff (lint, format), mypy strict on backend, the layers
	@$(BIN)/ruff check --no-cache .
	@$(BIN)/ruff format --no-cache --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: bench
bench: setup ## the figures quoted in the README, beside their peers
	@$(BIN)/python -m bench

.PHONY: lock
lock: ## renew the hashed locks (needs uv)
	uv pip compile --universal --generate-hashes --no-annotate --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-annotate --python-version 3.11 pyproject.toml --group dev -o requirements-dev.lock

.PHONY: clean
clean: ## everything that can be made again (not data/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
