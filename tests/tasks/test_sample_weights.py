"""Weights of rows and labels: only their ratios matter, and a data frame's columns are taken by name."""

import functools
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import (
    KINDS,
    N_ROWS,
    SMALL,
    all_three,
    assert_fit_refuses,
    assert_other_model,
    assert_same_model,
    make_features,
    make_model,
    make_targets,
    outputs_of,
)
from sklearn.metrics import accuracy_score, mean_squared_error
from versions import needs

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._ranks.group import Group
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.tasks._weights import relative_weights

# float32 holds 1e-45 to 3e38, float64 5e-324 to 2e308
scales = pytest.mark.parametrize("scale", [2e-323, 1e-46, 1e38, 1e308])


def varied(n_columns=None):
    """Weights of powers of 2 up to 1, 0 among them: a power of 2 changes none of their digits."""
    weights = np.random.default_rng(1).choice([1.0, 0.5, 0.25, 0.0], size=(N_ROWS, n_columns or 1))
    return weights if n_columns else weights[:, 0]


@functools.cache
def unscaled(name, form):
    return fitted_with(name, weights_of(name, form))


def weights_of(name, form):
    return {"rows": varied(), "labels": varied(make_targets(name).shape[1]), "uniform": np.ones(N_ROWS)}[form]


def fitted_with(name, weights, **options):
    return make_model(name, **options).fit(make_features(), make_targets(name), sample_weight=weights)


# --------------------------------------------------------------------------------------------------------------------
# Only ratios matter


@pytest.mark.parametrize("form", ["rows", "labels", "uniform"])
@all_three
@scales
def test_the_scale_of_weights_changes_no_model(name, form, scale):
    model = fitted_with(name, weights_of(name, form) * scale)
    np.testing.assert_allclose(
        outputs_of(model, make_features()), outputs_of(unscaled(name, form), make_features()), rtol=1e-6
    )


@all_three
def test_each_task_has_a_scale_of_its_own(name):
    apart = 10.0 ** np.linspace(-200, 200, make_targets(name).shape[1])
    model, X = fitted_with(name, np.ones(N_ROWS)[:, None] * apart), make_features()
    np.testing.assert_allclose(outputs_of(model, X), outputs_of(unscaled(name, "uniform"), X), rtol=1e-6)


@scales
def test_the_scale_of_weights_of_validation_data_changes_nothing(scale):
    X, y = make_features(), make_targets("regressor")
    rows = {"X_val": X[:20], "y_val": y[:20]}
    weights = np.repeat([1.0, 0.0], 10)
    model = make_model("regressor").fit(X, y, **rows, sample_weight_val=weights * scale)
    assert (
        model.validation_scores_
        == make_model("regressor").fit(X, y, **rows, sample_weight_val=weights).validation_scores_
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-46, 1e38, 1e300])
def test_the_scale_of_weights_of_classes_changes_nothing(scale):
    def model(scale):
        by_class = [{0: scale, 1: 2 * scale}, {0: scale, 1: scale, 2: 4 * scale}]
        return fitted_with("classifier", weights_of("classifier", "rows") / scale, class_weight=by_class)

    assert_same_model(model(scale), model(1.0))
    assert_other_model(model(scale), unscaled("classifier", "rows"))


@scales
def test_chunks_weigh_as_much_as_they_are_given(scale):
    """The running scale of targets is that of all labels so far, each with its weight."""
    X, rng = make_features(), np.random.default_rng(1)
    first, second = rng.normal(size=N_ROWS), rng.normal(50, 20, size=N_ROWS)
    scale = min(scale, 5e307)
    model = (
        make_model("regressor")
        .partial_fit(X, first, np.full(N_ROWS, scale))
        .partial_fit(X, second, np.full(N_ROWS, 3 * scale))
    )
    task, weights = model._tasks[0], np.repeat([1.0, 3.0], N_ROWS)
    mean = np.average(np.r_[first, second], weights=weights)
    deviation = np.sqrt(np.average((np.r_[first, second] - mean) ** 2, weights=weights))
    np.testing.assert_allclose([task.location, task.scale], [mean, deviation], rtol=1e-12)


def test_weights_further_apart_than_float32_reaches():
    """What weighs next to nothing beside others is next to nothing."""
    weights = np.where(np.arange(N_ROWS) < 30, 1.0, 1e-60)
    X, y = make_features(), make_targets("regressor")
    model = fitted_with("regressor", weights, batch_size=N_ROWS, dtype="float64")
    half = make_model("regressor", batch_size=N_ROWS, dtype="float64").fit(X[:30], y[:30])
    np.testing.assert_allclose(model.loss_curve_, half.loss_curve_, rtol=1e-6)


@scales
@all_three
def test_the_scale_of_weights_changes_no_score(name, scale):
    X, y, model = make_features(), make_targets(name), unscaled(name, "uniform")
    for form in ("rows", "labels"):
        weights = weights_of(name, form)
        assert model.score(X, y, weights * scale) == pytest.approx(model.score(X, y, weights), rel=1e-12)


@scales
@pytest.mark.parametrize("metric", [mean_squared_error, "r2", "a sum of squares"])
def test_the_scale_of_weights_changes_no_scorer(metric, scale):
    def mean_error(labels, answers, sample_weight=None):
        return np.sum(sample_weight * (1e3 * (labels - answers)) ** 2) / np.sum(sample_weight)

    scorer = make_task_scorer(mean_error if metric == "a sum of squares" else metric)
    X, y, model = make_features(), make_targets("regressor"), unscaled("regressor", "uniform")
    assert scorer(model, X, y, varied() * scale) == pytest.approx(scorer(model, X, y, varied()), rel=1e-12)


def test_a_metric_that_is_a_sum_of_weights_gets_them_as_they_are():
    X, y, model = make_features(), make_targets("classifier"), unscaled("classifier", "uniform")
    scorer = make_task_scorer(accuracy_score, task=0, normalize=False)
    right = model.predict(X)[:, 0] == y[:, 0]
    assert scorer(model, X, y, 3.0 * varied()) == 3 * varied()[right].sum()


def test_ranks_agree_on_the_scale_of_weights():
    class Together(Group):
        def gather(self, value):
            return [value, np.array([8.0, 0.0, 0.0])]

    found = relative_weights(np.array([[1.0, 3.0, 0.0], [2.0, 6.0, 0.0]]), Together())
    np.testing.assert_array_equal(found, [[0.125, 0.5, 0], [0.25, 1, 0]])


# --------------------------------------------------------------------------------------------------------------------
# Data frames and series

LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
libraries = pytest.mark.parametrize(
    "library", ["pandas", "polars", pytest.param("pyarrow", marks=needs("scikit-learn", "1.7"))]
)


def named(name, table, order=1):
    names = list(KINDS)[: make_targets(name).shape[1]]
    return dict(list(zip(names, np.asarray(table).T, strict=True))[::order])


@pytest.mark.parametrize("order", [1, -1])
@libraries
@all_three
def test_columns_of_weights_are_taken_by_name(name, library, order):
    X, y, weights = make_features(), pd.DataFrame(named(name, make_targets(name))), weights_of(name, "labels")
    model = make_model(name).fit(X, y, sample_weight=LIBRARIES[library](named(name, weights, order)))
    assert_same_model(model, make_model(name).fit(X, y, sample_weight=weights))
    assert model.score(X, y, LIBRARIES[library](named(name, weights, order))) == model.score(X, y, weights)


def test_columns_of_weights_are_taken_by_the_names_that_tasks_are_declared_with():
    X, y, weights = make_features(), make_targets("multitask"), weights_of("multitask", "labels")
    model = fitted_with("multitask", pd.DataFrame(named("multitask", weights, -1)))
    assert_same_model(model, make_model("multitask").fit(X, y, sample_weight=weights))


def test_weights_of_validation_data_are_taken_by_name():
    X, y, weights = make_features(), make_targets("regressor"), weights_of("regressor", "labels")
    y = pd.DataFrame(named("regressor", y))

    def scores(weights):
        return make_model("regressor").fit(X, y, X_val=X, y_val=y, sample_weight_val=weights).validation_scores_

    assert scores(pd.DataFrame(named("regressor", weights, -1))) == scores(weights) != scores(weights[:, ::-1])


def test_a_frame_without_names_beside_a_y_without_names_is_an_array():
    weights = weights_of("regressor", "labels")
    assert_same_model(fitted_with("regressor", pd.DataFrame(weights)), fitted_with("regressor", weights))


@pytest.mark.parametrize("columns", [["up", "lvl"], ["up", "level", "visits"], ["up"], [0, 1], ["level", "visits"]])
def test_columns_of_weights_that_are_not_those_of_y(columns):
    y = pd.DataFrame(named("regressor", make_targets("regressor")))
    weights = pd.DataFrame(np.ones((N_ROWS, len(columns))), columns=columns)
    match = r"sample_weight are not the tasks of y\. Unknown: \[.*\]; lacking: \[.*\]; the tasks are \['up', 'level'\]"
    assert_fit_refuses("regressor", match, y=y, weights=weights)


def test_names_of_weights_beside_a_y_without_names():
    weights = pd.DataFrame(np.ones((N_ROWS, 2)), columns=["a", "b"])
    assert_fit_refuses("regressor", re.escape("the tasks are ['y0', 'y1']"), weights=weights)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (pl.LazyFrame({"a": [1.0] * N_ROWS}), "sample_weight is a lazy data frame"),
        (pd.DataFrame(np.ones((N_ROWS, 2)), columns=["up", "up"]), "sample_weight has several columns of one name"),
        (pa.table([np.ones(N_ROWS)] * 2, names=["up", "up"]), "sample_weight has several columns of one name"),
    ],
    ids=["lazy", "pandas", "pyarrow"],
)
def test_frames_of_weights_that_have_no_columns_to_go_by(weights, match):
    assert_fit_refuses("regressor", match, weights=weights)


@pytest.mark.parametrize(
    "form",
    [
        lambda weights: pd.Series(weights, name="anything"),
        lambda weights: pd.Series(weights, index=np.arange(N_ROWS)[::-1]),  # taken row by row, as in scikit-learn
        lambda weights: pl.Series("anything", weights),
        lambda weights: pa.chunked_array([weights[:30], weights[30:]]),
        lambda weights: weights.tolist(),
    ],
    ids=["pandas", "an index of its own", "polars", "pyarrow", "list"],
)
@pytest.mark.parametrize("n_tasks", [1, 2])
def test_series_of_weights_are_those_of_rows(form, n_tasks):
    X, y = make_features(), make_targets("regressor")
    y = y[:, 0] if n_tasks == 1 else y
    model = MMoERegressor(**SMALL).fit(X, y, sample_weight=form(varied()))
    assert_same_model(model, MMoERegressor(**SMALL).fit(X, y, sample_weight=varied()))


@libraries
def test_one_column_of_weights_for_one_task_needs_no_name(library):
    X, y = make_features(), make_targets("regressor")[:, 0]
    weights = LIBRARIES[library]({"anything": varied()})
    expected = MMoERegressor(**SMALL).fit(X, y, sample_weight=varied())
    assert_same_model(MMoERegressor(**SMALL).fit(X, y, sample_weight=weights), expected)
    assert_same_model(MMoERegressor(**SMALL).fit(X, pd.Series(y, name="a"), sample_weight=weights), expected)
