"""Targets in all their forms: lists, frames, series, tensors, types with missing values."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import (
    KINDS,
    N_ROWS,
    QUICK,
    all_three,
    assert_same_model,
    make_features,
    make_labels,
    make_model,
    make_targets,
    with_missing,
)


def target_forms():
    y = make_targets("regressor")
    named = dict(zip(["first", "second"], y.T, strict=True))
    return {
        "list": y.tolist(),
        "tuple": tuple(map(tuple, y.tolist())),
        "pandas": pd.DataFrame(named),
        "pandas with an index of its own": pd.DataFrame(named, index=np.arange(N_ROWS)[::-1]),
        "polars": pl.DataFrame(named),
        "fortran": np.asfortranarray(y),
        "objects": y.astype(object),
        "tensor": torch.tensor(y, requires_grad=True),
    }


@pytest.mark.parametrize("form", target_forms())
def test_targets_of_several_columns_in_any_form_give_the_same_model(form):
    X, y = make_features(), target_forms()[form]
    model = make_model("regressor").fit(X, y)
    assert_same_model(model, make_model("regressor").fit(X, make_targets("regressor")))
    framed = form.startswith(("pandas", "polars"))
    assert model.task_names_ == (["first", "second"] if framed else ["y0", "y1"])
    assert model.score(X, y) == model.score(X, make_targets("regressor"))


def test_a_frame_with_numbers_for_names():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor").fit(X, pd.DataFrame(y))
    assert model.task_names_ == ["0", "1"]
    assert_same_model(model, make_model("regressor").fit(X, y))


@pytest.mark.parametrize("library", [pd, pl])
def test_a_series_is_one_task(library):
    X, y = make_features(), make_targets("regressor")[:, 0]
    model = make_model("regressor").fit(X, library.Series(y.tolist()).rename("price"))
    assert model.task_names_ == ["price"]
    assert model.predict(X).shape == (N_ROWS,)
    assert_same_model(model, make_model("regressor").fit(X, y))


@pytest.mark.parametrize("library", [pd, pl])
def test_a_frame_of_one_column_stays_two_dimensional(library):
    X, y = make_features(), make_targets("regressor")[:, 0]
    model = make_model("regressor").fit(X, library.DataFrame({"price": y}))
    assert model.predict(X).shape == (N_ROWS, 1)


@pytest.mark.parametrize("library", [pd, pl])
@all_three
def test_nulls_of_a_frame_are_missing_labels(name, library):
    X, y = make_features(), with_missing(make_targets(name))
    names = list(KINDS)[: y.shape[1]]
    cells = {key: [None if np.isnan(v) else v for v in column] for key, column in zip(names, y.T, strict=True)}
    model = make_model(name).fit(X, library.DataFrame(cells))
    assert model.task_names_ == names
    assert_same_model(model, make_model(name).fit(X, y))


@pytest.mark.parametrize("library", [pd, pl])
def test_labels_come_back_as_they_went_in(library):
    X = make_features()
    y = library.DataFrame({"sign": make_labels(), "side": X[:, 1] > 0})
    model = make_model("classifier", **QUICK).fit(X, y)
    assert [own.tolist() for own in model.classes_] == [["no", "yes"], [False, True]]
    predicted = model.predict(X)
    assert {type(label) for label in predicted[:, 0]} <= {str, np.str_}
    assert (predicted[:, 0] == make_labels()).mean() > 0.9
    assert (predicted[:, 1].astype(bool) == (X[:, 1] > 0)).mean() > 0.9


def test_a_categorical_series():
    X = make_features()
    y = pd.Series(make_labels(), dtype="category", name="sign")
    model = make_model("classifier", **QUICK).fit(X, y)
    assert list(model.classes_) == ["no", "yes"]
    assert model.score(X, y) > 0.9


def test_nullable_integers_with_missing_ones():
    X, y = make_features(), make_targets("classifier")
    columns = {f"y{i}": pd.array(y[:, i].tolist(), dtype="Int64") for i in range(2)}
    frame = pd.DataFrame(columns)
    frame.loc[::5, "y1"] = pd.NA
    model = make_model("classifier").fit(X, frame)
    floats = y.astype(float)
    floats[::5, 1] = np.nan
    assert_same_model(model, make_model("classifier").fit(X, floats))
    assert model.predict(X).dtype.kind == "i"
