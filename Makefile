# What a person types. `make help` lists it.

SHELL := /bin/bash
TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help run test test-long lint web bench fuzz setup-run setup-test setup-fuzz

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup-run ## Build the server and start it with a demo stream. ARGS="--data-dir DIR" adds arguments
	cargo build --release
	@exec "$(TARGET_DIR)/release/nova" serve --demo $(ARGS)

test: setup-test lint ## Every test but the long ones
	cargo nextest run --workspace

test-long: setup-test ## The long tests: browser runs, crash loops, load
	cargo nextest run --workspace --profile long --no-tests warn

lint: setup-test ## Formatting, warnings, licences, documentation, scripts, the watch page
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	for engine in '' ffmpeg gstreamer; do \
		cargo clippy --quiet --no-default-features --features "$$engine" -- --deny warnings || exit; \
	done
	cargo deny --log-level error check bans licenses sources
	RUSTDOCFLAGS='--deny warnings' cargo doc --quiet --workspace --no-deps
	shellcheck scripts/* .ci/run tests/peers/src/keeper.sh
	npm --prefix web run --silent check
	npm --prefix web run --silent test
	npm --prefix web run --silent check-dist

web: setup-test ## Rebuild web/dist, which is committed
	npm --prefix web run --silent build

bench: setup-run ## Benchmarks. ARGS=NAME runs those whose name has NAME in it
	cargo bench --package benches $(if $(ARGS),-- $(ARGS))

# The sanitizers need unstable flags, which this lets the stable compiler take.
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: setup-fuzz ## Every fuzz target, for FUZZ_SECONDS=60 each
	@set -euo pipefail; \
	for target in $$(cargo fuzz list); do \
		echo "fuzz: $$target"; \
		cargo fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024; \
	done

setup-run setup-test setup-fuzz:
	@scripts/setup $(@:setup-%=%)
