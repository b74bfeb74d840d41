"""Labels of all types beside each other in one array: what is predicted is a class, whatever the other tasks' types."""

from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import SMALL, make_features
from versions import needs

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask
from sklearn_mmoe.metrics import make_task_scorer, task_scores
from sklearn_mmoe.tasks import Binary, Ordinal, Regression
from sklearn_mmoe.tasks._declared import Classification
from sklearn_mmoe.tasks._encoding import beside, fit_tasks
from sklearn_mmoe.tasks._validation import check_targets

UP = make_features()[:, 0] > 0
MOMENTS = pd.to_datetime(np.where(UP, "2020-01-01", "2021-06-01"))
LABELS = {
    "booleans": UP,
    "int8": np.where(UP, 1, -1).astype(np.int8),
    "large int64": np.where(UP, 2**60 + 1, 2**60 + 3),
    "the largest uint64": np.where(UP, np.uint64(2**64 - 1), np.uint64(2**64 - 2)),
    "small uint64": np.where(UP, np.uint64(1), np.uint64(2)),
    "floats": np.where(UP, 1.0, 2.0),
    "float32": np.where(UP, 1.0, 2.0).astype(np.float32),
    "strings": np.where(UP, "p", "longer"),
    "objects": np.where(UP, "p", "q").astype(object),
    "categories": pd.Categorical(np.where(UP, "low", "high")),
    "nullable integers": pd.array(np.where(UP, 2**60 + 1, 7), dtype="Int64"),
    "nullable booleans": pd.array(UP, dtype="boolean"),
    "dates": MOMENTS.date,
    "times": (MOMENTS + pd.to_timedelta(UP.astype(int), unit="h")).time,
    "seconds": MOMENTS.as_unit("s"),
    "microseconds": MOMENTS.as_unit("us"),
    "nanoseconds": MOMENTS.as_unit("ns"),
    "moments in a time zone": MOMENTS.tz_localize("Europe/Berlin"),
    "nanoseconds in a time zone": MOMENTS.as_unit("ns").tz_localize("UTC"),
    "spans": pd.to_timedelta(np.where(UP, 1, 2), unit="s"),
    "spans of nanoseconds": pd.to_timedelta(np.where(UP, 1, 2), unit="ns"),
}
of_any_type = pytest.mark.parametrize("own", LABELS)


def fitted_tasks(y, declarations):
    targets = check_targets(y, np.shape(make_features()), estimator_name="a test")
    return fit_tasks(declarations, targets, None)


@pytest.mark.parametrize(("first", "second"), list(product(LABELS, repeat=2)))
def test_each_task_predicts_its_own_classes(first, second):
    y = pd.DataFrame({"first": LABELS[first], "second": LABELS[second]})
    tasks = fitted_tasks(y, [Classification()] * 2)
    table = beside(tasks, [task.decode(np.where(UP, 1.0, -1.0)[:, None]) for task in tasks])
    for task, predicted in zip(tasks, table.T, strict=True):
        assert set(predicted) <= set(task.classes)


@of_any_type
def test_classes_beside_a_regression_stay_what_they_are(own):
    y = pd.DataFrame({"own": LABELS[own], "number": make_features()[:, 1]})
    tasks = fitted_tasks(y, [Classification(), Regression()])
    numbers = np.linspace(-1, 1, len(UP))
    table = beside(tasks, [tasks[0].classes[UP.astype(int)], numbers])
    assert set(table[:, 0]) <= set(tasks[0].classes)
    np.testing.assert_array_equal(table[:, 1].astype(float), numbers)


def test_the_type_of_the_array_does_not_depend_on_what_is_predicted():
    y = pd.DataFrame({"id": np.where(UP, 1, 2**60 + 1), "number": make_features()[:, 1]})
    tasks = fitted_tasks(y, [Classification(), Regression()])
    assert beside(tasks, [np.array([1]), np.array([0.5])]).dtype == object


@pytest.mark.parametrize(("first", "second"), [("int8", "floats"), ("int8", "small uint64"), ("booleans", "int8")])
def test_numbers_that_one_type_holds_are_an_array_of_numbers(first, second):
    model = MMoEClassifier(**SMALL).fit(make_features(), np.column_stack([LABELS[first], LABELS[second]]))
    assert model.predict(make_features()).dtype.kind in "if"


@of_any_type
def test_a_fitted_model_gives_labels_back_in_arrays_and_frames(own):
    X = make_features()
    y = pd.DataFrame({"own": LABELS[own], "other": np.where(UP, "a", "b")})
    model = MMoEMultiTask(tasks=["binary", "binary"], **SMALL).fit(X, y)
    predicted = model.predict(X)
    assert set(predicted[:, 0]) <= set(model.classes_["own"])
    frame = model.predict_frame(X)
    assert frame["own"].dtype == y["own"].dtype
    assert set(frame["own"]) <= set(y["own"])


# NumPy's isin, by which scikit-learn looks for labels, takes the largest since 2.1
@pytest.mark.parametrize(
    "own", [pytest.param(own, marks=needs("numpy", "2.1") if "largest" in own else []) for own in LABELS]
)
def test_labels_of_any_type_are_scored(own):
    X = make_features()
    y = pd.DataFrame({"own": LABELS[own], "other": np.where(UP, "a", "b")})
    model = MMoEClassifier(**{**SMALL, "max_epochs": 1}).fit(X, y)
    hits = np.mean([found == label for found, label in zip(model.predict(X)[:, 0], y["own"], strict=True)])
    assert make_task_scorer("accuracy", task="own")(model, X, y) == pytest.approx(hits)
    assert task_scores(model, X, y)["own"]["accuracy"] == pytest.approx(hits)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_moments_of_polars_come_back(unit, zone):
    X = make_features()
    moments = pl.Series("day", MOMENTS.to_pydatetime().tolist()).dt.cast_time_unit(unit).dt.replace_time_zone(zone)
    y = pl.DataFrame({"day": moments, "other": np.where(UP, "a", "b")})
    frame = MMoEMultiTask(tasks=["binary", "binary"], **SMALL).fit(X, y).predict_frame(X)
    assert frame.schema == y.schema
    assert set(frame["day"]) <= set(y["day"])


@pytest.mark.parametrize("own", ["seconds", "microseconds", "nanoseconds", "moments in a time zone", "dates", "spans"])
@pytest.mark.parametrize("form", [list, np.asarray, pd.Series, pd.Index], ids=["list", "array", "series", "index"])
def test_classes_that_are_listed_in_any_form_are_those_of_the_labels(own, form):
    X, y = make_features(), pd.DataFrame({"own": LABELS[own], "other": np.where(UP, "a", "b")})
    classes = {"own": form(y["own"].drop_duplicates().tolist())}
    chunks = MMoEMultiTask(tasks=["binary", "binary"], **SMALL).partial_fit(X, y, classes).partial_fit(X, y)
    assert set(chunks.predict_frame(X)["own"]) <= set(y["own"])
    ordinal = Ordinal(categories=sorted(y["own"].drop_duplicates().tolist()))
    frame = MMoEMultiTask(tasks=[ordinal, "binary"], **SMALL).fit(X, y).predict_frame(X)
    assert set(frame["own"]) <= set(y["own"])


@pytest.mark.parametrize("own", ["nanoseconds", "microseconds", "moments in a time zone", "dates", "spans", "strings"])
def test_classes_of_any_type_have_weights(own):
    X, labels = make_features(), pd.Series(LABELS[own])
    low, high = sorted(labels.drop_duplicates())
    codes = (labels == high).to_numpy().astype(int)
    for by_label, by_code in (("balanced", "balanced"), ({low: 1.0, high: 5.0}, {0: 1.0, 1: 5.0})):
        found = MMoEClassifier(**SMALL, class_weight=by_label).fit(X, labels).predict_proba(X)
        expected = MMoEClassifier(**SMALL, class_weight=by_code).fit(X, codes).predict_proba(X)
        np.testing.assert_array_equal(found, expected)
    task = Binary(positive_weight=5.0)
    weighed = [MMoEMultiTask(tasks=[task], **SMALL).fit(X, y).predict_proba(X)["y0"] for y in (labels, codes)]
    np.testing.assert_array_equal(*weighed)


def test_moments_in_a_time_zone_that_python_cannot_tell_apart_are_refused():
    y = pl.DataFrame({"day": pl.Series([1, 2] * 30).cast(pl.Datetime("ns", "UTC")), "other": np.where(UP, "a", "b")})
    with pytest.raises(ValueError, match="Column 'day' holds moments in a time zone that differ by nanoseconds"):
        MMoEClassifier(**SMALL).fit(make_features(), y)


def test_a_missing_moment_is_a_missing_label():
    y = pd.DataFrame({"day": MOMENTS.to_series(index=range(len(UP))), "other": np.where(UP, "a", "b")})
    y.loc[::3, "day"] = pd.NaT
    model = MMoEClassifier(**SMALL).fit(make_features(), y)
    assert model.n_labels_seen_.tolist() == [40, 60]
    assert len(model.classes_[0]) == 2
