# One door per wish. `make <target> ARGS="…"` hands ARGS to the command behind it.
.PHONY: help setup demo test soak chaos check generated docs audit compose-check bench lock dist clean
.NOTPARALLEL:
GENERATED = schemas producers.redfish runtime rackstream.access.docs rackstream.reference compose.grafana.build bench.support.pages

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## everything for working on Rackstream, in .venv; tries libvirt again where it was left out
	scripts/setup dev --again

demo: .venv/run.stamp ## the whole pipeline on this machine with simulated sources; sets up what it needs
	.venv/bin/rackstream demo $(ARGS)

test: .venv/dev.stamp ## all tests but the soak tests
	.venv/bin/pytest -n 5 --dist loadfile --no-loadscope-reorder -m "not soak" $(ARGS)

soak: .venv/dev.stamp ## the tests that run for long, with the full counts
	.venv/bin/pytest -m soak --timeout=0 $(ARGS)

chaos: .venv/dev.stamp ## the pipeline under faults, then the audit of it; ARGS="--short --json" as in CI, ARGS=--self-check
	@.venv/bin/python -m chaos $(ARGS)

check: .venv/dev.stamp ## style, types, arrows, generated files, lock files: changes nothing
	.venv/bin/ruff check . && .venv/bin/ruff format --check .
	.venv/bin/mypy && .venv/bin/lint-imports
	.venv/bin/python scripts/audit
	.venv/bin/pytest -q tests/unit/repository/test_packaging.py
	@for each in $(GENERATED); do .venv/bin/python -m $$each --check || exit 1; done

generated: .venv/dev.stamp ## what is made from the code: record types, tables, reference pages, dashboards
	@for each in $(GENERATED); do .venv/bin/python -m $$each || exit 1; done

docs: .venv/dev.stamp ## the documentation as pages, in site/; ARGS=serve to read it while writing
	.venv/bin/mkdocs $(or $(ARGS),build --strict)

audit: .venv/dev.stamp ## known vulnerabilities of what requirements/ pins; says so where no service can be reached
	.venv/bin/python scripts/audit $(ARGS)

compose-check: .venv/dev.stamp ## compose/ against Docker's loader, promtool, amtool, our settings and commands; its images and processes by hand; no Docker
	.venv/bin/pytest -m "soak or not soak" --timeout=0 tests/unit/test_compose*.py tests/unit/rackstream/local/test_prometheus_targets.py \
	  tests/e2e/sinks/test_alertmanager.py tests/e2e/documents/test_compose_by_hand.py $(ARGS)

bench: .venv/dev.stamp ## everything measured next to the peers, in one table; ONLY=bench/name.py for one part with its options
	@.venv/bin/python $(or $(ONLY),bench/run.py) $(ARGS)

lock: .venv/dev.stamp ## requirements/*.txt from pyproject.toml; ARGS=--upgrade for newer versions
	.venv/bin/python scripts/lock $(ARGS)

dist: .venv/dev.stamp ## a wheel and a source archive, in dist/; the same bytes for the same commit
	rm -rf dist && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .venv/bin/python -m hatchling build -d dist

clean: ## remove .venv, caches and build output; data in .rackstream stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +

# .venv follows the lock files. The stamps are written by scripts/setup, so that a second `make demo` costs nothing.
.venv/%.stamp: requirements/%.txt requirements/libvirt.txt requirements/build.txt pyproject.toml scripts/setup
	scripts/setup $*
