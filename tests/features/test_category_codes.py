"""Categorical columns of X: which they are, and the numbers and codes that become of them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from category_tables import TOWNS

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._features.validation import check_rows, learn_categories


def coded(frame, train=None, spec="from_dtype"):
    """What becomes of a frame, given what was learned of another."""
    model = MMoERegressor()
    train = frame if train is None else train
    categories = learn_categories(train, spec)
    check_rows(model, train, categories, dtype="float32", reset=True)
    return check_rows(model, frame, categories, dtype="float32", reset=False)


def test_numbers_and_codes():
    frame = pd.DataFrame({"n": [1.5, 2.5, 3.5, 4.5], "town": ["Ulm", None, "Bonn", "Ulm"], "yes": [True, False] * 2})
    rows = coded(frame)
    assert rows.numbers.tolist() == [[1.5, 1], [2.5, 0], [3.5, 1], [4.5, 0]]
    assert rows.numbers.dtype == torch.float32
    assert rows.codes.tolist() == [[2], [0], [1], [2]]
    assert rows.codes.dtype == torch.int64
    assert rows.shape == (4, 3)


UNKNOWN = ["Ulm", "Köln", None, "Bonn", np.nan]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(UNKNOWN, dtype=object),
        pd.Series(UNKNOWN, dtype="string"),
        pd.Series(UNKNOWN, dtype="category"),
        pl.Series(["Ulm", "Köln", None, "Bonn", None]),
        pl.Series(["Ulm", "Köln", None, "Bonn", None], dtype=pl.Categorical),
        pl.Series(["Ulm", "Köln", None, "Bonn", None], dtype=pl.Enum(["Ulm", "Köln", "Bonn"])),
    ],
    ids=["objects", "strings", "categorical", "polars strings", "polars categorical", "polars enum"],
)
def test_unknown_and_missing_categories_are_code_0(column):
    train = pd.DataFrame({"n": np.arange(3.0), "town": TOWNS})
    frame = type(column).__module__.startswith("polars")
    numbers = np.arange(5.0)
    X = pl.DataFrame({"n": numbers, "town": column}) if frame else pd.DataFrame({"n": numbers, "town": column})
    assert coded(X, train).codes[:, 0].tolist() == [3, 0, 0, 1, 0]


def test_an_array_with_indices():
    train = np.array([["Ulm", 1.0], ["Bonn", 2.0]], dtype=object)
    X = np.array([["Bonn", 3.0], [None, 4.0], ["Kiel", 5.0], [7, 6.0], [np.nan, 7.0]], dtype=object)
    rows = coded(X, train, [0])
    assert rows.codes[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert rows.numbers[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert coded(X.tolist(), train.tolist(), [0]).codes[:, 0].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64])
@pytest.mark.parametrize("dtype_later", [np.int64, np.uint64, np.float64])
def test_large_ids_stay_apart(dtype, dtype_later):
    """Neighbours beyond 2**24 are one number in float32."""
    ids = np.array([2**24, 2**24 + 1, 2**24 + 2])
    train = np.column_stack([ids, ids]).astype(dtype)
    X = np.column_stack([ids[::-1], ids + 1]).astype(dtype_later)
    assert coded(X, train, [0, 1]).codes.tolist() == [[3, 2], [2, 3], [1, 0]]


@pytest.mark.parametrize(("dtype", "dtype_later"), [(np.int64, np.uint64), (np.uint64, np.int64), (np.uint64,) * 2])
def test_larger_ids_stay_apart_unless_they_are_floats(dtype, dtype_later):
    ids = np.array([[2**62], [2**62 + 1]])
    assert coded((ids + 1).astype(dtype_later), ids.astype(dtype), [0]).codes[:, 0].tolist() == [2, 0]


def test_ids_that_turn_into_floats_because_one_is_missing():
    train = pd.DataFrame({"shop": [30, 10, 20]})
    X = pd.DataFrame({"shop": [10, None, 30, 40, 10.5]})
    assert X["shop"].dtype == np.float64
    assert coded(X, train, ["shop"]).codes[:, 0].tolist() == [1, 0, 3, 0, 0]


def test_days_are_categories_if_asked_for():
    days = pd.DataFrame({"day": pd.to_datetime(["2024-01-02", "2024-01-01", None])})
    assert coded(days, spec=[0]).codes[:, 0].tolist() == [2, 1, 0]


def test_objects_that_are_numbers_stay_numbers():
    frame = pd.DataFrame({"n": pd.Series([1, 2.5, 3], dtype=object), "m": [1, 2, 3]})
    assert learn_categories(frame, "from_dtype") is None


def test_strings_among_objects_make_a_category():
    frame = pd.DataFrame({"n": [1, 2, 3], "m": pd.Series(["a", b"b", "a"], dtype=object)})
    with pytest.raises(ValueError, match=r"categories of column 'm' of X are of types that do not go.*'bytes', 'str'"):
        learn_categories(frame, "from_dtype")
    assert learn_categories(frame[["n"]], "from_dtype") is None


def test_a_column_without_any_category():
    train = pd.DataFrame({"n": [1.0, 2.0], "town": pd.Series([None, None], dtype="string")})
    assert coded(train).codes.tolist() == [[0], [0]]
    assert coded(train.assign(town="Ulm"), train).codes.tolist() == [[0], [0]]
