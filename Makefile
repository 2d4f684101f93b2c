# What there is to do with bulkhaul. Every target installs what it needs (root or sudo) and does
# nothing twice. `make help` lists them.
PREFIX ?= /usr/local
BULKHAUL_BENCH_ROUNDS ?= 5
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help deps build demo test test-all bench lint format fuzz coverage docs install clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Debian packages and the pinned Arrow under build/deps
	@scripts/install-packages build
	@scripts/setup-python build

build: deps ## The program, at build/release/bulkhaul
	@scripts/dev-build release bulkhaul

demo: build ## Exports 2 million orders from a SQLite database, verifies them, shows the report
	@scripts/demo

test: ## Every suite; unit, contract and fault suites again under ASan+UBSan and TSan
	@scripts/install-packages build test lint fuzz
	@scripts/setup-python test
	@scripts/setup-npm
	@build/deps/venv/bin/python scripts/run-tests

test-all: ## The same, and the search suites again with OpenSearch 2 and Elasticsearch 8
	@scripts/install-packages build test lint fuzz
	@scripts/setup-python test
	@scripts/setup-npm
	@build/deps/venv/bin/python scripts/run-tests all search

bench: build ## Measures bulkhaul against what else there is and the raw protocols; draws pictures
	@scripts/install-packages build bench test
	@scripts/setup-python bench
	@scripts/dev-build release bulkhaul raw_copy raw_load raw_search delay_proxy
	@build/deps/venv/bin/python bench/run.py --rounds $(BULKHAUL_BENCH_ROUNDS)
	@build/deps/venv/bin/python bench/plot.py

lint: ## clang-format, clang-tidy, the layer test
	@scripts/install-packages build lint
	@scripts/setup-python test
	@scripts/lint

format: ## Formats the C++ sources in place
	@scripts/install-packages lint
	@scripts/lint fix

fuzz: ## Each fuzz target for BULKHAUL_FUZZ_SECONDS (60)
	@scripts/install-packages build fuzz
	@scripts/setup-python build
	@scripts/fuzz

coverage: ## Line coverage of the unit and contract tests
	@scripts/install-packages build test
	@scripts/setup-python coverage
	@scripts/coverage

docs: build ## Rewrites the pages that are made from the code
	@scripts/make-docs

install: build ## Installs to PREFIX (/usr/local), with the Arrow libraries beside it
	@cmake --install build/release --prefix "$(DESTDIR)$(PREFIX)" --component bulkhaul

clean: ## Deletes build outputs, but not the downloaded dependencies
	@find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true
