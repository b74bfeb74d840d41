# Everything on a fresh machine: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint format bench bench-accuracy clean

demo: $(READY)
	$(BIN)/python examples/flights.py

test: $(READY)
	$(BIN)/pytest -n auto --cov --cov-fail-under=95

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	for script in epoch peers scaling prediction resources sparse weighting; do $(BIN)/python benchmarks/$$script.py || exit 1; done

# DATA is a folder of data sets with their load.py; without it only those that scikit-learn brings.
bench-accuracy: $(READY)
	$(BIN)/python benchmarks/accuracy.py $(if $(DATA),--data $(DATA))

# The environment is made once, and again when what it depends on has changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage
