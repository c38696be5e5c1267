# Reelwire. Bare `make` explains the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Most tests wait for brokers and processes, so four workers suit two cores. Python's compiled files are kept, because
# the tests start hundreds of processes of it.
WORKERS ?= 4
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
IN_WORKERS := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test lint format bench contracts docs kits soak fuzz endurance coverage sbom audit lock clean

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

test: $(STAMP) ## the whole test suite, on a real Apache Kafka, in four workers (ARGS="tests/domain -n0" for a part)
	@$(PYTEST) -m "not soak" $(IN_WORKERS) $(ARGS)

soak: $(STAMP) ## long runs of 500 requests: ten seeds, and ten with brokers killed (SOAK_DELIVERY=at_least_once)
	@$(PYTEST) -m soak --timeout=3600 $(ARGS)

fuzz: $(STAMP) ## 100,000 mutated records into the running service (ARGS="--records 2000 --seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

endurance: $(STAMP) ## a day of traffic in an hour: memory, descriptors, topics and takeovers stay flat (ARGS="--minutes 20")
	@$(BIN)/python -m tests.endurance $(ARGS)

coverage: $(STAMP) ## the test suite once more, with a report of what it runs through (ARGS as for test)
	@$(PYTEST) -m "not soak" $(IN_WORKERS) --cov --cov-report=term-missing:skip-covered --cov-report=xml $(ARGS)

lint: $(STAMP) ## formatting, linting, strict types, who may import whom, generated contracts, releases kept
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/reelwire contracts check
	@$(BIN)/python -m tests.evolution.gate
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

sbom: $(STAMP) ## what the image is made of, as CycloneDX: build/sbom.json
	@mkdir -p build
	@$(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements requirements/run.txt --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json
	@echo "build/sbom.json lists what requirements/run.txt pins"

audit: $(STAMP) ## look up known weaknesses of all that is pinned; fails when the service can't be reached (AUDIT_OSV_URL=)
	@$(BIN)/python deploy/audit.py $(ARGS)

lock: $(STAMP) ## resolve the requirements anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade --all-extras pyproject.toml -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --extra msk --extra traces -c requirements/dev.txt pyproject.toml -o requirements/run.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build/site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
