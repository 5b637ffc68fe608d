PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run compiled test browser shots soak lint sanitize bench zoo-check docs clean

run: $(VENV)/installed compiled
	$(BIN)/pellucid train

# Byte code, which pip leaves beside a package that is not editable: every start takes half as long again without, where Python may write none.
compiled: $(VENV)/installed
	$(BIN)/python -m compileall -q src

# Two processes test at a time, and a thread that waits leaves the processor to the other.
test: $(VENV)/tested compiled browser lint
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2

# A browser for the tests of the lab's pages, where it may be installed; without one they are skipped.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install --yes --quiet chromium >/dev/null; } \
	  || echo "test: NO BROWSER: the lab's pages are not tested"

# A picture of every room of the lab at 1440, 768 and 360 pixels, light and dark.
SHOTS := build/shots

shots: $(VENV)/tested browser
	mkdir -p $(SHOTS)
	PELLUCID_SHOTS=$(CURDIR)/$(SHOTS) $(BIN)/python -m pytest -q tests/test_lab_access_pages.py -k width

# What takes longer than tests may, half an hour at most: a search at random at twenty times the examples of `make test`, then
# runs that are ended at every operation on their files. A find is printed with what repeats it; SEED repeats a search.
SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')

soak: $(VENV)/tested
	@echo "repeat this search with: make soak SEED=$(SEED)"
	timeout 1200 $(BIN)/python -m pytest -n 2 -m "hypothesis or soak" --hypothesis-profile soak --hypothesis-seed $(SEED) \
	  || { echo "make soak: stopped or found something; again with: make soak SEED=$(SEED)"; exit 1; }
	$(BIN)/python tests/killing.py --minutes 10

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	@if command -v npx >/dev/null; then npx --yes --package typescript@5.9.3 tsc -p jsconfig.json; \
	  else echo "lint: NO NODE: the lab's JavaScript is not checked"; fi

# The engine's own tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.
SANITIZED ?= build/sanitize
ONEDNN := $(shell sed -n 's/.*"\(onednn-devel[^;]*\);.*/\1/p' pyproject.toml)

sanitize: $(VENV)/installed
	$(BIN)/python -m pip install --quiet cmake '$(ONEDNN)'
	set -e; for kind in address,undefined thread; do \
	  build=$(SANITIZED)/$${kind%%,*}; \
	  $(BIN)/cmake -S native -B $$build -DPELLUCID_TESTS=ON -DPELLUCID_REQUIRED=ON -DPELLUCID_SANITIZE=$$kind \
	    -Ddnnl_DIR=$(CURDIR)/$(VENV)/lib/cmake/dnnl; \
	  $(BIN)/cmake --build $$build; \
	  $(BIN)/ctest --test-dir $$build --output-on-failure --no-tests=error; \
	done
	@echo "make sanitize: all tests passed, the sanitizers found nothing"

bench: $(VENV)/benched compiled
	$(BIN)/python benchmarks/run_all.py

# Every model file in a folder, opened, run, explained and given back, as a table: make zoo-check models (or FOLDER=models).
FOLDER ?= $(word 2,$(MAKECMDGOALS))

zoo-check: $(VENV)/tested
	$(BIN)/python benchmarks/zoo_check.py $(FOLDER)

docs: $(VENV)/tested
	$(BIN)/python docs/build.py

SOURCES := pyproject.toml $(wildcard native/*.*)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/tested: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $(VENV)/installed $@

$(VENV)/benched: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	touch $(VENV)/installed $(VENV)/tested $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist
