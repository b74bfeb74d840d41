"""Estimators at the end of a pipeline, and features that are a frame."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import all_three, make_features, make_model, make_targets
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def make_frame():
    """Features with names, one of them a category."""
    frame = pd.DataFrame(make_features(), columns=["a", "b", "c", "d"])
    frame["town"] = np.array(["Bonn", "Köln", "Ulm"])[np.digitize(frame["d"], [-0.5, 0.5])]
    return frame


@all_three
def test_pipeline_is_the_steps_one_by_one(name):
    X, y = 5 + 3 * make_features(), make_targets(name)
    pipeline = make_pipeline(StandardScaler(), make_model(name)).fit(X, y)
    X_scaled = StandardScaler().fit_transform(X)
    alone = make_model(name).fit(X_scaled, y)
    np.testing.assert_array_equal(pipeline.predict(X), alone.predict(X_scaled))
    assert pipeline.score(X, y) == alone.score(X_scaled, y)


@all_three
def test_imputer_in_a_pipeline_takes_care_of_missing_features(name):
    X, y = make_features(), make_targets(name)
    X[::5, 2] = np.nan
    model = make_pipeline(SimpleImputer(), make_model(name)).fit(X, y)
    assert np.isfinite(model.predict(X).astype(float)).all()


@all_three
def test_column_transformer_takes_a_frame_by_its_names(name):
    frame, y = make_frame(), make_targets(name)
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["a", "b", "c"]), ("town", OneHotEncoder(sparse_output=False), ["town"])]
    )
    model = make_pipeline(columns, make_model(name)).fit(frame, y)
    assert model[-1].n_features_in_ == 3 + frame["town"].nunique()
    np.testing.assert_array_equal(model.predict(frame[frame.columns[::-1]]), model.predict(frame))
    assert list(model.feature_names_in_) == list(frame.columns)


@all_three
def test_feature_names_come_through_a_column_transformer(name):
    frame, y = make_frame(), make_targets(name)
    columns = ColumnTransformer([("numbers", StandardScaler(), ["c", "a"])], verbose_feature_names_out=False)
    model = make_pipeline(columns.set_output(transform="pandas"), make_model(name)).fit(frame, y)
    assert list(model[-1].feature_names_in_) == ["c", "a"]
    assert np.isfinite(model.score(frame, y))


@pytest.mark.parametrize("library", [pd, pl])
@all_three
def test_features_may_be_a_frame(name, library):
    X, y = make_features(), make_targets(name)
    frame = library.DataFrame(dict(zip("abcd", X.T, strict=True)))
    model = make_model(name).fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    np.testing.assert_array_equal(model.predict(frame), make_model(name).fit(X, y).predict(X))
