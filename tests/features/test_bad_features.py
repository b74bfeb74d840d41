"""Bad features: an error that names the columns, and an estimator that is as it was before."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import (
    N_ROWS,
    all_three,
    assert_fit_refuses,
    assert_unfitted,
    changed,
    fitted,
    make_features,
    make_model,
    make_targets,
)

PLAIN = {"numeric_embeddings": None}  # which takes no missing numbers
ADVICE = {"NaN": "numeric_embeddings='auto' takes missing numbers.*SimpleImputer", "infinity": "clip the values"}


def make_frame():
    return pd.DataFrame(make_features(), columns=["age", "height", "weight", "income"])


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@all_three
def test_bad_numbers_in_an_array_name_the_column_by_its_number(name, value, kind):
    X = changed(make_features(), 3, 2, value)
    assert_fit_refuses(name, rf"Input X contains {kind}.* in column 2\. .*{ADVICE[kind]}", X, **PLAIN)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity")])
@all_three
def test_bad_numbers_in_a_frame_name_the_columns(name, value, kind):
    frame = make_frame()
    frame.loc[3, "height"] = frame.loc[5, "income"] = value
    match = rf"Input X contains {kind}.* in columns 'height', 'income'\. .*{ADVICE[kind]}"
    assert_fit_refuses(name, match, frame, **PLAIN)


@all_three
def test_nulls_of_other_frames_name_the_column(name):
    columns = {key: values.tolist() for key, values in make_frame().items()}
    columns["weight"][7] = None
    assert_fit_refuses(name, r"Input X contains NaN in column 'weight'\.", pl.DataFrame(columns), **PLAIN)
    frame = make_frame().convert_dtypes()
    frame.loc[7, "weight"] = pd.NA
    assert_fit_refuses(name, r"Input X contains NaN in column 'weight'\.", frame, **PLAIN)


@all_three
def test_many_bad_columns_are_not_all_listed(name):
    assert_fit_refuses(name, r"in columns 0, 1, 2, .*\(30 in all\)", np.full((N_ROWS, 30), np.inf))


@all_three
def test_numbers_too_large_for_the_dtype_name_the_column(name):
    X = changed(make_features(), 3, 2, 1e300)
    assert_fit_refuses(name, r"too large for dtype\('float32'\) in column 2\.", X)


@all_three
def test_numbers_whose_sum_overflows_are_not_taken_for_infinity(name):
    gates = fitted(name, dtype="float64").gate_weights(np.full((5, 4), 1e308))
    assert gates.shape[0] == 5


@pytest.mark.parametrize("method", ["predict", "gate_weights", "partial_fit"])
@all_three
def test_later_calls_refuse_bad_numbers_too(name, method):
    model = fitted(name, **PLAIN)
    X = changed(make_features(), 3, 2, np.nan)
    arguments = [X, make_targets(name)] if method == "partial_fit" else [X]
    with pytest.raises(ValueError, match=r"Input X contains NaN in column 2\."):
        getattr(model, method)(*arguments)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.empty((0, 4)), r"Found array with 0 sample\(s\)"),
        (np.empty((N_ROWS, 0)), r"(?s)Found array with 0 feature\(s\)|0 feature"),
        (np.zeros(N_ROWS), "Expected 2D array, got 1D array instead"),
        (np.zeros((N_ROWS, 2, 2)), "dim 3|3D|3 dim"),
        (np.zeros((N_ROWS, 4)) * 1j, "Complex data not supported"),
        (np.full((N_ROWS, 4), "tall", dtype=object), "could not convert string to float: 'tall'"),
        (np.full((N_ROWS, 4), "tall"), "could not convert string to float|dtype='numeric'"),
        (None, "Expected 2D array, got scalar array instead"),
    ],
    ids=["no rows", "no columns", "1-D", "3-D", "complex", "objects", "strings", "None"],
)
@all_three
def test_features_that_are_no_table_of_numbers(name, X, match):
    model = make_model(name)
    with pytest.raises(ValueError, match=match):
        model.fit(X, make_targets(name))
    assert_unfitted(model)


@all_three
def test_objects_that_are_no_numbers(name):
    X = np.full((N_ROWS, 4), {}, dtype=object)
    assert_fit_refuses(name, "must be a string or a real number, not 'dict'", X, error=TypeError)


@all_three
def test_objects_that_are_numbers_are_fine(name):
    X, y = make_features(), make_targets(name)
    np.testing.assert_array_equal(
        make_model(name).fit(X.astype(object), y).predict(X), make_model(name).fit(X, y).predict(X)
    )


# --------------------------------------------------------------------------------------------------------------------
# Columns


def questions_of(model):
    names = ["predict", "gate_weights", "predict_proba", "predict_frame"]
    return [getattr(model, name) for name in names if hasattr(model, name)]


@all_three
def test_another_number_of_columns(name):
    model = fitted(name)
    match = f"X has 3 features, but {type(model).__name__} is expecting 4 features as input"
    for ask in questions_of(model):
        with pytest.raises(ValueError, match=match):
            ask(make_features()[:, :3])
    for method in (model.score, model.partial_fit):
        with pytest.raises(ValueError, match=match):
            method(make_features()[:, :3], make_targets(name))


@all_three
def test_other_names_and_another_order(name):
    frame, y = make_frame(), make_targets(name)
    model = make_model(name).fit(frame, y)
    for ask in questions_of(model):
        with pytest.raises(
            ValueError, match=r"(?s)feature names should match.*unseen at fit time:\n- size.*missing:\n- height"
        ):
            ask(frame.rename(columns={"height": "size"}))
        with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
            ask(frame[frame.columns[::-1]])
        with pytest.warns(UserWarning, match="X does not have valid feature names, but MMoE.* was fitted with feature"):
            ask(frame.to_numpy())


@all_three
def test_names_of_mixed_types(name):
    frame = make_frame().rename(columns={"height": 3})
    assert_fit_refuses(name, "only supported if all input features have string names", frame, error=TypeError)
