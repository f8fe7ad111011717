# Two commands do everything: make train, make test. Both set up what they need first.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
CONFIG  ?=
BUDGET  ?= 2m
ARGS    ?=
PROMPT  ?=
PORT    ?= 6006
RESUME  ?= ask
NOTEBOOKS ?= docs/lecture/*.ipynb

CONFIGS = $(addprefix --config ,$(CONFIG))

export PROMPT

.DEFAULT_GOAL := help
.PHONY: help setup setup-export data train validate generate report page doctor ladder watch tensorboard test test-slow test-browser test-gpu check check-page bench bench-long notebooks notebooks-run pictures clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
	@echo
	@echo 'variables: BUDGET=10m  CONFIG=configs/cpu-fast.yaml  ARGS="--data.corpus book.txt"  PROMPT="ROMEO:"  RESUME=auto  PORT=6006'

setup: $(VENV)/.done ## make .venv and install the package, with pinned versions

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "lightning-gpt needs Python 3.10 or newer: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup-export: setup ## add what export and import need for Hugging Face, ONNX and GGUF
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export]'

data: setup ## fetch Tiny Shakespeare and check it (train does so too)
	@$(BIN)/lightning-gpt data $(ARGS)

train: setup ## train for two minutes, or go on with an interrupted run: BUDGET=10m, CONFIG=, ARGS=, RESUME=auto
	@$(BIN)/lightning-gpt fit $(or $(CONFIGS),--budget $(BUDGET)) --resume $(RESUME) $(ARGS)

validate: setup ## the exact loss of the newest run's best checkpoint
	@$(BIN)/lightning-gpt validate --ckpt_path best $(ARGS)

generate: setup ## write text with the newest run's best checkpoint: PROMPT=, ARGS=
	@$(BIN)/lightning-gpt generate --ckpt_path best $(if $(PROMPT),--prompt "$$PROMPT") $(ARGS)

report: setup ## the newest run on one page of HTML, to look at or to mail
	@$(BIN)/lightning-gpt report --ckpt_path best $(ARGS)

page: setup ## the newest run's network on one page of HTML that runs it: write, look inside
	@$(BIN)/lightning-gpt page --ckpt_path best $(ARGS)

doctor: setup ## check that text, recipe and machine suit each other; what each budget would give: CONFIG=, ARGS=
	@$(BIN)/lightning-gpt doctor $(or $(CONFIGS),--config configs/cpu.yaml) $(ARGS)

ladder: setup ## train the lecture's seven rungs: table, picture and curves in runs/ladder
	@$(BIN)/lightning-gpt ladder $(ARGS)

watch: setup ## the run that is training, on a page of this machine; stop and save it: ARGS="--port 6010"
	@$(BIN)/lightning-gpt watch $(ARGS)

# text=0 means all of them by the manual, and none of them to the data server
tensorboard: setup ## watch the runs at http://localhost:6006 (PORT=)
	@echo "the curves as they are, not smoothed: http://localhost:$(PORT)/?smoothing=0"
	@$(BIN)/tensorboard --logdir runs --port $(PORT) --samples_per_plugin text=1000,images=200

# a worker a core; when one has nothing left it takes tests from another
WORKERS := -n auto --maxprocesses 8 --dist worksteal

test: setup ## the tests
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-slow: setup-export ## the tests that take minutes: kills for every rung, several nodes, 20,000 steps, llama.cpp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[llama]'
	@$(BIN)/python -m pytest -m slow $(WORKERS) $(ARGS)

test-browser: setup ## the tests of TensorBoard, the report and the pages in Chromium, with pictures in screenshots/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@$(BIN)/python -m pytest -m browser -rs $(WORKERS:worksteal=loadfile) $(ARGS)

test-gpu: setup ## the tests that need a CUDA device
	@$(BIN)/python -m pytest -m gpu -rs $(ARGS)

# tqdm would ask for widgets in every notebook; a bar of text will do
notebooks: setup ## the lecture as notebooks, to run and to change: opens docs/lecture in JupyterLab
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebooks]'
	@PYTHONWARNINGS='ignore:IProgress not found' $(BIN)/jupyter lab docs/lecture $(ARGS)

notebooks-run: setup ## run the notebooks, and store in them what they print: NOTEBOOKS=
	@$(BIN)/python tests/notebooks.py $(NOTEBOOKS)

pictures: setup ## make the pictures of docs/pictures again: trains for some minutes, needs Chromium
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@$(BIN)/python tests/photograph.py $(ARGS)

bench: setup ## measure this project beside a plain PyTorch loop, about 20 minutes: runs/bench/table.md
	@$(BIN)/lightning-gpt bench $(ARGS)

bench-long: setup ## the recipes and the budgets of 10 and of 60 minutes, and one network from several in an hour
	@$(BIN)/lightning-gpt bench --measure long $(ARGS)

check: setup ## format, lint, types, tests: what must pass before a commit
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory check-page
	@$(MAKE) --no-print-directory test

check-page: ## format and types of the page's JavaScript, where there is npm
	@if command -v npm > /dev/null; then \
		cd lightning_gpt/page && npm ci --silent --no-audit --no-fund && npm run --silent check; \
	else echo "no npm on this machine: format and types of the page's JavaScript were not checked"; fi

clean: ## remove .venv and caches; runs and data stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find lightning_gpt tests -name __pycache__ -prune -exec rm -rf {} +
