# Reelwire. Bare `make` explains the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint format bench contracts docs kits soak fuzz coverage lock clean

help: ## what each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## the virtual environment, from hash-pinned requirements

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "setting up $(VENV) (once; a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## a real video through local Kafka, the emulator and the service (ARGS=--keep leaves it up)
	@$(BIN)/reelwire demo $(ARGS)

test: $(STAMP) ## the whole test suite, on a real Apache Kafka, in two workers (ARGS="tests/domain -n0" for a part)
	@$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile $(ARGS)

soak: $(STAMP) ## long runs of 500 requests: ten seeds, and ten with brokers killed (SOAK_DELIVERY=at_least_once)
	@$(BIN)/python -m pytest -m soak --timeout=3600 $(ARGS)

fuzz: $(STAMP) ## 100,000 mutated records into the running service (ARGS="--records 2000 --seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

coverage: $(STAMP) ## the test suite once more, with a report of what it runs through (ARGS as for test)
	@$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile --cov --cov-report=term-missing:skip-covered --cov-report=xml $(ARGS)

lint: $(STAMP) ## formatting, linting, strict types, who may import whom, generated contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/reelwire contracts check
	@$(BIN)/python -m kits.generate --check

format: $(STAMP) ## rewrite the code in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Reelwire, the plain SDK loop and the floor in one run: table and plot
	@$(BIN)/python -m benchmarks $(ARGS)

contracts: $(STAMP) ## write JSON Schemas, the AsyncAPI document and the types of the kits from the models
	@$(BIN)/reelwire contracts export contracts/generated
	@$(BIN)/python -m kits.generate

docs: $(STAMP) ## generated pages (settings, messages, commands, metrics), then the whole site: build/site/index.html
	@$(BIN)/python -m service.cli.reference docs/reference
	@cp deploy/prometheus/alerts.yaml deploy/prometheus/slo.yaml deploy/helm/reelwire/files/
	@cp deploy/grafana/dashboards/reelwire.json deploy/helm/reelwire/files/dashboard.json
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "the site is in build/site: open build/site/index.html"

kits: $(STAMP) ## the consumer kits as packages in kits/dist: a wheel, and an npm package where Node is
	@PYTHONPATH=kits/python $(BIN)/python -m kits.build

lock: $(STAMP) ## resolve the requirements anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade --all-extras pyproject.toml -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -c requirements/dev.txt --extra traces pyproject.toml -o requirements/run.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build/site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
