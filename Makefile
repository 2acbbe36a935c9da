# `make song` and `make test` set up everything they need in .venv and then run offline.
PYTHON ?= python3
JOBS ?= 2
TESTS ?= not gpu and not debian and not network
TORCH := torch==2.13.0
# PyTorch for CPUs; elsewhere pip takes the build with CUDA for Linux on x86, which is 4 GB larger.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

VENV := .venv
LOWEST ?= .venv-lowest
BIN := $(VENV)/bin
OFFLINE := HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
# In the words and phrases that the default model was trained on; two lines last about ten seconds.
TEXT ?= a warm folk song, led by flute, sung by a female voice, at 100 bpm
ifndef LYRICS
define LYRICS
the silver river runs below the hill
the sunlight is dancing on the water
endef
endif
MODEL ?= songgen-mini
SECONDS ?= 12
MIN_SECONDS ?= 5
SEED ?= 7
export TEXT LYRICS

.PHONY: song test fast lowest gpu quality style docs figures tree clean

# The environment is kept until what it is made from changes.
$(VENV)/installed: setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, got " + sys.version.split()[0] + "; say make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing PyTorch and the package into $(VENV), once: some minutes and 1.2 GB of disk ..."
	@$(BIN)/python -m pip install --quiet --retries 1 --timeout 10 --no-deps --index-url '$(TORCH_INDEX)' $(TORCH) 2>/dev/null \
		|| { echo "$(TORCH_INDEX) cannot be had: PyTorch comes from where pip looks"; \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt $(TORCH); }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# One thread: the default model is small, and threads that wait for each other cost more than they give.
song: $(VENV)/installed
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/songgen-hf generate "$$TEXT" --lyrics "$$LYRICS" \
		--model '$(MODEL)' --quantize int8 --min-seconds $(MIN_SECONDS) --max-seconds $(SECONDS) --seed $(SEED) \
		--out song.wav

test: $(VENV)/installed-dev
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m '$(TESTS)'

# What takes a minute, to be run after every change.
fast: $(VENV)/installed-dev
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m 'not slow and $(TESTS)'

# The oldest versions that setup.py allows, and the tests of models and pipelines with them. PyTorch is
# that of `make test`: the oldest with a build for CPUs where the index above cannot be had.
lowest:
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --no-deps --index-url '$(TORCH_INDEX)' $(TORCH) 2>/dev/null \
		|| $(LOWEST)/bin/python -m pip install --quiet $(TORCH)
	$(LOWEST)/bin/python -m pip install --quiet uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		$(TORCH) 'pytest>=8' --editable '.[train,diffusers,lyrics,prepare]'
	$(LOWEST)/bin/python -m tests.tools.lowest
	$(OFFLINE) OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -q tests/modeling tests/pipelines \
		-m 'not slow and $(TESTS)'

# On a machine with a CUDA device, with what its Python has: nothing is installed. Eight minutes at most.
gpu:
	$(OFFLINE) $(PYTHON) -W ignore benchmarks/gpu.py --tests --minutes 3 --report gpu.json

quality: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

style: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, strictly, into site/; then how many code blocks of its pages run in the tests.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(BIN)/python -m tests.tools.documentation.blocks

# The pictures of the documentation, drawn again from the package's own classes.
figures: $(VENV)/installed-dev
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python docs/figures

# The page that describes every file, written from the first sentences of the modules.
tree:
	$(PYTHON) docs/tree.py

clean:
	rm -rf $(VENV) $(LOWEST) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
