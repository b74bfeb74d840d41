"""Packages that are no dependencies: who lacks one is told which, and the line of pip that brings it."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import KINDS, SMALL, make_features, make_targets
from packaging.requirements import Requirement
from picture_calls import PICTURE_CALLS

import sklearn_mmoe
from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe._common.extras import require

PACKAGE = Path(sklearn_mmoe.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def packages_by_extra():
    """The extras that the package asks for where something lacks, and the packages that each must bring."""
    asked = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require":
                extra = next((word.value.value for word in node.keywords if word.arg == "extra"), None)
                modules = [own.value for own in node.args[1:] if isinstance(own, ast.Constant)]
                asked.setdefault(extra, set()).update(module.partition(".")[0] for module in modules)
    return asked


def test_extras_bring_what_is_asked_for():
    asked = packages_by_extra()
    assert asked.keys() >= {"balance", "demo", "onnx", "plot", "save"}
    for extra in asked.keys() - {None}:
        assert asked[extra] <= {Requirement(line).name for line in PROJECT["optional-dependencies"][extra]}


@pytest.mark.parametrize(
    ("modules", "arguments", "words"),
    [
        (["none_a"], {}, "This needs none_a: pip install none_a."),
        (["none_a.part", "none_b", "numpy"], {}, "needs none_a and none_b: pip install none_a none_b."),
        (
            ["none_c", "none_a", "none_b"],
            {"extra": "all"},
            'needs none_a, none_b and none_c: pip install "sklearn_mmoe[all]".',
        ),
        (["numpy.none"], {"instead": "Or do without."}, "This needs numpy: pip install numpy. Or do without."),
    ],
)
def test_the_error_names_what_lacks_and_the_line_of_pip(modules, arguments, words):
    with pytest.raises(ImportError, match=re.escape(words) + "$"):
        require("This", *modules, **arguments)


def test_what_is_here_is_not_imported():
    sys.modules.pop("this", None)
    require("This", "this", "numpy")
    assert "this" not in sys.modules


@pytest.mark.parametrize(("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_predict_frame_without_the_library_of_y(monkeypatch, library, frame):
    model = MMoEMultiTask(tasks=KINDS, **SMALL)
    y = make_targets("multitask")
    model.fit(make_features(), frame({name: y[:, t] for t, name in enumerate(KINDS)}))
    monkeypatch.setitem(sys.modules, library, None)
    assert model.predict(make_features()).shape == y.shape
    with pytest.raises(ImportError, match=rf"predict_frame needs {library}: pip install {library}\."):
        model.predict_frame(make_features())


def test_predict_frame_without_pyarrow_of_a_dtype(monkeypatch):
    labels = pd.DataFrame({"kind": pd.array(["a", "b"] * 30, dtype=pd.ArrowDtype(pa.string()))})
    model = MMoEMultiTask(tasks=["binary"], **SMALL).fit(make_features(), labels)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"The data type 'string' of pandas needs pyarrow: pip install pyarrow\."):
        model.predict_frame(make_features())


@pytest.mark.parametrize("name", PICTURE_CALLS)
def test_a_display_without_matplotlib_names_the_extra(monkeypatch, name):
    call = PICTURE_CALLS[name]
    arguments = {key: make() for key, make in call.arguments.items()}
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'Display\.\w+ needs matplotlib: pip install "sklearn_mmoe\[plot\]"\.'):
        call.function(**arguments)
