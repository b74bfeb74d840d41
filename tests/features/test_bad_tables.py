"""What a table pipeline takes, and what it refuses by its place: dates, masks, large numbers, broken indices."""

import datetime
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import N_ROWS, SMALL, make_features, make_labels, make_targets
from scipy import sparse
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.linear_model import Ridge

from sklearn_mmoe import MMoERegressor, make_tabular_pipeline


@pytest.mark.parametrize("form", [np.datetime64, datetime.date, pd.Timestamp])
@pytest.mark.parametrize("estimator", [MMoERegressor(**{**SMALL, "max_epochs": 1}), Ridge()])
def test_dates_of_arrays_and_objects_are_refused_in_fit_and_later(estimator, form):
    days = np.array([form("2020-01-01") if form is np.datetime64 else form(2020, 1, 1)] * N_ROWS)
    X, y = make_features(), make_targets("regressor")
    objects = X.astype(object)
    objects[:, 2] = days.astype(object)
    model = make_tabular_pipeline(estimator).fit(X, y)
    for own, columns in ((np.column_stack([days] * 4), "s 0 .*, 3 "), (objects, " 2 "), (objects.tolist(), " 2 ")):
        for call in (partial(make_tabular_pipeline(estimator).fit, own, y), partial(model.predict, own)):
            with pytest.raises(ValueError, match=f"X holds dates, times or durations in column{columns}"):
                call()
    frame = pd.DataFrame(objects, columns=list("abcd"))
    model.fit(pd.DataFrame(X, columns=list("abcd")), y)
    calls = [partial(model.predict, frame)]
    if frame["c"].dtype == object:  # pandas makes a column of dates of its own moments: in a fit, these are features
        calls.append(partial(make_tabular_pipeline(estimator).fit, frame, y))
    for call in calls:
        with pytest.raises(ValueError, match="X holds dates, times or durations in column 'c' "):
            call()


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["coo", "csc", "csr", "bsr", "dia", "dok", "lil"])
@pytest.mark.parametrize("estimator", [Ridge(), MMoERegressor(**{**SMALL, "max_epochs": 1})])
def test_sparse_matrices_of_all_formats(estimator, form, kind):
    rows, y = make_features() * (make_features() > 0), make_targets("regressor")
    X = getattr(sparse, f"{form}_{kind}")(rows)
    model = make_tabular_pipeline(estimator).fit(X, y)
    assert model[0].transform(X).format == "csr"
    expected = clone(estimator).fit(csr_array(rows / rows.max(axis=0)), y).predict(csr_array(rows / rows.max(axis=0)))
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)


def test_broken_indices_are_refused():
    X = csr_array(make_features())
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(X, make_targets("regressor"))
    X.indices = X.indices + 1
    for call in (model.predict, partial(make_tabular_pipeline(Ridge()).fit, y=make_targets("regressor"))):
        with pytest.raises(ValueError, match="X is a sparse matrix whose indices are broken"):
            call(X)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (1e300, r"X contains a number, 1e\+300, that is too large to be scaled, in column {}: replace it"),
        (-np.inf, "X contains infinity in column {}"),
        (10**400, "X holds a whole number of 1329 bits in row 3, column {}, which is no number that floats can hold"),
        (1j, "X holds 1j in row 3, column {}, which is no number"),
        ({}, "X holds {{}} in row 3, column {}, which is no number"),
    ],
    ids=["1e300", "infinity", "400 digits", "complex", "dict"],
)
def test_what_is_no_number_is_told_by_its_place(value, match):
    """Beside words, too, which are categories."""
    objects = make_features().astype(object)
    objects[:, 0] = make_labels()
    good = objects.copy()
    objects[3, 2] = value
    y = make_targets("regressor")
    for own, column in ((objects, "2"), (objects.tolist(), "2"), (pd.DataFrame(objects, columns=list("abcd")), "'c'")):
        with pytest.raises((ValueError, TypeError), match=match.format(column)):
            make_tabular_pipeline(MMoERegressor(**SMALL)).fit(own, y)
    if value not in (1e300, -np.inf):
        model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(good, y)
        with pytest.raises((ValueError, TypeError), match=match.format("2")):
            model.predict(objects)


@pytest.mark.parametrize("form", [torch.tensor, list, lambda X: torch._neg_view(torch.tensor(-X))])
def test_rows_of_other_libraries(form):
    X, y = make_features(), make_targets("regressor")
    model = make_tabular_pipeline(MMoERegressor(**SMALL))
    expected = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(model.fit(form(X), y).predict(form(X)), expected)


def test_masks_are_refused():
    X = np.ma.array(make_features())
    X[3, 2] = np.ma.masked
    with pytest.raises(ValueError, match="X is a masked array, 1 of whose cells are masked"):
        make_tabular_pipeline(Ridge()).fit(X, make_targets("regressor"))
