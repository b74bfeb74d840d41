"""Environments of people who have installed the wheel, and what it brings, and nothing else."""

import os
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def built_wheel(folder):
    """The wheel, made in a copy of the sources: a build leaves its own files beside them."""
    source = folder / "source"
    copytree(ROOT / "sklearn_mmoe", source / "sklearn_mmoe", ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=source, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def empty_environment(folder, wheel, extras=()):
    """Install a wheel with its extras in an environment of its own, and return the Python there.

    What it depends on is linked from this environment, distribution by distribution: nothing else can be imported.
    """
    venv.create(folder, symlinks=os.name != "nt")
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    site = Path(paths["purelib"])
    with ZipFile(wheel) as files:
        files.extractall(site)
    (own,) = Distribution.discover(path=[str(site)])
    parts = {  # a set, as distributions may share a folder
        distribution(name).locate_file(path.parts[0])
        for name in _needed(own, set(extras))
        for path in distribution(name).files
        if path.parts[0] not in ("..", "__pycache__")
    }
    for part in parts:
        (site / part.name).symlink_to(part, target_is_directory=part.suffix != ".py")
    return Path(paths["scripts"]) / Path(sys.executable).name


def run_there(python, code, folder):
    """Run code as a script in a folder, and return what it did."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_", "COVERAGE"))
    }
    script = folder / "script.py"
    script.write_text(code, encoding="utf-8")
    return subprocess.run(
        [python, script.name],
        cwd=folder,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
    )


def _needed(own, extras):
    """Names of the distributions that one needs with some of its extras, those that these need, and so on."""
    needed, asked = set(), [(own, extras)]
    while asked:
        dist, extras = asked.pop()
        for requirement in map(Requirement, dist.requires or []):
            marker = requirement.marker
            wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})
            key = canonicalize_name(requirement.name), frozenset(requirement.extras)
            if wanted and key not in needed:
                needed.add(key)
                asked.append((distribution(requirement.name), requirement.extras))
    return {name for name, _ in needed} - {canonicalize_name(own.name)}
