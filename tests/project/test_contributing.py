"""CONTRIBUTING.md is true: its files are there, and its lists name the places where the code tells what there is."""

import ast
import re
from functools import cache
from inspect import signature

import pytest
from test_house import PACKAGE, ROOMS

from sklearn_mmoe import plot
from sklearn_mmoe._files.net_rules import NET_PARAMS
from sklearn_mmoe.export._converters import CONVERTERS
from sklearn_mmoe.tasks._declared import KINDS
from sklearn_mmoe.tasks._fitted import DEVIANCES, FITTED, FittedClassification
from sklearn_mmoe.weighting._schemes import SCHEMES

ROOT = PACKAGE.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FILE = re.compile(r"[\w.-]+(/[\w.-]+)*(/|\.(py|md|rst|toml|txt|cff|yaml|yml))|\.ci/run")

CODE = sorted(PACKAGE.rglob("*.py"))
DOCS = ROOT / "docs"  # where the site is built from, and pages that are made while it is built
PAGES = [
    ROOT / "README.md",
    *sorted(DOCS.glob("*.md")),
    *sorted((DOCS / "user_guide").glob("*.md")),
    DOCS / "api/index.rst",
]

# What each thing is called: the kinds that a fitted task of their own stands for, beside what plain arrays may be
OTHERS = [kind for kind in FITTED if issubclass(kind, FittedClassification) and kind is not FittedClassification]
KINDS_OF_THEIR_OWN = [
    *[{loss, deviance.kind, KINDS[deviance.kind].__name__} for loss, deviance in DEVIANCES.items()],
    *[{kind.__name__, *kind.losses, KINDS[kind.losses[0]].__name__} for kind in OTHERS],
]
WEIGHTINGS = [{name, scheme.__name__} for name, (scheme, _) in SCHEMES.items()]
DISPLAYS = [{name} for name in plot.__all__]
TRANSFORMERS = [{transformer.__name__} for transformer in CONVERTERS]
THINGS = [
    pytest.param(title, things, id=title)
    for title, things in {
        "A kind of task": KINDS_OF_THEIR_OWN,
        "A weighting": WEIGHTINGS,
        "A display": DISPLAYS,
        "An ONNX converter": TRANSFORMERS,
    }.items()
]


def files_in(text):
    """The files and folders that code between backticks names, of the package without its name."""
    spans = re.findall(r"`([^`]+)`", re.sub("`{3,}", "", text))
    names = [word for span in spans for word in span.split() if FILE.fullmatch(word)]
    return [ROOT / name if (ROOT / name).exists() else PACKAGE / name for name in names]


def how_to(title):
    """The list of places to touch."""
    return re.search(rf"\*\*{title}.*?(?=\n\*\*|\n## )", TEXT, re.DOTALL)[0]


def listed_code(title):
    """The files that its first points begin with."""
    return {PACKAGE / name for name in re.findall(r"^- `([\w./]+)`", how_to(title), re.MULTILINE)}


def docstrings_of(tree):
    holders = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return [node.body[0].value for node in holders if ast.get_docstring(node) is not None]


@cache
def named_in_code(path):
    """All strings of a file that are no docstrings, and all classes: that it makes, imports or asks for."""
    tree = ast.parse(path.read_text())
    prose = set(map(id, docstrings_of(tree)))
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                found.add(text)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                found |= {part for part in name.split(".") if part[:1].isupper()}
    return found


def places_of(things):
    """The files of the package whose code names one of the things."""
    names = set().union(*things)
    return {path for path in CODE if names & named_in_code(path)}


def tells_of_all(text, things):
    return all(re.search(rf"\b({'|'.join(names)})\b", text) for names in things)


def prose_about(things):
    """The pages, and the files whose docstrings, that tell of all the things."""
    pages = {path for path in PAGES if tells_of_all(path.read_text(), things)}
    for path in CODE:
        docstrings = docstrings_of(ast.parse(path.read_text()))
        if any(tells_of_all(" ".join(re.findall(r'"(\w+)"', own.value)), things) for own in docstrings):
            pages.add(path)
    return pages


def test_every_file_that_is_named_is_there():
    files = files_in(TEXT)
    assert len(files) > 50
    assert [str(path) for path in files if not path.exists()] == []


def test_the_map_has_the_packages_in_the_order_of_their_imports():
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == ROOMS


def test_the_design_page_shows_the_house_and_no_more():
    page = (ROOT / "docs" / "design.md").read_text()
    first, last = re.search(r':start-after: "(.+)"\n:end-before: "(.+)"', page).groups()
    assert TEXT.count(first) == TEXT.count(last) == 1
    shown = TEXT[TEXT.index(first) + len(first) : TEXT.index(last)]
    assert shown.startswith("\n\n`sklearn_mmoe/` is a house")
    assert re.findall("^#+ .*", shown, re.MULTILINE) == []
    assert all(f"\n{step}. `" in shown for step in range(1, 11))


@pytest.mark.parametrize(("title", "things"), THINGS[:2])
def test_the_code_that_names_them_is_what_the_list_begins_with(title, things):
    listed = listed_code(title) - {PACKAGE / "_files" / "net_rules.py"}  # it knows parameters, not the weightings
    assert places_of(things) == listed


def test_of_the_export_one_file_alone_knows_transformers():
    exporting = {path for path in places_of(TRANSFORMERS) if path.parent == PACKAGE / "export"}
    assert exporting == listed_code("An ONNX converter")


def test_a_kind_of_task_is_known_in_four_places():
    assert len(listed_code("A kind of task")) == 4


def test_parameters_of_weightings_have_rules_in_the_file_that_the_list_names():
    parameters = {name for scheme, _ in SCHEMES.values() for name in signature(scheme).parameters}
    assert parameters
    assert {f"weighting__{name}" for name in parameters} <= NET_PARAMS.keys()
    assert PACKAGE / "_files" / "net_rules.py" in listed_code("A weighting")


@pytest.mark.parametrize("name", plot.__all__)
def test_a_display_is_known_in_its_own_file_and_in_the_face_of_its_package(name):
    homes = [path for path in CODE if f"\nclass {name}" in path.read_text()]
    assert places_of([{name}]) == {*homes, PACKAGE / "plot" / "__init__.py"}
    assert {path.parent for path in [*homes, *listed_code("A display")]} == {PACKAGE / "plot"}
    own_test = f"test_plot{homes[0].stem}.py"
    assert (ROOT / "tests" / "plot" / own_test).is_file()
    assert any(name in path.read_text() for path in (ROOT / "examples").glob("plot_*.py")), "the gallery has none"


@pytest.mark.parametrize(("title", "things"), THINGS[:3])
def test_pages_and_docstrings_that_tell_of_all_of_them_are_listed(title, things):
    found = prose_about(things)
    assert found
    assert found <= set(files_in(how_to(title)))


@pytest.mark.parametrize(("title", "things"), THINGS)
def test_the_tests_that_are_listed_test_all_of_them(title, things):
    tests = [path for path in files_in(how_to(title)) if path.is_relative_to(ROOT / "tests")]
    one_each = ROOT / "tests" / "plot" / "test_plot_gates.py"
    assert tests
    assert [path.name for path in tests if path != one_each and not tells_of_all(path.read_text(), things)] == []
