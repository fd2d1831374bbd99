# The doors of this repository. `make` alone lists them.
.PHONY: help setup demo test check format bench web clean
.DEFAULT_GOAL := help

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install everything the demo needs into this folder
	@constraints/install.sh run
	@constraints/npm.sh rewards/chain/node web
	@web/build.sh

demo: setup ## Run the whole network on this machine (ONCE=1, VIDEO=path, MODEL=path, EPOCHS=2, EPOCH_SECONDS=15)
	@.venv/bin/cairn-sim demo \
	  $(if $(ONCE),--once) $(if $(VIDEO),--video '$(VIDEO)') $(if $(MODEL),--model '$(MODEL)') \
	  $(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(EPOCH_SECONDS),--epoch-seconds $(EPOCH_SECONDS)) \
	  $(if $(REPORT),--report '$(REPORT)') $(if $(FOLDER),--folder '$(FOLDER)') $(if $(DEVICES),--devices $(DEVICES))

test: setup ## Set up and run the whole test suite (ARGS='tests/unit -k name' runs a part)
	@constraints/install.sh dev
	@tests/system-packages.sh
	@constraints/npm.sh rewards/contracts tests/vectors/foreign
	@.venv/bin/python tests/run.py $(ARGS)

check: ## Lint, format, types, imports: the same checks as CI
	@constraints/install.sh dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	MYPYPATH=tests/vectors .venv/bin/mypy --explicit-package-bases tests
	.venv/bin/lint-imports
	@constraints/npm.sh web
	PATH="$$PATH:$$PWD/.venv/bin" npm run --silent --prefix web check

format: ## Rewrite the code in the house format
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: setup ## List the benchmarks; NAME=x runs one, its last line on stdout is one JSON object
	@constraints/install.sh dev
	@.venv/bin/python tests/benchmarks/run.py $(NAME)

web: ## Build the two pages
	@constraints/npm.sh web
	@web/build.sh

clean: ## Remove everything that was installed or built here
	rm -rf .venv .cairn dist node_modules */node_modules */*/node_modules */*/*/node_modules
