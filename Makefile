# What people type. Every recipe hands over to a tested script; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run setup model test check format format-check lint types imports schemas generate lock lock-check clean clean-state clean-all

PYTHON ?= $(or $(shell command -v python3.11),python3)
TANDEM := PYTHONPATH=local/src $(PYTHON) -m tandem_local
DEV := .venvs/dev/bin
CODE := libs services local tests docker infra $(if $(wildcard benchmarks/*.py benchmarks/*/*.py),benchmarks)

help: ## List the targets
	@awk -f local/help.awk $(MAKEFILE_LIST)

##@ Use
run: ## Run all of Tandem on this machine until Ctrl-C (ports: TANDEM_CHAT_PORT=... make run)
	@exec env $(TANDEM) run

##@ Containers
.PHONY: up down logs images images-test
up: ## Build and start all of Tandem in containers: make up PROFILE=gpu, or PROFILE="cpu observability"
	@exec $(PYTHON) docker/stack.py up $(PROFILE)

down: ## Stop and remove the containers; conversations stay in their volumes
	@exec $(PYTHON) docker/stack.py down

logs: ## Follow what the containers print
	@exec $(PYTHON) docker/stack.py logs

images: ## Build the images of a profile: make images PROFILE=gpu
	@exec $(PYTHON) docker/stack.py images $(PROFILE)

images-test: ## Build the images and run the compose stack with a stub engine; skips, and says why, where no engine can be had
	@$(TANDEM) test images

##@ Set up
setup: ## Make the virtual environments; one alone: make setup S=chat
	@$(TANDEM) setup $(S)

model: ## Make the small model that `make run` serves
	@$(TANDEM) model

##@ Test and check
test: ## Run all test tiers; one alone: make test TIER=unit; one file: make test TIER=unit PYTEST="-k name"
	@$(TANDEM) test $(TIER) $(if $(PYTEST),--pytest $(PYTEST))

check: format-check lint types imports schemas lock-check tf-check test ## All that CI runs: the checks below, then all tests

format: dev ## Rewrite the code in the one format
	@$(DEV)/ruff format $(CODE) && $(DEV)/ruff check --select I --fix --quiet $(CODE)

format-check: dev ## Tell which files are not in the one format
	@$(DEV)/ruff format --check $(CODE)

lint: dev ## Look for likely mistakes (ruff)
	@$(DEV)/ruff check $(CODE)

types: dev ## Check the types (mypy, strict)
	@$(DEV)/mypy $(CODE)

imports: dev ## Check who may import whom (import-linter)
	@$(DEV)/lint-imports --config .importlinter

schemas: dev ## Check that the generated event schemas and settings pages are those of the code
	@$(DEV)/python -m tandem_contracts.generate --check
	@$(DEV)/python docs/generate_settings.py --check
	@$(DEV)/python docs/generate_engines_file.py --check

generate: dev ## Write the event schemas and settings pages after a change of models or settings
	@$(DEV)/python -m tandem_contracts.generate
	@$(DEV)/python docs/generate_settings.py
	@$(DEV)/python docs/generate_engines_file.py

lock-check: dev ## Check that the lock files satisfy what the projects declare
	@$(DEV)/python -m tandem_local lock-check

.PHONY: chaos mutations
chaos: ## Run the failure drills in full size (15 minutes); repeat one run with TANDEM_CHAOS_SEED=...
	@TANDEM_CHAOS=full $(TANDEM) test chaos

mutations: dev ## Remove each guard against loss and doubling from a copy of the source: a test has to notice
	@$(DEV)/python -m tests.chaos.mutations

##@ Deploy
.PHONY: tf-check tf-fmt tf-plan plan-check
tf-check: dev ## Check infra/terraform without a cloud: layout, validity, tests, rules over plans, memory, checkov
	@$(TANDEM) setup infra
	@.venvs/infra/bin/python -m infra.check all

plan-check: dev ## Ask the memory planner whether an environment's engines fit its L4s: make plan-check ENV=prod
	@$(TANDEM) setup infra
	@.venvs/infra/bin/python -m infra.check fit "$(ENV)"

tf-plan: ## Show what an apply would change, against the real state: make tf-plan ENV=prod
	@infra/plan "$(ENV)"

tf-fmt: ## Rewrite infra/terraform in the one layout
	@terraform fmt -recursive infra/terraform

.PHONY: dev
dev:
	@$(TANDEM) setup dev

##@ Measure
.PHONY: calibrate planner-accuracy
calibrate: ## Measure vLLM's memory over a grid on this machine's GPU; skips without one (OUT=.run/calibration.csv)
	@if [ -x .venvs/inference/bin/python ]; then \
		exec .venvs/inference/bin/python -m tandem_inference.planner.calibrate --out "$(or $(OUT),.run/calibration.csv)"; \
	else echo "calibration skipped: there is no .venvs/inference; make setup S=inference makes it"; fi

.PHONY: bench-interference bench-overhead bench-stop
bench-interference: ## Does chat feel a backlog? Plain vLLM against the gateway (10 minutes, a quiet machine)
	@PYTHONPATH=. .venvs/inference/bin/python benchmarks/gateway/interference.py

bench-overhead: ## What the gateway costs (10 minutes, a quiet machine; beside LiteLLM: LITELLM=path)
	@PYTHONPATH=. .venvs/inference/bin/python benchmarks/gateway/overhead.py $(if $(LITELLM),--litellm $(LITELLM))

bench-stop: ## How soon the engine is free when a hundred callers leave (2 minutes)
	@PYTHONPATH=. .venvs/inference/bin/python benchmarks/gateway/stop.py

planner-accuracy: dev ## Print how far the memory planner is from start-up logs; others: CSV=file
	@$(DEV)/python benchmarks/planner_accuracy/run.py $(CSV)

##@ Dependencies
lock: ## Write the lock files after a change of dependencies; one alone: make lock S=chat; newest: UPGRADE=1
	@$(TANDEM) lock $(S) $(if $(UPGRADE),--upgrade)

##@ Clean
clean: ## Remove caches of tools
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

clean-state: ## Remove what `make run` keeps: conversations, feedback, logs, traces
	@rm -rf .run

clean-all: clean clean-state ## Also remove the environments and the small model
	@rm -rf .venvs .cache
