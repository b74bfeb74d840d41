"""Numbers that are no floats, or too large for them; cells too long to show."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from front_door import refuses_as_weights, refuses_as_X
from helpers import N_ROWS, SMALL, assert_same_model, changed, make_features, make_labels, make_model, make_targets
from scipy import sparse

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe._common.words import shown


def test_decimal_numbers_and_fractions_are_numbers():
    X, y = make_features(), make_targets("regressor").round(3)
    expected = MMoERegressor(**SMALL).fit(X, y)
    decimals = np.array([[Decimal(str(cell)) for cell in row] for row in y.tolist()], dtype=object)
    forms = [decimals, decimals.tolist(), pd.DataFrame(decimals, columns=["y0", "y1"])]
    forms += [pl.DataFrame({f"y{t}": decimals[:, t].tolist() for t in range(2)})]
    forms += [pa.table({f"y{t}": decimals[:, t].tolist() for t in range(2)}).to_pandas(types_mapper=pd.ArrowDtype)]
    for form in forms:
        assert_same_model(MMoERegressor(**SMALL).fit(X, form), expected)
        assert expected.score(X, form if isinstance(form, list) else np.asarray(form)) == expected.score(X, y)
    assert_same_model(MMoERegressor(**SMALL).fit(X, [[Fraction(cell) for cell in row] for row in y.tolist()]), expected)
    assert_same_model(MMoEMultiTask(**SMALL).fit(X, decimals), MMoEMultiTask(**SMALL).fit(X, y))
    weights = [Decimal("0.5"), Decimal(2)] * (N_ROWS // 2)
    assert_same_model(
        MMoERegressor(**SMALL).fit(X, y, weights), MMoERegressor(**SMALL).fit(X, y, [0.5, 2.0] * (N_ROWS // 2))
    )


def test_a_decimal_that_is_no_number_is_a_missing_label():
    X, y = make_features(), make_targets("regressor").round(3)
    decimals = np.array([[Decimal(str(cell)) for cell in row] for row in y.tolist()], dtype=object)
    decimals[::3, 1], decimals[1, 0], y[::3, 1], y[1, 0] = Decimal("NaN"), Decimal("sNaN"), np.nan, np.nan
    assert_same_model(MMoERegressor(**SMALL).fit(X, decimals), MMoERegressor(**SMALL).fit(X, y))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        MMoERegressor(**SMALL).fit(X, decimals[:, 1])
    refuses_as_X("Input X contains NaN in column 1", changed(X.astype(object), 3, 1, Decimal("NaN")))
    refuses_as_X(r"X holds Decimal\('sNaN'\) in row 3, column 1", changed(X.astype(object), 3, 1, Decimal("sNaN")))
    refuses_as_weights("contains NaN", [Decimal("NaN")] * N_ROWS)


@pytest.mark.parametrize(
    "value",
    [10**400, -(10**400), 10**10_000, Decimal("Infinity"), Fraction(10**400, 3)],
    ids=["400 digits", "minus", "10,000 digits", "decimal", "fraction"],
)
def test_numbers_beyond_all_floats(value):
    X, y = make_features().astype(object), make_targets("regressor").astype(object)
    refuses_as_X("X.*(row 3, column 2, which is no number that floats|infinity in column 2)", changed(X, 3, 2, value))
    refuses_as_X(
        "X.*(row 3, column 2, which is no number that floats|infinity in column 2)", changed(X, 3, 2, value).tolist()
    )
    with pytest.raises(ValueError, match="Task 'y1' has labels that are infinite, or too large for a float"):
        MMoERegressor(**SMALL).fit(make_features(), changed(y, 3, 1, value))
    weights = np.ones(N_ROWS, dtype=object)
    weights[3] = abs(value)
    refuses_as_weights("(row 3, which is no number that floats|infinity)", weights)
    if isinstance(value, int):
        refuses_as_weights("row 0, which is no number that floats", abs(value))


@pytest.mark.parametrize("form", ["array", "frame", "sparse"])
def test_a_number_too_large_for_float32_is_told_as_one(form):
    X = changed(changed(make_features(), 3, 2, 1e300), 4, 2, -1e300)
    make = {"array": np.asarray, "sparse": sparse.csr_array}.get(form, lambda X: pd.DataFrame(X, columns=list("abcd")))
    column = "'c'" if form == "frame" else "2"
    match = rf"X contains a number, 1e\+300, that is too large for dtype\('float32'\) in column {column}\. Rescale it"
    with pytest.raises(ValueError, match=match):
        make_model("regressor").fit(make(X), make_targets("regressor"))
    assert np.isfinite(make_model("regressor").fit(make(make_features()), make_targets("regressor")).loss_curve_).all()
    both = changed(X, 5, 1, np.nan)  # what is missing is told first, and of its own column
    with pytest.raises(ValueError, match=rf"Input X contains NaN in column {'.b.' if form == 'frame' else 1}\."):
        make_model("regressor", numeric_embeddings=None).fit(make(both), make_targets("regressor"))


# --------------------------------------------------------------------------------------------------------------------
# Long cells

LONG = {"text": "x" * 10**6, "bytes": b"x" * 10**6, "list": ["x"] * 10**5, "number": 10**5000}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_cell_is_shown_in_short(kind):
    cell, X, y = LONG[kind], make_features(), make_targets("regressor")
    cells = np.empty((N_ROWS, 4), dtype=object)
    cells[:] = X
    cells[3, 2] = cell
    for call in (
        lambda: make_model("regressor").fit(cells, y),
        lambda: make_model("regressor").fit(X, cells),
        lambda: make_model("regressor").fit(X, y, sample_weight=cells[:, 2]),
        lambda: make_model("classifier").fit(X, make_labels(), X_val=X[3:4], y_val=cells[3:4, 2]),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        assert len(str(error.value)) < 1000
    assert len(shown(cell)) < 300
