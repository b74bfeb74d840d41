"""Warnings of columns that are taken for what they may not be: dates and text as categories, ids as numbers."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import SMALL
from sklearn.linear_model import Ridge

from sklearn_mmoe import MMoERegressor, make_tabular_pipeline

N = 200
RNG = np.random.default_rng(0)
DAYS = pd.Series(pd.date_range("2024-01-01", periods=30).repeat(7)[:N])
Y = RNG.normal(size=N)
MODELS = {
    "ours alone": lambda: MMoERegressor(**{**SMALL, "max_epochs": 1}),
    "ours in a pipeline": lambda: make_tabular_pipeline(MMoERegressor(**{**SMALL, "max_epochs": 1})),
    "one-hot": lambda: make_tabular_pipeline(MMoERegressor(categorical_features=None, **{**SMALL, "max_epochs": 1})),
    "another's": lambda: make_tabular_pipeline(Ridge()),
}
by_all = pytest.mark.parametrize("model", MODELS)
by_both_libraries = pytest.mark.parametrize("library", [pd.DataFrame, lambda columns: pl.DataFrame(columns)])


def warned(model, X):
    """The texts of the warnings of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MODELS[model]().fit(X, Y)
    return [str(warning.message) for warning in caught if warning.category is UserWarning]


@by_all
@by_both_libraries
@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%d-%m-%Y %I:%M %p", " %Y-%m-%d"],
)
def test_strings_that_look_like_dates(model, library, form):
    (text,) = warned(model, library({"x": Y, "day": DAYS.dt.strftime(form).tolist()}))
    assert text.startswith("X holds strings that look like dates in 'day' (")
    assert "pandas.to_datetime" in text


@by_all
@by_both_libraries
def test_strings_of_which_every_row_has_its_own(model, library):
    texts = [f"order {i} of {name}" for i, name in enumerate(RNG.choice(["Ann", "Bo"], N))]
    (text,) = warned(model, library({"x": Y, "note": texts}))
    assert text.startswith("X holds strings of which nearly every row has its own in 'note' ('order 0 of")
    assert "StringEncoder" in text


@pytest.mark.parametrize("model", list(MODELS)[1:])
@by_both_libraries
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", RNG.integers(0, 40, N)),
        ("customerId", RNG.integers(0, 40, N)),
        ("ID", RNG.integers(0, 40, N)),
        ("shop id", RNG.integers(0, 40, N).astype(np.uint16)),
        ("account", RNG.permutation(N) + 1000),
        ("row", np.sort(RNG.permutation(int(1.5 * N))[:N])),
    ],
)
def test_whole_numbers_that_look_like_ids(model, library, name, values):
    (text,) = warned(model, library({"x": Y, name: values}))
    assert text.startswith(f"X holds whole numbers that look like ids in {name!r} ({values[0]} ...)")
    assert "categories" in text


@by_all
@by_both_libraries
@pytest.mark.parametrize(
    "values",
    [
        RNG.choice(["red", "green"], N),
        RNG.choice(["1.5", "2-3", "10/20", "v1.2.3", "192.168.0.1"], N),
        [*["2024-01-01"] * (N - 1), "unknown"],
        RNG.integers(0, 40, N),
        RNG.integers(0, 10**9, N),  # all of them differ, as amounts do
        RNG.permutation(N).astype(float),
        RNG.random(N) < 0.5,
        [None, *RNG.choice(["red", "green"], N - 1)],
    ],
    ids=["words", "near dates", "some dates", "counts", "amounts", "floats", "booleans", "holes"],
)
def test_nothing_is_said_of_other_columns(model, library, values):
    if model == "ours alone" and None in list(values) and library is pd.DataFrame:
        values = pd.Series(values, dtype="str")
    assert warned(model, library({"x": Y, "width": values})) == []


@by_all
def test_what_is_given_as_categories_or_floats_is_meant_so(model):
    days = DAYS.dt.strftime("%Y-%m-%d").astype("category")
    names = pd.Categorical([f"order {i}" for i in range(N)])
    X = pd.DataFrame({"x": Y, "day": days, "note": names, "customer_id": RNG.integers(0, 40, N).astype(float)})
    assert warned(model, X) == []


def test_few_rows_say_nothing():
    X = pd.DataFrame({"name": [f"n{i}" for i in range(50)], "place": np.arange(50)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_tabular_pipeline(MMoERegressor(**{**SMALL, "max_epochs": 1})).fit(X, Y[:50])


def test_many_columns_are_said_of_at_once():
    X = pd.DataFrame({f"c{i}_id": RNG.integers(0, 40, N) for i in range(7)})
    (text,) = warned("another's", X)
    assert "'c4_id'" in text
    assert "and 2 more columns" in text
