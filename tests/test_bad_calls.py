"""Bad calls by the thousand: every argument of all that is public is everything but what is right.

A call answers right or ends in an error that is allowed and names the argument; arguments and global state stay. What
is tried stands in tables: values in `bad_values`, data in `spoiled_data`, functions in `public_calls`.
"""

import pickle

import pytest
from bad_calls import bad_ways, fault
from call_data import fitted_model
from helpers import NAMES
from public_calls import CALLS

# Data and what stands for it: conversions still say in words of their own what cannot be converted
NOT_YET = {
    *("X", "X_val", "y", "y_val", "sample_weight", "sample_weight_val", "path", "y_true", "y_pred", "group", "example"),
    *("categorical_features", "task_weights", "net_params", "categories", "classes", "activation", "gate_weights"),
}
CASES = [(name, argument) for name, call in CALLS.items() for argument in call.tried if argument not in NOT_YET]
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


@pytest.mark.parametrize(("name", "argument"), CASES, ids=lambda part: part)
def test_a_bad_argument_is_answered_right_or_refused(name, argument, record_property):
    ways = bad_ways(CALLS[name], argument)
    faults = {way: what for way, make in ways.items() if (what := fault(CALLS[name], argument, make, way)) is not None}
    record_property("bad calls", len(ways))
    assert not faults, "\n".join(
        [f"python tests/bad_calls.py {name!r} {argument!r} {way!r}  # {what}" for way, what in faults.items()]
    )


def test_thousands_of_calls_are_tried():
    assert sum(len(bad_ways(CALLS[name], argument)) for name, argument in CASES) >= AT_LEAST
