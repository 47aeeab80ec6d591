# Every target prepares what it needs: .venv, packages, and for the tests Debian packages. See CONTRIBUTING.md.
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## a sample shop under traffic, with its dashboard; ARGS="--seconds 60" and others: see ARGS=--help
	@scripts/venv demo
	@exec .venv/bin/python examples/shop/demo.py $(ARGS)

test: ## everything: lint, types, import rules, unit, integration and acceptance tests, coverage
	@scripts/venv demo test
	@scripts/debian
	@exec scripts/test

lint: ## style, types and import rules only
	@scripts/venv demo test
	@exec scripts/lint

bench: ## run every benchmark and write docs/benchmarks.md; ARGS="cache waves" for some
	@scripts/venv demo test bench
	@exec .venv/bin/python scripts/benchmarks.py $(ARGS)

clean: ## remove what the targets made
	rm -rf .venv .demo build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
