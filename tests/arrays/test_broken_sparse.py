"""Sparse matrices whose indices lead out of them are refused before anybody follows one."""

import numpy as np
import pytest
from front_door import refuses_as_X
from helpers import N_ROWS, make_features, make_model, make_targets
from scipy import sparse


def broken(kind, attribute, place, value):
    rows = np.where(np.abs(make_features()) > 0.5, make_features(), 0.0)
    X = getattr(sparse, kind)(rows)
    values = getattr(X, attribute).copy()
    values[place] = value
    setattr(X, attribute, values)
    return X


@pytest.mark.parametrize(
    ("attribute", "place", "value"),
    [
        *[("indices", place, value) for place in (0, -1) for value in (4, -1, 2**31 - 1, -(2**31))],
        *[("indptr", 5, 0), ("indptr", 5, 10**6), ("indptr", 0, 1), ("indptr", -1, 10**6), ("indptr", 5, -1)],
    ],
)
@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
def test_indices_that_lead_out_of_a_sparse_matrix_are_refused(kind, attribute, place, value):
    refuses_as_X("X is a sparse matrix whose indices are broken", broken(kind, attribute, place, value))


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [(kind, name) for kind in ("csc_array", "bsr_array") for name in ("indices", "indptr")]
    + [("coo_array", "row"), ("coo_matrix", "col")],
)
@pytest.mark.parametrize("value", [10**6, -5])
def test_indices_of_other_formats_are_looked_at_before_they_are_followed(kind, attribute, value):
    refuses_as_X("X is a sparse matrix whose indices are broken", broken(kind, attribute, 3, value))


def test_arrays_of_a_sparse_matrix_that_do_not_fit_together():
    X = sparse.csr_array(make_features())
    X.indices = X.indices[:-1]
    refuses_as_X("X is a sparse matrix whose indices are broken", X)


def test_room_that_a_sparse_matrix_does_not_use_may_hold_anything():
    X = sparse.csr_array(make_features())
    model = make_model("regressor").fit(X, make_targets("regressor"))
    expected = model.predict(X)
    X.data, X.indices = np.r_[X.data, 9.0], np.r_[X.indices, 99].astype(X.indices.dtype)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert len(X.data) == 4 * N_ROWS + 1  # what was given stays as it is
