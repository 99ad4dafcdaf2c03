# `make` lists the targets; `make <target> ARGS="…"` passes ARGS to the command of the target.
.PHONY: help setup demo test test-quick soak chaos check generated docs audit compose-check bench lock dist clean
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything for development in .venv; tries libvirt again if it was skipped
	scripts/setup dev --again

demo: .venv/run.stamp ## run the whole pipeline on this machine with simulated sources; installs what it needs
	.venv/bin/rackstream demo $(ARGS)

test: .venv/dev.stamp ## run all tests except the soak tests
	.venv/bin/pytest -n 5 --dist loadfile --no-loadscope-reorder -m "not soak" $(ARGS)

test-quick: .venv/dev.stamp ## run the unit tests of the packages, without Kafka
	.venv/bin/pytest -n auto -m "not soak" tests/unit --ignore=tests/unit/repository $(ARGS)

soak: .venv/dev.stamp ## run the long tests
	.venv/bin/pytest -m soak --timeout=0 $(ARGS)

chaos: .venv/dev.stamp ## inject faults into a pipeline, then audit it; ARGS="--short --json" as in CI, ARGS=--self-check
	@.venv/bin/python -m chaos $(ARGS)

check: .venv/dev.stamp ## check style, types, import layers, generated files and lock files
	.venv/bin/ruff check . && .venv/bin/ruff format --check .
	.venv/bin/mypy && .venv/bin/lint-imports
	.venv/bin/python scripts/audit
	.venv/bin/pytest -q tests/unit/repository/test_packaging.py
	scripts/generate --check

generated: .venv/dev.stamp ## generate record types, tables, reference pages and dashboards from the code
	scripts/generate

docs: .venv/dev.stamp ## build the documentation in site/; ARGS=serve for a live preview
	.venv/bin/mkdocs $(or $(ARGS),build --strict)

audit: .venv/dev.stamp ## look up known vulnerabilities of the pinned packages
	.venv/bin/python scripts/audit $(ARGS)

compose-check: .venv/dev.stamp ## check compose/ with Docker's loader, promtool, amtool, our settings and commands; needs no Docker
	.venv/bin/pytest -m "soak or not soak" --timeout=0 tests/unit/repository/test_compose*.py tests/unit/rackstream/local/test_prometheus_targets.py \
	  tests/e2e/sinks/test_alertmanager.py tests/e2e/documents/test_compose_by_hand.py $(ARGS)

bench: .venv/dev.stamp ## measure Rackstream and its peers, in one table; ONLY=bench/name.py for one part with its options
	@.venv/bin/python $(or $(ONLY),bench/run.py) $(ARGS)

lock: .venv/dev.stamp ## update requirements/*.txt from pyproject.toml; ARGS=--upgrade for newer versions
	.venv/bin/python scripts/lock $(ARGS)

dist: .venv/dev.stamp ## build a wheel and a source archive in dist/, reproducibly
	rm -rf dist && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .venv/bin/python -m hatchling build -d dist

clean: ## remove .venv, caches and build output; keeps the data in .rackstream
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +

# .venv follows the lock files: scripts/setup writes a stamp, so that it runs only after a change.
.venv/%.stamp: requirements/%.txt requirements/libvirt.txt requirements/build.txt pyproject.toml scripts/setup
	scripts/setup $*
