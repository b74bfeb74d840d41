"""Dates, times and durations are no numbers: not as features, not as weights, not as labels of regressions."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from front_door import refuses_as_weights, refuses_as_X
from helpers import N_ROWS, QUICK, SMALL, make_features, make_model, make_targets
from versions import needs

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor

DAYS = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")[:N_ROWS]
MOMENTS = {
    "days": DAYS,
    "nanoseconds": DAYS.astype("datetime64[ns]"),
    "durations": DAYS - DAYS[0],
    "fine durations": (DAYS - DAYS[0]).astype("timedelta64[ns]"),
    "dates as objects": DAYS.astype(object),
    "Timestamps": np.array([pd.Timestamp(day) for day in DAYS], dtype=object),
    "Timestamps of a zone": np.array([pd.Timestamp(day, tz="Asia/Tokyo") for day in DAYS], dtype=object),
    "Timedeltas": np.array([pd.Timedelta(days=i) for i in range(N_ROWS)], dtype=object),
    "NumPy's as objects": np.array([np.datetime64(day) for day in DAYS] + [None], dtype=object)[:N_ROWS],
    "times": np.array([datetime.time(i % 24) for i in range(N_ROWS)], dtype=object),
    "some": np.array([1.0] * (N_ROWS - 1) + [datetime.date(2020, 1, 1)], dtype=object),
}
moments = pytest.mark.parametrize("kind", MOMENTS)
FRAMES = {
    "pandas": lambda column: pd.Series(column),
    "pandas of a zone": lambda column: pd.Series(column).dt.tz_localize("UTC"),
    "pandas with Arrow": lambda column: pd.Series(pd.array(column.astype(object), dtype=pd.ArrowDtype(pa.date32()))),
    "polars": lambda column: pl.Series(column.astype(object).tolist()),
    "polars datetimes": lambda column: pl.Series(column.astype("datetime64[us]")),
    "polars durations": lambda column: pl.Series((column - column[0]).astype("timedelta64[us]")),
    "polars times": lambda column: pl.Series([datetime.time(i % 24) for i in range(len(column))]),
    "pyarrow": lambda column: pa.chunked_array([pa.array(column)]),
}
takes_tables = needs("scikit-learn", "1.7")  # of pyarrow
frames = pytest.mark.parametrize(
    "library", [pytest.param(name, marks=takes_tables if name == "pyarrow" else ()) for name in FRAMES]
)


def frame_of(library, columns):
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library.split()[0]]
    return make(columns)


@moments
def test_moments_are_no_features(kind):
    column = MOMENTS[kind]
    match = r"X holds dates, times or durations in column"
    refuses_as_X(match, np.column_stack([column] * 4))
    if column.dtype.kind == "O":
        numbers = make_features().astype(object)
        numbers[:, 2] = column
        refuses_as_X(f"{match} 2 ", numbers)
        refuses_as_X(f"{match} 2 ", numbers.tolist())
    refuses_as_X(match, [list(row) for row in np.column_stack([column] * 4)])


@frames
def test_moments_of_frames_are_no_features(library):
    moments = FRAMES[library](DAYS)
    alone = frame_of(library, dict.fromkeys("abcd", moments))
    mixed = frame_of(library, {"a": np.ones(N_ROWS), "b": np.ones(N_ROWS), "d": moments, "e": np.ones(N_ROWS)})
    match = "X holds dates, times or durations in column"
    for X, columns in ((alone, "s 'a' .*, 'b' .*, 'c' .*, 'd' "), (mixed, " 'd' ")):
        with pytest.raises(ValueError, match=f"{match}{columns}.*year, month and weekday"):
            make_model("regressor").fit(X, make_targets("regressor"))
    with pytest.raises(ValueError, match=match):
        make_model("regressor", categorical_features=[0]).fit(mixed, make_targets("regressor"))
    names = pd.DataFrame(np.ones((N_ROWS, 4)), columns=list("abde"))
    model = make_model("regressor").fit(names, make_targets("regressor"))
    with pytest.raises(ValueError, match=f"{match} 'd' "):
        model.predict(mixed)


def test_moments_that_are_declared_as_categories_are_such():
    X = pd.DataFrame({"size": make_features()[:, 0], "day": np.resize(DAYS[:3], N_ROWS)})
    model = make_model("regressor", categorical_features=["day"]).fit(X, make_targets("regressor"))
    assert len(model.categories_["day"]) == 3
    assert np.isfinite(model.predict(X)).all()


@moments
def test_moments_are_no_weights(kind):
    refuses_as_weights("holds dates, times or durations", MOMENTS[kind])
    refuses_as_weights("holds dates, times or durations in columns 0 .*, 1 ", np.column_stack([MOMENTS[kind]] * 2))


@frames
def test_moments_of_series_are_no_weights(library):
    refuses_as_weights("holds dates, times or durations", FRAMES[library](DAYS))


def test_a_single_duration_is_no_weight():
    refuses_as_weights("holds dates, times or durations|number of dimensions|scalar", np.timedelta64(1, "D"))


@pytest.mark.parametrize("kind", [kind for kind in MOMENTS if kind != "some"])
@pytest.mark.parametrize("declared", ["regression", "count", "positive"])
def test_moments_are_no_targets_of_regressions(kind, declared):
    column, X = MOMENTS[kind], make_features()
    match = "is a regression but its labels are dates, times or durations.*days since one day, or make the task a class"
    with pytest.raises(ValueError, match=f"Task 'y0' {match}") as error:
        MMoEMultiTask(**SMALL, tasks=[declared]).fit(X, column)
    if kind == "fine durations":
        assert "found datetime.timedelta(0)" in str(error.value)  # not the nanoseconds of it
    with pytest.raises(ValueError, match=f"Task 'when' {match}"):
        MMoEMultiTask(**SMALL, tasks=["regression", declared]).fit(X, pd.DataFrame({"a": X[:, 0], "when": column}))
    with pytest.raises(ValueError, match=f"Task 'y0' {match}"):
        MMoERegressor(**SMALL).fit(X, np.column_stack([column, column]))


@frames
def test_moments_of_frames_are_no_targets_of_regressions(library):
    moments = FRAMES[library](DAYS)
    with pytest.raises(ValueError, match="Task 'when' is a regression but its labels are dates"):
        MMoERegressor(**SMALL).fit(make_features(), frame_of(library, {"when": moments, "b": moments}))
    with pytest.raises(ValueError, match="is a regression but its labels are dates"):
        MMoERegressor(**SMALL).fit(make_features(), moments)


@pytest.mark.parametrize("kind", ["days", "nanoseconds", "durations", "dates as objects", "Timestamps of a zone"])
def test_moments_are_classes_where_classes_are_due(kind):
    X = make_features()
    y = MOMENTS[kind][np.where(X[:, 0] > 0, 0, N_ROWS - 1)]
    model = MMoEClassifier(**QUICK).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.9
    both = MMoEClassifier(**SMALL).fit(X, np.column_stack([y, y]))
    assert both.classes_[1].tolist() == model.classes_.tolist()
