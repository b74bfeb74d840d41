"""What is public has a docstring that numpydoc finds complete, an example that pytest runs, a place in the API."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate

API = Path(__file__).parents[2] / "docs" / "api" / "index.rst"
MODULES = [
    *["sklearn_mmoe", "sklearn_mmoe.tasks", "sklearn_mmoe.metrics", "sklearn_mmoe.nn", "sklearn_mmoe.plot"],
    *["sklearn_mmoe.datasets", "sklearn_mmoe.exceptions", "sklearn_mmoe.export"],
]
NOT_ASKED = {
    "SA01",  # a See Also section: pages of the guide link instead
    "ES01",  # an extended summary where the first line says all
    "RT02",  # "self : object", as scikit-learn writes it
}


def public_names():
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            if callable(getattr(importlib.import_module(module), name)):
                yield f"{module}.{name}"


def own_methods(name):
    """The public methods that this package defines; declarations of tasks are for users to write, not to call."""
    module, _, attribute = name.rpartition(".")
    cls = getattr(importlib.import_module(module), attribute)
    if not inspect.isclass(cls) or module == "sklearn_mmoe.tasks":
        return
    for method in dir(cls):
        function = inspect.unwrap(getattr(cls, method)) if callable(getattr(cls, method, None)) else None
        if not method.startswith("_") and (getattr(function, "__module__", None) or "").startswith("sklearn_mmoe"):
            yield f"{name}.{method}"


PUBLIC = list(public_names())
DOCUMENTED = [*PUBLIC, *(method for name in PUBLIC for method in own_methods(name))]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_numpydoc_finds_nothing_to_mend(name):
    assert [error for error in validate(name)["errors"] if error[0] not in NOT_ASKED] == []


def examples_of_classes():
    """Those that pytest does not find where the code stands, as such classes say that they are of a package."""
    for name in PUBLIC:
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        if inspect.isclass(found) and hasattr(importlib.import_module(module), "__path__"):
            yield from (own for own in doctest.DocTestFinder().find(found, name, module=False) if own.examples)


@pytest.mark.parametrize("example", list(examples_of_classes()), ids=lambda example: example.name)
def test_examples_print_what_they_say(example):
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0


def test_every_public_name_has_a_page_in_the_api():
    listed, module = set(), None
    for line in API.read_text().splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.removeprefix(".. currentmodule:: ")
        elif re.fullmatch(r"   \w+", line):
            listed.add(f"{module}.{line.strip()}")
    assert listed == set(PUBLIC)
