"""What is public has a docstring that numpydoc finds complete, an example that pytest runs, a place in the API."""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest
from numpydoc.validate import validate
from public_names import DOCUMENTED, PUBLIC

API = Path(__file__).parents[2] / "docs" / "api" / "index.rst"
NOT_ASKED = {
    "SA01",  # a See Also section: pages of the guide link instead
    "ES01",  # an extended summary where the first line says all
    "RT02",  # "self : object", as scikit-learn writes it
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_numpydoc_finds_nothing_to_mend(name):
    assert [error for error in validate(name)["errors"] if error[0] not in NOT_ASKED] == []


def examples_of_classes():
    """Those that pytest does not find where the code stands, as such classes say that they are of a package."""
    for name in PUBLIC:
        found, module = resolve_name(name), importlib.import_module(name.rpartition(".")[0])
        if inspect.isclass(found) and hasattr(module, "__path__"):
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
