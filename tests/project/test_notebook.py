"""What cells of a real notebook show: a kernel of its own, no error, no traceback, diagrams that a cell holds."""

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

SETUP = """
import warnings
warnings.simplefilter("error")
import sklearn_mmoe
from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer
from sklearn.pipeline import make_pipeline

rng = np.random.default_rng(0)
X = pd.DataFrame({"age": rng.normal(size=60), "rented": rng.integers(0, 2, 60), "town": ["Ulm", "Kiel", "Bonn"] * 20})
y = X[["age", "rented"]] + 1

def model(**parameters):
    small = {"n_members": 1, "n_experts": 2, "expert_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
    return MMoERegressor(**{**small, **parameters})

def table_model():
    return make_tabular_pipeline(model())

first_fit = model().fit(X[["age"]], y)
"""
CELLS = {
    "import and first fit": SETUP,
    "unfitted": "table_model()",
    "fitted": "table_model().fit(X, y)",
    "fitted on numbers": 'table_model().fit(X[["age", "rented"]], y)',
    "fitted on categories": 'table_model().fit(X[["town"]], y)',
    "fitted on an array": 'table_model().fit(X[["age"]].to_numpy(), y)',
    "unfitted search": 'GridSearchCV(table_model(), {"estimator__learning_rate": [0.01]}, cv=2)',
    "fitted search": 'GridSearchCV(table_model(), {"estimator__learning_rate": [0.01]}, cv=2).fit(X, y)',
    "model": 'model().fit(X[["age"]], y)',
    "progress": 'model(verbose=1).fit(X[["age"]], y);',
    "transformer of no column": """
unused = ColumnTransformer([("log", FunctionTransformer(np.log1p, feature_names_out="one-to-one"), [])])
unused.set_params(remainder="passthrough")
make_tabular_pipeline(make_pipeline(unused, model())).fit(X[["age"]], y)
""",
}
SHOWN = [name for name in CELLS if name not in ("import and first fit", "progress")]
DIAGRAMS = [name for name in SHOWN if name not in ("model", "transformer of no column")]


@pytest.fixture(scope="module")
def outputs():
    """What each cell shows; one kernel runs them all."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    measured = "COVERAGE_PROCESS_CONFIG"  # other tests reach what is reached here: spare the tracing
    environment = {name: value for name, value in os.environ.items() if name != measured} | {"OMP_NUM_THREADS": "1"}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True)
    client.execute(env=environment)
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))


def html_of(outputs):
    (output,) = outputs
    return output.data["text/html"]


def labels_of(html):
    """The names that a diagram shows without a click."""
    labels = re.findall(r'class="sk-toggleable__label.*?</label>', html, re.DOTALL)
    return [re.sub(r"<span>.*?</span>|<[^>]+>", " ", label.partition(">")[2]).split() for label in labels]


def test_nothing_is_said_as_an_error(outputs):
    wrong = {name: own for name, parts in outputs.items() for own in parts if own.output_type == "error"}
    assert wrong == {}
    loud = {name: own.text for name, parts in outputs.items() for own in parts if own.get("name") == "stderr"}
    assert loud == {}


def test_import_and_first_fit_say_nothing_at_all(outputs):
    assert outputs["import and first fit"] == []


@pytest.mark.parametrize("name", SHOWN)
def test_a_cell_shows_one_thing(name, outputs):
    (output,) = outputs[name]
    assert output.output_type == "execute_result"
    assert "text/html" in output.data


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_shows_classes_that_have_a_page_only(name, outputs):
    words = {word for label in labels_of(html_of(outputs[name])) for word in label}
    classes = {word for word in words if re.search("[a-z][A-Z]|_", word)}
    known = {"TabularPipeline", "MMoERegressor", "ColumnTransformer", "GridSearchCV", "best_estimator_:"}
    assert {"TabularPipeline", "ColumnTransformer", "MMoERegressor"} <= words
    assert classes <= known


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("fitted", ["numbers", "embedded"]),
        ("fitted search", ["numbers", "embedded"]),
        ("fitted on numbers", ["numbers"]),
        ("fitted on categories", ["embedded"]),
        ("fitted on an array", ["numbers"]),
        ("unfitted", []),
    ],
)
def test_a_diagram_shows_the_kinds_of_columns_that_there_are(name, kinds, outputs):
    known = ["sparse", "numbers", "splines", "dates", "categories", "embedded"]
    labels = [" ".join(label) for label in labels_of(html_of(outputs[name]))]
    assert [label for label in labels if label in known] == kinds


def test_progress_is_a_bar_of_text(outputs):
    shown = "".join(part.text for part in outputs["progress"] if part.output_type == "stream")
    last = shown.rstrip("\n").split("\r")[-1]
    assert last.startswith("Epoch 2/2 |")
    assert "loss=" in last
    assert len(last) <= 80
