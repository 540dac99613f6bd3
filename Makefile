# Everything a newcomer needs: `make drill` to see it work, `make test` to prove it. Both set up what they lack.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
SCENARIO ?= rpc-outage
LIVE ?= tests/live
WORKERS := $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))  # the long tests wait for real programs as much as they compute
APT_PROGRAMS := prometheus tmux kubectl zsh ssh sshd
SYSTEM := tests/system-packages.sh

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@test -x $(PY) || python3 -m venv $(VENV) || (bash $(SYSTEM) venv && python3 -m venv $(VENV))
	$(PY) -m pip install --quiet --require-hashes -r requirements/runtime.txt
	$(PY) -m pip install --quiet --require-hashes -r requirements/build.txt
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(PY) -m compileall -q cockpit panels  # as pip does with what it installs: a start takes half as long
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(PY) -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## the virtual environment with everything in it

drill: $(VENV)/.runtime ## run the cockpit on the embedded world (SCENARIO=rpc-outage)
	@! $(BIN)/m0-cockpit drill --list 2>/dev/null | grep -q "^$(SCENARIO) .*needs PostgreSQL" || $(MAKE) --no-print-directory setup
	$(BIN)/m0-cockpit drill $(SCENARIO)

check: $(VENV)/.dev ## format, lint, strict types, import rules, the runbooks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/m0-cockpit runbooks check

system: ## the programs that the tests drive, from Debian when absent
	@bash $(SYSTEM) $(APT_PROGRAMS)

test: $(VENV)/.dev system ## all tests
	@# what failed beside others runs again alone, as a report: it fails the gate all the same
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations 25; code=$$?; [ $$code -eq 1 ] || exit $$code; \
	echo "== Again, alone. What passes here is a test that fails beside others: mend it at its cause."; \
	$(BIN)/pytest -n 0 -v --last-failed --last-failed-no-failures none --maxfail 5; exit 1

test-long: $(VENV)/.dev system ## the incidents that are played through, by keys and on a real PostgreSQL
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m long

test-live: $(VENV)/.dev ## on a real Kubernetes, built from its Go modules (cached) or named by COCKPIT_TEST_KUBECONFIG
	$(BIN)/pytest -m live $(LIVE)

cluster: $(VENV)/.dev ## that Kubernetes alone, to try the cockpit or kubectl on, until ctrl+c
	$(PY) -m tests.live.cluster

bench: $(VENV)/.dev system ## the budgets of the design, as ratios measured in one run
	@bash $(SYSTEM) curl
	$(PY) -m compileall -q cockpit panels bench
	$(PY) -m bench

matrix: $(VENV)/.dev ## every drill scenario × every step on simulated time: what is proven that is not so? (an hour)
	$(PY) -m bench.matrix --out matrix.jsonl

path: $(VENV)/.dev ## the next step (▶) followed through every scenario, each form at its default: is it cured, without harm? (half an hour)
	$(PY) -m bench.path

frames: $(VENV)/.dev ## every frame of every scenario on simulated time: does one contradict itself, how late is it? (half an hour)
	$(PY) -m bench.frames

situation: $(VENV)/.dev ## does the right runbook lead, alone, in pairs, with a source down; are calm days quiet? (three hours)
	$(PY) -m bench.situation

changes: $(VENV)/.dev ## is the change that did it named first, ten minutes later; and among harmless ones? (ten minutes)
	$(PY) -m bench.changes
	$(PY) -m bench.changes --decoys 30

pictures: $(VENV)/.dev ## the README's pictures, from the running program
	$(PY) -m bench.picture docs/cockpit.svg rpc-outage 160x48
	$(PY) -m bench.picture docs/runbook.svg rpc-outage 160x48 r
	$(PY) -m bench.picture docs/confirmation.svg rpc-outage 160x48 r n enter enter
	$(PY) -m bench.picture docs/chart.svg rpc-outage 160x48 0 c

generated: $(VENV)/.dev ## deploy/alerts.yaml, docs/keys.md and the tables of docs/, from their rows (tests say when)
	$(BIN)/m0-cockpit runbooks alerts --out deploy/alerts.yaml
	$(PY) -m bench.keys_page docs/keys.md
	$(PY) -m bench.runbooks_page docs/runbooks.md
	$(PY) -m bench.items_page docs/items.md
	$(PY) -m bench.commands_page docs/commands.md
	$(PY) -m bench.configuration_page docs/configuration.md

pins: $(VENV)/.dev ## make the pinned requirements anew
	$(PY) -m pip install --quiet pip-tools
	$(BIN)/pip-compile $(PIN) -o requirements/runtime.txt pyproject.toml
	$(BIN)/pip-compile $(PIN) --extra dev -c requirements/runtime.txt -o requirements/dev.txt pyproject.toml
	$(BIN)/pip-compile $(PIN) --all-build-deps --only-build-deps -o requirements/build.txt pyproject.toml
PIN := --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-options --strip-extras --no-header

clean: ## remove the environment and caches
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.PHONY: help setup drill check system test test-long test-live cluster bench matrix path frames situation changes pictures generated pins clean
