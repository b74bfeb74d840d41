"""What is said of the package in several places is the same in all of them."""

import ast
import hashlib
import re
import sys
import tomllib
from runpy import run_path

import yaml
from packaging.requirements import Requirement
from strangers import ROOT

from sklearn_mmoe import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
ON_CONDA = {"torch": "pytorch"}


def yaml_of(*parts):
    return yaml.safe_load(ROOT.joinpath(*parts).read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere():
    assert yaml_of("CITATION.cff")["version"] == __version__
    assert yaml.safe_load(RECIPE)["context"]["version"] == __version__


def test_the_recipe_asks_for_what_the_package_asks_for():
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    lines = [f"{ON_CONDA.get(own.name, own.name)} {own.specifier}" for own in asked]
    python, *others = yaml.safe_load(RECIPE)["requirements"]["run"]
    assert (python, sorted(others)) == ("python >=${{ python_min }}", sorted(lines))
    assert yaml.safe_load(RECIPE)["context"]["python_min"] == PROJECT["requires-python"].removeprefix(">=")


def imported_by(path):
    """The packages whose import is written at the left margin of a file."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


def test_whatever_is_imported_at_once_is_asked_for():
    """Not only by what brings it today: tomorrow's version of that may do without."""
    package = ROOT / "sklearn_mmoe"
    imported = set().union(*map(imported_by, package.rglob("*.py")))
    later = set().union(*map(imported_by, package.glob("export/_*.py"))) & {"onnx", "onnxruntime", "skl2onnx"}
    others = imported - set(sys.stdlib_module_names) - {"sklearn_mmoe"} - later  # test_house.py: not at once
    asked = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert {"scikit-learn" if name == "sklearn" else name for name in others} == asked


def test_the_recipe_is_filled_in_with_the_sources(tmp_path):
    sources = tmp_path / "sklearn_mmoe-9.8.7.tar.gz"
    sources.write_bytes(b"sources")
    filled_in = run_path(str(ROOT / "conda" / "fill_in.py"))["filled_in"]
    filled, plain = (yaml.safe_load(text) for text in (filled_in(RECIPE, sources), RECIPE))
    assert filled["context"].pop("version") == "9.8.7"
    assert filled["source"].pop("sha256") == hashlib.sha256(b"sources").hexdigest()
    assert set(plain["source"].pop("sha256")) == {"0"}
    plain["context"].pop("version")
    assert filled == plain


def test_the_versions_of_Python_are_those_that_the_workflow_tries():
    tried = yaml_of(".github", "workflows", "tests.yml")["jobs"]["newest"]["strategy"]["matrix"]["python"]
    classifiers = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert tried == classifiers
    assert PROJECT["requires-python"] == f">={tried[0]}"
