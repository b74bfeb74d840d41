"""Versions of what this package stands on: the lowest that it says it takes, and what older ones lack."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from helpers import SMALL, make_features
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from sklearn_mmoe import MMoERegressor

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# They have the versions of constraints.txt
OF_DEVELOPERS = {"test-long", "docs", "bench", "bench-deepctr", "bench-accuracy", "lint", "dev"}


def pinned(name):
    found = re.findall(r"^(\S+)==(\S+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in found}


def requirements():
    """Where each requirement stands, and what it says."""
    for place, lines in {"dependencies": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items():
        for requirement in map(Requirement, lines):
            if place not in OF_DEVELOPERS and requirement.name != PROJECT["name"]:
                yield place, requirement


@pytest.mark.parametrize(
    ("place", "requirement"), [pytest.param(*own, id=f"{own[0]}-{own[1].name}") for own in requirements()]
)
def test_each_lower_bound_is_a_version_that_the_tests_ran_with(place, requirement):
    bounds = [Version(own.version) for own in requirement.specifier if own.operator == ">="]
    assert bounds == [pinned("constraints-lowest.txt")[canonicalize_name(requirement.name)]]


def test_the_versions_here_are_no_lower():
    for place, requirement in requirements():
        if place == "dependencies":
            assert requirement.specifier.contains(version(requirement.name), prereleases=True), requirement


def test_a_scikit_learn_without_callbacks():
    """Only what is ours is kept from seeing them: scikit-learn's own estimators may have imported them before."""
    code = (
        "import sys, pickle, numpy as np, skorch, sklearn.compose, sklearn.model_selection\n"
        "sys.modules['sklearn.callback'] = None\n"
        "from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor\n"
        "X = np.random.default_rng(0).normal(size=(60, 4))\n"
        f"options = {SMALL}\n"
        "for cls, y in ((MMoERegressor, X[:, 0]), (MMoEClassifier, X[:, 0] > 0), (MMoEMultiTask, X[:, :2])):\n"
        "    model = cls(**options)\n"
        "    assert not hasattr(model, 'set_callbacks')\n"
        "    try: model.set_callbacks()\n"
        "    except AttributeError as error: assert 'needs the callbacks of scikit-learn 1.9' in str(error)\n"
        "    model = pickle.loads(pickle.dumps(model.fit(X, y).partial_fit(X, y)))\n"
        "    print(model.score(X, y), model.n_iter_)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    X = make_features()
    model = MMoERegressor(**SMALL).fit(X, X[:, 0]).partial_fit(X, X[:, 0])
    assert run.stdout.splitlines()[0] == f"{model.score(X, X[:, 0])} 4"


def test_an_older_torch_is_refused_where_a_fit_would_make_a_process_group(monkeypatch):
    """Each rank raises this before it looks for others: no one waits."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch, "__version__", "2.6.0+cpu")
    X = make_features()
    with pytest.raises(ValueError, match=r"for ever with torch 2\.6\.0\+cpu; 2\.13 .* Upgrade torch, or make a group"):
        MMoERegressor(**SMALL).fit(X, X[:, 0])
    assert not torch.distributed.is_initialized()
    assert MMoERegressor(**SMALL, distributed=False).fit(X, X[:, 0]).n_iter_ == SMALL["max_epochs"]
