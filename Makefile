# Everything on a fresh machine: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOWEST := .venv-lowest

SITE := docs/_build/html

.PHONY: demo test test-lowest test-long docs lint format bench bench-accuracy clean

demo: $(READY)
	$(BIN)/python examples/flights.py

# To trace which lines run takes half as long again: `make test COVERAGE=yes` does so, and holds that nearly all do.
test: $(READY)
	$(BIN)/pytest -n auto --dist worksteal $(if $(COVERAGE),--cov --cov-fail-under=95)

# The same, and the service, with the lowest versions of pyproject.toml: torch 2.6 brings gigabytes of CUDA libraries on Linux.
test-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/pytest -n auto --dist worksteal
	$(LOWEST)/bin/pytest -m slow tests/export/test_service.py

# What the other tests leave out: a Ray cluster, a service under load, mlflow, Node, properties tried on many more examples.
test-long: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,test-long]"
	$(BIN)/pytest -m slow
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -n auto tests/*/test_properties_of_*.py

# LinkChecker reads as nobody if root runs it: it is given a copy that all may read.
docs: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	$(BIN)/sphinx-build --jobs auto --fail-on-warning --keep-going --quiet --builder html docs $(SITE)
	copy=$$(mktemp -d) && chmod 755 $$copy && cp -r $(SITE)/. $$copy && \
	$(BIN)/linkchecker --config docs/linkchecker.ini --no-status $$copy/index.html; done=$$?; rm -r $$copy; exit $$done

# What only the index, GitHub, Read the Docs or conda-forge would run is held against their rules here.
lint: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,lint]"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.readthedocs .readthedocs.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/python -c 'from rattler_build import Stage0Recipe; Stage0Recipe.from_file("conda/recipe.yaml").render()'
	rm -rf build && mkdir build
	$(BIN)/python -m build --no-isolation --outdir build/dist > build/log 2>&1 || { cat build/log; exit 1; }
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/check-wheel-contents build/dist/*.whl

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	for script in epoch peers scaling prediction resources sparse_features weighting onnx_latency many_devices; do $(BIN)/python benchmarks/$$script.py || exit 1; done

# DATA is a folder of data sets with their load.py, FILES one for public files, which are fetched if it lacks them; without
# either only the sets that scikit-learn brings.
bench-accuracy: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench-accuracy]"
	$(BIN)/python benchmarks/accuracy.py --most-rows 5000 --seeds 2 $(if $(DATA),--data $(DATA)) $(if $(FILES),--files $(FILES))
	$(BIN)/python benchmarks/accuracy_picture.py

# The environment is made once, and again when what it depends on has changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet --constraint constraints-lowest.txt --editable ".[test,service]" httpx
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) build dist docs/_build docs/auto_examples docs/api/sklearn_mmoe.* docs/api/backreferences *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
