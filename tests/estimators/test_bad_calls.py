"""Bad calls by the thousand: every argument of all that is public is everything but what is right.

A call answers right or ends in an error that is allowed and names the argument; arguments and global state stay. What
is tried stands in tables: values in `bad_values`, data in `spoiled_data`, functions in `public_calls`.
"""

import pickle
from inspect import signature

import pytest
from bad_calls import bad_ways, fault
from call_data import fitted_model
from helpers import NAMES
from public_calls import CALLS

import sklearn_mmoe
from sklearn_mmoe import datasets, export, metrics, nn, plot, tasks, weighting

NOT_TRIED_ALONE = (
    ".plot",  # it draws what the constructor was given: tried together with it
    *(f".{task}.fit" for task in tasks.__all__),  # what fits takes the columns of a checked y
    "TabularPipeline",  # its constructor is scikit-learn's
    ".backward",
    ".end_epoch",
    *(f".{weights}.forward" for weights in weighting.__all__),  # the losses of a step of training
)
CASES = [(name, argument) for name, call in CALLS.items() for argument in call.tried]
OF_ITS_OWN = ("y", "y_val", "classes", "tasks", "class_weight", "path")  # what not all three estimators share
AT_LEAST = 5_000


@pytest.fixture(scope="module", autouse=True)
def _shared_models_stay():
    """Models that are asked are never changed."""
    before = {name: pickle.dumps(fitted_model(name)) for name in NAMES}
    yield
    assert {name: pickle.dumps(fitted_model(name)) for name in NAMES} == before


@pytest.fixture(scope="module", autouse=True)
def _in_a_folder_of_its_own(tmp_path_factory):
    """Some of what is no name of a file is one after all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("files"))
        yield


def marks_of(name, argument):
    """Of what all three estimators share, the lines that one of them runs are those that the others run."""
    repeats = name.startswith(("MMoEClassifier", "MMoEMultiTask")) and argument not in OF_ITS_OWN
    return [pytest.mark.no_cover] if repeats or name.startswith("TabularPipeline.fit") else []


@pytest.mark.parametrize(
    ("name", "argument"),
    [pytest.param(*case, marks=marks_of(*case)) for case in CASES],
    ids=lambda part: part,
)
def test_a_bad_argument_is_answered_right_or_refused(name, argument, record_property):
    ways = bad_ways(CALLS[name], argument)
    faults = {way: what for way, make in ways.items() if (what := fault(CALLS[name], argument, make, way)) is not None}
    record_property("bad calls", len(ways))
    assert not faults, "\n".join(
        [f"python tests/support/bad_calls.py {name!r} {argument!r} {way!r}  # {what}" for way, what in faults.items()]
    )


def test_every_argument_of_all_that_is_public_is_tried():
    tried = {(name, argument) for name, call in CALLS.items() for argument in call.tried}
    missing = {(name, argument) for name, argument in public_arguments() if not name.endswith(NOT_TRIED_ALONE)} - tried
    assert not missing


def public_arguments():
    for module in (sklearn_mmoe, datasets, export, metrics, nn, plot, tasks, weighting):
        place = "" if module is sklearn_mmoe else module.__name__.partition(".")[2] + "."
        for name in module.__all__:
            yield from arguments_of(place + name, getattr(module, name))


def arguments_of(name, own):
    if not callable(own):
        return
    for parameter in signature(own).parameters.values():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and parameter.name != "self":
            yield name, parameter.name
    if isinstance(own, type):
        for method in [key for key in dir(own) if not key.startswith("_")]:
            function = getattr(own, method)
            if getattr(function, "__module__", "").startswith("sklearn_mmoe"):
                yield from arguments_of(f"{name}.{method}", function)


def test_thousands_of_calls_are_tried():
    assert sum(len(bad_ways(CALLS[name], argument)) for name, argument in CASES) >= AT_LEAST
