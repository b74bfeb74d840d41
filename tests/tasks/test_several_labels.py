"""Several labels in one row: what stands in for a column of each is refused, with the way to such columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import N_ROWS, assert_fit_refuses

WAY = "Several labels of one row become columns of 0 and 1, a task each, by scikit-learn's MultiLabelBinarizer"
LISTS = [["a", "b"] if i % 2 else ["b"] for i in range(N_ROWS)]


def as_objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize("name", ["regressor", "classifier"])
@pytest.mark.parametrize("row", [list, tuple])
def test_lists_of_labels_of_different_lengths(name, row):
    match = f"The rows of y are of different lengths, from 1 to 2: each needs a value for every task.*{WAY}"
    assert_fit_refuses(name, match, y=list(map(row, LISTS)))


@pytest.mark.parametrize("row", [list, tuple, set, frozenset, np.array])
@pytest.mark.parametrize("form", [as_objects, pd.Series, lambda values: pd.DataFrame({"y0": values})])
def test_collections_among_classes(form, row):
    kind = type(row(LISTS[0])).__name__
    match = rf"Task 'y0' holds a {kind} in a row, .*b.*: one label is needed\. {WAY}"
    assert_fit_refuses("classifier", match, y=form(as_objects([*map(row, LISTS)])))


def test_collections_in_a_list_that_holds_words_too():
    many = N_ROWS // 2
    assert_fit_refuses("classifier", f"Task 'y0' holds a set in a row, .*{WAY}", y=["a", {"a", "b"}] * many)
    match = f"The rows of y are of different lengths, from 1 to 2.*{WAY}"
    assert_fit_refuses("classifier", match, y=["a", ("a", "b")] * many)


@pytest.mark.parametrize("name", ["regressor", "classifier"])
def test_lists_of_polars(name):
    assert_fit_refuses(name, f"holds a List.* in each row: one value is needed. {WAY}", y=pl.Series("y0", LISTS))
