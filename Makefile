# Needs nothing but python3 with venv. The stamp makes a second call instant; a changed pyproject.toml, constraints.txt or tests/peers.txt installs again.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
TORCH := $(shell grep '^torch==' constraints.txt)
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
LAB := $(if $(filter 0,$(shell id -u)),--allow-root)
LAB += $(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname)),,--no-browser)

.PHONY: lab test figures notebooks

lab: $(STAMP)  ## open JupyterLab on notebooks/ (prints the URL with its token)
	$(BIN)/jupyter lab $(LAB) notebooks

test notebooks: export OMP_NUM_THREADS = 1

test: $(STAMP)  ## lint, types, tests, notebooks, a look in a real browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n 2 --no-loadscope-reorder --nbmake --nbmake-timeout=120 notebooks tests --ignore=tests/test_browser.py
	$(BIN)/pytest -q -rs tests/test_browser.py

figures: $(STAMP)  ## all registered figures to figures/
	$(BIN)/python -m diffviz figures --out figures

notebooks: $(STAMP)  ## run all notebooks and save them with their pictures
	$(BIN)/python notebooks/build.py

# A CPU build of torch unless CUDA=1: from a local wheel directory (PIP_FIND_LINKS) if it is there, else from PyTorch's CPU index.
$(STAMP): pyproject.toml constraints.txt tests/peers.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("diffviz needs Python 3.11 or newer, and this is " + sys.version + "; name another with PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(if $(CUDA),,$(BIN)/python -m pip install -q --no-deps --no-index '$(TORCH)' 2>/dev/null || \
	  $(BIN)/python -m pip install -q --no-deps '$(TORCH)' --extra-index-url $(CPU_INDEX))
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip install -q --no-deps -r tests/peers.txt
	touch $@
