"""A fitted model that went there and back answers the same, bit for bit, however it went and whatever it was."""

import tempfile
from pathlib import Path

import joblib
import pytest
from helpers import PICKLES, by_file
from hypothesis import given, note
from hypothesis import strategies as st
from sklearn.base import clone
from strategies import problems

pytestmark = pytest.mark.no_cover


def by_memory_map(model):
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(model, Path(folder) / "model.joblib")
        return joblib.load(Path(folder) / "model.joblib", mmap_mode="r")


def parameters():
    """Those that change what a fitted model is made of."""
    return st.fixed_dictionaries(
        {},
        optional={
            "n_members": st.integers(1, 3),
            "dtype": st.sampled_from(["float32", "float64"]),
            "gating": st.sampled_from(["per_task", "shared"]),
            "gate_layer_sizes": st.sampled_from([(), (3,), [3, 2]]),
            "tower_layer_sizes": st.sampled_from([(), (2,), 3]),
            "activation": st.sampled_from(["relu", "gelu", "tanh"]),
            "dropout": st.sampled_from([0.0, 0.2]),
            "task_weights": st.sampled_from([None, "uncertainty", "dwa"]),
            "optimizer": st.sampled_from(["adamw", "adam", "sgd", "rmsprop"]),
            "early_stopping": st.booleans(),
        },
    )


def assert_bit_identical(model, other, X):
    for method in ("predict", "predict_proba", "gate_weights"):
        if hasattr(model, method):
            found, expected = getattr(other, method)(X), getattr(model, method)(X)
            if isinstance(expected, dict):
                found, expected = list(found.values()), list(expected.values())
            for own, right in zip(found, expected, strict=True):
                assert own.dtype == right.dtype
                assert own.tobytes() == right.tobytes()


@given(problem=problems(), parameters=parameters())
def test_a_copy_answers_the_same_and_learns_the_same_from_there_on(problem, parameters):
    model = problem.fit(problem.X, problem.y, **parameters)
    copies = {}
    for there_and_back in (*PICKLES, by_memory_map, by_file):
        note(there_and_back.__name__)
        copies[there_and_back] = other = there_and_back(model)
        assert_bit_identical(model, other, problem.X)
        assert_bit_identical(model, there_and_back(other), problem.X)
    model.partial_fit(problem.X, problem.y)
    for there_and_back, other in copies.items():
        note(f"{there_and_back.__name__}, further")
        assert_bit_identical(model, other.partial_fit(problem.X, problem.y), problem.X)


@given(problem=problems(), parameters=parameters())
def test_a_clone_learns_the_same(problem, parameters):
    model = problem.fit(problem.X, problem.y, **parameters)
    assert_bit_identical(model, clone(model).fit(problem.X, problem.y), problem.X)
