# TinyTorch for JupyterLab. Needs Python 3.10 or newer and make; everything else is put into .venv and node_modules.
# Works with make 3.81. Each step leaves a stamp in .stamps/ and is done again only when what it was made from changed.

PYTHON   ?= python3
DIR      ?= workspace
PORT     ?=
ARGS     ?=
CHROMIUM ?=

UI_TESTS := labextension/ui-tests
EXTENSION_SOURCES := $(shell find labextension/src labextension/style labextension/schema -name __tests__ -prune -o -print 2>/dev/null)
EXTENSION_CONFIG := $(wildcard tsconfig.json labextension/tsconfig.json labextension/install.json)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONPATH PYTHONHOME

.SUFFIXES:
.NOTPARALLEL:
.PHONY: help lab setup test check lint types quick unit course test-wheel test-faults test-browser screenshot bench bench-footprint bench-peers bench-framework format clean

# A stamp is not believed when what it stands for is gone: a moved or copied checkout, a removed Python, a deleted build.
ifneq ($(shell [ "`cat .stamps/venv 2>/dev/null`" = "$(CURDIR)" ] && .venv/bin/python -c 'print("runs")' 2>/dev/null),runs)
.PHONY: .stamps/venv
endif
ifeq ($(wildcard node_modules/.yarn-state.yml),)
.PHONY: .stamps/node_modules
endif
ifeq ($(wildcard tinytorch_core/labextension/static/style.js),)
.PHONY: .stamps/build
endif
ifeq ($(wildcard $(UI_TESTS)/node_modules/.package-lock.json),)
.PHONY: .stamps/ui-tests
endif

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

lab: setup ## start JupyterLab on a workspace (DIR=folder PORT=number ARGS="--no-browser …", which JupyterLab gets)
	@.venv/bin/tito lab "$(DIR)" $(if $(PORT),--port $(PORT)) -- $(ARGS)

setup: .stamps/build ## install and build everything, start nothing

test: lint types unit test-faults course test-wheel test-browser ## every check there is; what CI runs

check: lint types quick ## the quick loop: style, types, unit tests that start no kernel

lint: setup
	.venv/bin/ruff check -q .
	.venv/bin/ruff format -q --check .
	.venv/bin/lint-imports --no-logo --no-cache >.stamps/imports.log || { cat .stamps/imports.log; exit 1; }
	.venv/bin/jlpm lint:check
	.venv/bin/jlpm types:check

types: setup
	.venv/bin/mypy

quick: setup
	.venv/bin/python -m pytest -m "not slow and not faults and not kernels" -n 2 $(ARGS)
	.venv/bin/jlpm test

unit: setup
	.venv/bin/python -m pytest -m "not slow and not faults" -n 2 $(ARGS)
	.venv/bin/jlpm test

course: setup ## the course checks itself: solutions pass, untouched notebooks do not, mistakes are caught
	.venv/bin/tito dev check

test-wheel: setup ## build the wheel, install it elsewhere, use it
	.venv/bin/python -m pytest -m slow $(ARGS)

test-faults: setup ## hostile notebooks against the grader, kills and floods against the server
	.venv/bin/python -m pytest -m faults -n 2 --dist loadfile $(ARGS)

test-browser: setup .stamps/ui-tests ## a student's journey in Chromium (CHROMIUM=path, ARGS="-g words")
	node_modules/.bin/tsc --project $(UI_TESTS)
	cd $(UI_TESTS) && CHROMIUM="$(CHROMIUM)" ../../.venv/bin/npx playwright test $(ARGS)

screenshot: setup .stamps/ui-tests ## draw docs/screenshot.png again
	cd $(UI_TESTS) && CHROMIUM="$(CHROMIUM)" TINYTORCH_SCREENSHOTS=1 ../../.venv/bin/npx playwright test journey

bench: setup ## what a verdict costs (ARGS=--json)
	@.venv/bin/python benchmarks/verdict.py $(ARGS)

bench-footprint: setup ## memory beside the server, and what it adds to JupyterLab's start (ARGS=--json)
	@.venv/bin/python benchmarks/footprint.py $(ARGS)

bench-peers: .stamps/install ## the same work by nbgrader, papermill and nbclient, where they are installed (ARGS="--python PATH")
	@.venv/bin/python benchmarks/peers.py $(ARGS)

bench-framework: .stamps/install ## the student's package against PyTorch (ARGS="--rows words --avx2 --json"); PyTorch must be in .venv
	@.venv/bin/python benchmarks/framework.py $(ARGS)

format: setup ## let the formatters write
	.venv/bin/ruff check -q --fix .
	.venv/bin/ruff format -q .
	.venv/bin/jlpm lint

clean: ## remove everything that was built or installed; workspaces stay
	rm -rf .venv .stamps node_modules dist build .yarn tsconfig.tsbuildinfo
	rm -rf labextension/lib tinytorch_core/labextension tinytorch_core/_version.py
	rm -rf $(UI_TESTS)/node_modules $(UI_TESTS)/test-results
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.stamps/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "TinyTorch needs Python 3.10 or newer, and \`$(PYTHON)\` is: `$(PYTHON) --version 2>&1 | head -n 1`."; \
	  echo "Name another one like this: make PYTHON=python3.12 lab"; exit 1; }
	@echo "Making a virtual environment in .venv"
	@rm -rf .venv .stamps
	@$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu, venv is a package of its own: apt install python3-venv"; exit 1; }
	@mkdir -p .stamps
	@printf '%s' "$(CURDIR)" >$@

# The built extension and the server's config are linked, not copied, so that a rebuild is seen at once. pip would
# install copies of them; the links go first, so that it never writes or removes through them.
.stamps/install: .stamps/venv pyproject.toml package.json
	@echo "Installing TinyTorch and its tools into .venv (a minute the first time)"
	@rm -rf .venv/share/jupyter/labextensions/tinytorch_core .venv/etc/jupyter/jupyter_server_config.d/tinytorch_core.json
	@mkdir -p tinytorch_core/labextension
	@.venv/bin/python -m pip install -qq --disable-pip-version-check 'pip>=23'
	@SKIP_JUPYTER_BUILDER=1 .venv/bin/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@rm -rf .venv/share/jupyter/labextensions/tinytorch_core .venv/etc/jupyter/jupyter_server_config.d/tinytorch_core.json
	@ln -s ../../../../tinytorch_core/labextension .venv/share/jupyter/labextensions/tinytorch_core
	@ln -s ../../../../labextension/jupyter-config/tinytorch_core.json .venv/etc/jupyter/jupyter_server_config.d/
	@touch $@

.stamps/node_modules: package.json yarn.lock .yarnrc.yml | .stamps/install
	@echo "Fetching the sidebar's libraries"
	@.venv/bin/jlpm install >.stamps/jlpm.log 2>&1 || { cat .stamps/jlpm.log; exit 1; }
	@touch $@

.stamps/build: .stamps/node_modules $(EXTENSION_SOURCES) $(EXTENSION_CONFIG) | .stamps/install
	@echo "Building the sidebar"
	@.venv/bin/jlpm build:prod >.stamps/build.log 2>&1 || { cat .stamps/build.log; exit 1; }
	@touch $@

.stamps/ui-tests: $(UI_TESTS)/package.json $(UI_TESTS)/package-lock.json | .stamps/install
	@echo "Fetching the browser tests' libraries"
	@cd $(UI_TESTS) && ../../.venv/bin/npm ci --no-audit --no-fund >../../.stamps/npm.log 2>&1 || { cat ../../.stamps/npm.log; exit 1; }
	@touch $@
