# Everything runs in .venv, built from requirements.lock; nothing else is installed on the machine.
UV_VERSION := 0.13.8
PYTHON ?= python3
BIN := .venv/bin
# An environment works only at the path and with the interpreter that it was made with. The stamp's name holds both, so
# that a moved checkout, a half-made environment or another PYTHON is built anew.
NAME_STAMP := 'import os, sys, zlib; made_by = os.path.realpath(".venv"), os.path.realpath(sys.executable), sys.version; \
  print(".venv/installed-%08x" % zlib.crc32(repr(made_by).encode()))'
INTERPRETER := $(if $(filter file,$(origin PYTHON)),$(firstword $(wildcard $(BIN)/python) $(PYTHON)),$(PYTHON))
STAMP := $(or $(shell $(INTERPRETER) -c $(NAME_STAMP) 2>/dev/null),.venv/installed)
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help run demo doctor backup restore verify-backup test soak chaos ha upgrade alerts corpus hostile check protos docs lock sbom audit clients screenshots bench performance release clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## Run everything on this machine, with real servers; RELOAD=1 restarts what you edit; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.local $(if $(RELOAD),--reload)

demo: $(STAMP) ## Fill a running hitok with users, videos and messages; DEMO="--seed 2" makes others
	@$(BIN)/python -m deploy.demo $(DEMO)

doctor: $(STAMP) ## Find what is wrong with a running hitok, and say how to fix it
	@$(BIN)/python -m deploy.doctor

backup: $(STAMP) ## Back up databases and files into a new folder under TO (backups)
	@$(BIN)/python -m deploy.backup create $(TO)

restore: $(STAMP) ## Restore the backup FROM into a stopped, empty hitok; REPLACE=1 replaces what is there
	@test -n "$(FROM)" || { echo "error: name the backup: make restore FROM=backups/20260131T120000Z" >&2; exit 2; }
	@$(BIN)/python -m deploy.backup restore "$(FROM)" $(if $(REPLACE),--replace)

verify-backup: $(STAMP) ## Prove that the backup FROM can be restored, in a scratch server
	@test -n "$(FROM)" || { echo "error: name the backup: make verify-backup FROM=backups/20260131T120000Z" >&2; exit 2; }
	@$(BIN)/python -m deploy.backup verify "$(FROM)"

ifeq ($(T)$(K),)
test: check ## Linters, types and the whole suite; T=tests/social or K=expression: only those tests
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
else
test: $(STAMP)
	@$(BIN)/python -m pytest $(T) $(if $(K),-k "$(K)")
endif

soak: $(STAMP) ## Test that kills lose no message, then that what a run takes is level: HITOK_SOAK_SECONDS (600), HITOK_SOAK_SEED
	@HITOK_SOAK_SECONDS=$${HITOK_SOAK_SECONDS:-600} $(BIN)/python -m pytest tests/chat/test_model.py tests/e2e/test_levels.py -q -s

chaos: $(STAMP) ## Kill, freeze, fill, overload, cut the power: HITOK_CHAOS_ROUNDS (20), HITOK_CHAOS_SEED, HITOK_CHAOS_FAULTS
	@HITOK_CHAOS_ROUNDS=$${HITOK_CHAOS_ROUNDS:-20} $(BIN)/python -m pytest tests/e2e/test_chaos.py tests/e2e/test_power_cut.py tests/e2e/test_full_disks.py tests/e2e/test_replicas.py tests/e2e/test_frozen_sockets.py tests/e2e/test_overload.py tests/media/processing/test_faults.py tests/media/processing/test_store_away.py -q -s

hostile: $(STAMP) ## Upload 200 hostile files; print what each costs, and others' p99 meanwhile: HITOK_HOSTILE_FILES (200), HITOK_HOSTILE_SEED (1)
	@HITOK_HOSTILE_FILES=$${HITOK_HOSTILE_FILES:-200} $(BIN)/python -m pytest tests/media/test_hostile_files.py -q -s

alerts: $(STAMP) ## Break what each alert watches in a running hitok, and see a real Prometheus fire and go quiet
	@HITOK_ALERTS=1 $(BIN)/python -m pytest tests/deploy/test_alerts.py tests/e2e/test_*alerts.py -q -rs

ha: $(STAMP) ## Kill nodes of each kind of a run in which each server exists several times: HITOK_HA_ROUNDS (20), HITOK_HA_SEED, HITOK_HA_NODES
	@HITOK_HA_ROUNDS=$${HITOK_HA_ROUNDS:-20} $(BIN)/python -m pytest tests/e2e/test_ha.py -q -s

upgrade: $(STAMP) ## Upgrade a run of the release before to this one and back, under load: FROM (its revision), HITOK_UPGRADE_SEED
	@HITOK_UPGRADE_FROM=$(FROM) $(BIN)/python -m pytest tests/e2e/upgrade -q -s

corpus: $(STAMP) ## Compare what is made of 189 kinds of recordings with FFmpeg; the suite compares 50
	@HITOK_CORPUS=1 $(BIN)/python -m pytest tests/media/processing/test_corpus.py -q

check: $(STAMP) ## Linters, formatting and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

protos: $(STAMP) ## Generate the gRPC code beside each .proto
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -I. --python_out=. --mypy_out=. --grpc_python_out=. \
	  --mypy_grpc_out=only_async:. $$(find protos -name '*.proto' | sort)

docs: $(STAMP) ## Write the generated parts of docs/
	@$(BIN)/python -m docs.generate

lock: $(STAMP) ## Resolve pyproject.toml anew into requirements.lock, and into what each image installs of it
	@$(COMPILE) --all-extras --upgrade -o requirements.lock pyproject.toml
	@for process in user social media chat gateway tools; do \
	  $(COMPILE) --extra $$process -c requirements.lock -o deploy/docker/requirements/$$process.txt pyproject.toml; done

sbom: $(STAMP) ## Write var/sbom/<image>.json (CycloneDX): the packages of each image, from the lock
	@$(BIN)/python -m deploy.docker.sbom var/sbom

audit: sbom ## Known vulnerabilities of the locked packages (needs a network), their licences, the SBOMs
	@$(BIN)/python -m deploy.docker.licences
	@$(BIN)/pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off

clients: $(STAMP) ## Generate clients of the API: TypeScript, Python, a Postman collection
	@$(BIN)/python -m clients

screenshots: $(STAMP) ## Take the pictures of the READMEs (docs/images), with Chromium and the demo
	@$(BIN)/python -m tests.e2e.screenshots

bench: $(STAMP) ## Measure against the baselines in bench/
	@$(BIN)/python -m bench

performance: $(STAMP) ## Measure every route and write var/performance.md
	@mkdir -p var; PERFORMANCE=var/performance.md $(BIN)/python -m bench routes

release: $(STAMP) ## Make VERSION a release: version, changelog, descriptors of the contracts, commit and tag
	@$(BIN)/python -m deploy.release $(VERSION)

clean: ## Remove the environment and the local data
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("hitok needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python -m compileall -q -j 0 services gateway deploy protos
	@touch "$$($(BIN)/python -c $(NAME_STAMP))"
