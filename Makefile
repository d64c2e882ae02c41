# `make demo` and `make test` need nothing but Python >= 3.11 and make: they create .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all coverage mutants lint docs bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("dicecast needs Python >= 3.11, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[nnunet,dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/dicecast demo

test: $(READY)
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder

test-all: test
	$(BIN)/python -m pytest -m slow -n 3 --durations 25 --dist loadfile --no-loadscope-reorder

coverage: $(READY) # of forecast/ by its quick tests
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --cov --cov-report= --cov-fail-under=0 tests/forecast tests/test_prior.py
	$(BIN)/coverage report
	$(BIN)/python benchmarks/robustness/covered.py

mutants: $(READY) # of forecast/: half an hour or more
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[mutation]'
	$(BIN)/python benchmarks/robustness/mutants.py

lint: $(READY) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p $(VENV)/typing && ln -sfn $(CURDIR) $(VENV)/typing/dicecast
	MYPYPATH=$(VENV)/typing $(BIN)/mypy -p dicecast

docs: $(READY)
	mkdir -p $(VENV)/docs/dicecast # the sources as a package, without what else the root holds
	ln -sfn $(CURDIR)/__init__.py $(CURDIR)/forecast $(CURDIR)/adapters $(VENV)/docs/dicecast/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(READY)
	$(BIN)/python benchmarks/forecast_speed.py

clean:
	rm -rf $(VENV) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache
