# `make help` lists the targets. Everything is made below this folder: .venv (the private environment), target (Rust)
# and .demo (the demo's kernels). Set VENV, CARGO_TARGET_DIR or DEMO to have them elsewhere.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   ?= .venv
DEMO   ?= .demo
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps

# One profile for the extension, the tests and clippy, so that the dependencies are compiled once.
CARGO_FLAGS := --locked --release
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -path '*/fuzz' -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export VENV
# The interpreter that the extension is configured for: the same for every cargo command, or pyo3 is built twice.
export PYO3_PYTHON := $(abspath $(BIN)/python)

# Two makes at once in one checkout take turns at the environment.
LOCKED := flock .make.lock
SAY = @echo '==>'

.PHONY: help demo test lint lint-python lint-rust lint-stubs test-rust test-python fuzz bench truth environment dev clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

## ---- environment

$(STAMPS)/toolchain: scripts/toolchain Cargo.toml
	$(SAY) "Checking the toolchain: Python, Rust, a C compiler"
	@PYTHON="$(PYTHON)" scripts/toolchain
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/venv: | $(STAMPS)/toolchain
	$(SAY) "Making a private Python environment in $(VENV)"
	@$(LOCKED) $(PYTHON) -m venv $(VENV)
	@touch $@

$(STAMPS)/runtime: pyproject.toml scripts/requirements.py $(STAMPS)/venv
	$(SAY) "Installing what ksurf needs at run time into $(VENV)"
	@$(LOCKED) scripts/install-python runtime
	@touch $@

$(STAMPS)/dev: pyproject.toml scripts/requirements.py $(STAMPS)/runtime
	$(SAY) "Installing what the tests need into $(VENV)"
	@PYTHON="$(PYTHON)" scripts/toolchain dev
	@$(LOCKED) scripts/install-python dev
	@touch $@

$(STAMPS)/core: pyproject.toml $(RUST_SOURCES) $(STAMPS)/runtime
	$(SAY) "Building and installing ksurf (the first build takes a few minutes)"
	@VIRTUAL_ENV="$(abspath $(VENV))" $(LOCKED) $(BIN)/maturin develop --release --locked
	@touch $@

environment: $(STAMPS)/core ## Make the private environment, with ksurf in it
dev: $(STAMPS)/dev $(STAMPS)/core ## The same, with what tests and lint need

## ---- the two commands

demo: $(STAMPS)/core ## Fetch real kernels and print what kvm_vcpu_kick is on each
	@scripts/demo "$(DEMO)"

test: ## Lint and all tests, quick ones first, and a summary
	@MAKE="$(MAKE)" scripts/test

## ---- their parts

lint: lint-python lint-rust lint-stubs ## Formatting, lint and types of both languages

lint-python: $(STAMPS)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lint-rust: $(STAMPS)/dev
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

lint-stubs: $(STAMPS)/dev $(STAMPS)/core
	MYPYPATH=src $(BIN)/python -m mypy.stubtest ksurf._core

# ksurf-py is nothing but the boundary: an extension module has no interpreter to link a test with, pytest tests it.
test-rust: $(STAMPS)/dev
	cargo test $(CARGO_FLAGS) --package ksurf-read --package ksurf-source

fuzz: $(STAMPS)/toolchain ## Far more damaged input than the tests take, for every reader (MUTATIONS=20000 of each seed)
	KSURF_MUTATIONS=$(or $(MUTATIONS),20000) cargo test $(CARGO_FLAGS) --package ksurf-read --package ksurf-source --test mutations

test-python: $(STAMPS)/dev $(STAMPS)/core
	$(BIN)/pytest $(PYTEST)

bench: $(STAMPS)/core ## Measure against the peers: pahole and xz (BENCH=--full for the full amd64 kernel)
	@$(BIN)/python -m benchmarks $(BENCH)

truth: $(STAMPS)/dev $(STAMPS)/core ## Record what real kernels say of themselves: booted under qemu, and by their source
	@$(BIN)/python scripts/truth boot $(TRUTH)
	@$(BIN)/python scripts/truth syscalls $(TRUTH)
	@$(BIN)/python scripts/truth bpf $(TRUTH)
	@$(BIN)/python scripts/truth programs $(TRUTH)

clean: ## Remove what was built; the environment and the demo's kernels stay
	rm -rf target build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis $(STAMPS)/core
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove the environment and the demo's kernels too
	rm -rf $(VENV) "$(DEMO)" demo/out .make.lock src/ksurf/*.so
