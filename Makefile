# Everything here makes its own .venv when that is missing or out of date. No root, no apt, no hub.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-units test-programs test-extra test-slow lint docs bench clean

demo: $(READY)  ## a whole night on real messages and two small models, then what to do
	@$(BIN)/jarvisctl demo

test: test-units test-programs  ## all tests but the slow ones

test-units: $(READY)
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist worksteal tests/unit tests/integration

test-programs: $(READY)  ## the installed programs, from outside
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist worksteal tests/acceptance tests/histories tests/fleet tests/power_cut tests/fuzz

test-extra: $(READY)  ## the tests of jarvisd[fast], which comes into a folder of its own
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade --target build/extra onnx onnxruntime
	PYTHONPATH=build/extra $(BIN)/python -m pytest tests/integration/test_int8.py tests/integration/test_mine_job.py

test-slow: $(READY)  ## every test, the slow ones included; says at the end how long it took
	@began=$$(date +%s); \
	$(BIN)/python -m pytest -n 3 --dist worksteal tests/unit tests/integration \
	  && $(BIN)/python -m pytest -n 3 --dist worksteal tests/acceptance tests/histories tests/fleet tests/power_cut tests/fuzz; \
	code=$$?; echo "make test-slow took $$(( ($$(date +%s) - began + 59) / 60 )) min"; exit $$code

lint: $(READY)  ## style, types, and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_house.py

docs: $(READY)  ## the documents as a site, in build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench: $(READY)  ## every question of benchmarks/, answered as ratios
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A system Python without ensurepip cannot make a venv with pip in it; virtualenv, from pip, can.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || { \
	  echo "Python 3.11 to 3.14 is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name one: make PYTHON=python3.13" >&2; \
	  exit 1; }
	@echo "Installing into $(VENV): some minutes the first time, with PyTorch and MLX about 2 GB of disk"
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv --clear $(VENV); else \
	  { $(PYTHON) -m pip install --quiet --user --break-system-packages virtualenv \
	    || $(PYTHON) -m pip install --quiet --user virtualenv; } \
	  && $(PYTHON) -m virtualenv --quiet --clear $(VENV); fi
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --constraint constraints.txt --group dev --editable .
	@touch $(READY)
