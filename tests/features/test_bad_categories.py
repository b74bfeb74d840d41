"""Categorical columns that cannot be: errors say what to do."""

import pytest
from category_tables import as_array, as_polars, make_frame
from helpers import (
    NAMES,
    all_three,
    assert_unfitted,
    make_model,
    make_targets,
)
from sklearn.base import clone


@all_three
@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (["town"], "categorical_features names 'town', but X is an array and has no names: give the indices"),
        ([1, 5], r"categorical_features holds \[5\], but X has 5 features: indices go from 0 to 4"),
        ([-1], r"categorical_features holds \[-1\], but X has 5 features"),
        ([True, False], "categorical_features is a mask of 2 values, but X has 5 features"),
        ([1.5], "'categorical_features' parameter must be 'from_dtype', None, or a list of names"),
        ("town", "'categorical_features' parameter of MMoE.* must be a str among {'from_dtype'}"),
        ([3], r"could not convert string to float: '(Bonn|Kiel|Ulm)'"),
        (None, r"could not convert string to float.*name their columns \(of an array: their indices\) in categorical"),
        ("from_dtype", r"could not convert string to float.*categorical_features.*or encode them first"),
    ],
)
def test_what_is_wrong_with_an_array(name, spec, match):
    model = make_model(name, categorical_features=spec)
    with pytest.raises(ValueError, match=match):
        model.fit(as_array(make_frame()), make_targets(name))
    assert_unfitted(model)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_with_a_frame(name):
    frame, y = make_frame(), make_targets(name)
    for spec, match in [
        (["city", "town"], r"categorical_features names \['city'\], which X does not have; its columns are 'age', 'to"),
        (None, "could not convert string to float: .*categorical_features"),
    ]:
        model = make_model(name, categorical_features=spec)
        with pytest.raises(ValueError, match=match):
            model.fit(frame, y)
        assert_unfitted(model)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (make_frame()[:0], r"Found array with 0 sample\(s\)"),
        (as_polars(make_frame()).lazy(), "X is a lazy data frame: call its collect"),
        (as_array(make_frame())[0], "Expected 2D array, got 1D array instead"),
        (as_array(make_frame())[:0], r"Found array with 0 sample\(s\)"),
        (None, "Expected 2D array, got scalar array instead"),
    ],
    ids=["no rows", "lazy", "1-D", "no rows of an array", "None"],
)
def test_questions_that_are_no_table(X, match):
    model = make_model("regressor", categorical_features=[1, 3]).fit(make_frame(), make_targets("regressor"))
    with pytest.raises(ValueError, match=match):
        model.predict(X)
    with pytest.raises(ValueError, match=match):
        clone(model).fit(X, make_targets("regressor"))
