# Everything runs in .venv, built from requirements.lock; nothing else is installed on the machine.
UV_VERSION := 0.13.8
PYTHON ?= python3
BIN := .venv/bin
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help run demo doctor backup restore test soak check protos docs lock sbom audit clients bench release clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## Run everything on this machine, with real servers; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.local

demo: .venv/installed ## Fill a running hitok with people, films and talk; DEMO="--seed 2" makes others
	@$(BIN)/python -m deploy.demo $(DEMO)

doctor: .venv/installed ## Say what is wrong with a running hitok, and what to do about it
	@$(BIN)/python -m deploy.doctor

backup: .venv/installed ## Back up everything that hitok keeps, into a new folder under TO (backups)
	@$(BIN)/python -m deploy.backup create $(TO)

restore: .venv/installed ## Put the backup FROM back, into an empty hitok that is stopped
	@$(BIN)/python -m deploy.backup restore $(FROM) $(if $(REPLACE),--replace)

test: check ## Linters and types, then the whole test suite against real servers
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

soak: .venv/installed ## The chat's promise while all it stands on is killed: HITOK_SOAK_SECONDS (600), HITOK_SOAK_SEED
	@HITOK_SOAK_SECONDS=$${HITOK_SOAK_SECONDS:-600} $(BIN)/python -m pytest tests/chat/test_model.py -q -s

check: .venv/installed ## Linters, formatting and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

protos: .venv/installed ## Generate the gRPC code beside each .proto
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -I. --python_out=. --mypy_out=. --grpc_python_out=. \
	  --mypy_grpc_out=only_async:. $$(find protos -name '*.proto' | sort)

docs: .venv/installed ## Write the parts of docs/ that the code already says
	@$(BIN)/python -m docs.generate

lock: .venv/installed ## Resolve pyproject.toml anew into requirements.lock, and into what each image installs of it
	@$(COMPILE) --all-extras --upgrade -o requirements.lock pyproject.toml
	@for process in user social media chat gateway tools; do \
	  $(COMPILE) --extra $$process -c requirements.lock -o deploy/docker/requirements/$$process.txt pyproject.toml; done

sbom: .venv/installed ## Write var/sbom/<image>.json (CycloneDX): what each image holds, from the lock
	@$(BIN)/python -m deploy.docker.sbom var/sbom

audit: sbom ## Known faults of the locked packages, where the network reaches; their licences; the SBOMs
	@$(BIN)/python -m deploy.docker.licences
	@$(BIN)/pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off

clients: .venv/installed ## Generate clients of the API: TypeScript, Python, a Postman collection
	@$(BIN)/python -m clients

bench: .venv/installed ## Measure against the baselines in bench/
	@$(BIN)/python -m bench

release: .venv/installed ## Make VERSION a release: version, changelog, descriptors of the contracts, commit and tag
	@$(BIN)/python -m deploy.release $(VERSION)

clean: ## Remove the environment and the local data
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The stamp names the interpreter, so that a moved or half-made environment is built again.
.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("hitok needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python -m compileall -q -j 0 services gateway deploy protos
	@touch $@
