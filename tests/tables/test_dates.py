"""Columns of dates in a table pipeline become numbers by skrub, and each of these is treated as a number."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import N_ROWS, NAMES, SMALL, make_features, make_model, make_targets
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import check_get_feature_names_out_error

import sklearn_mmoe
from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
from sklearn_mmoe._tables.dates import DateEncoder
from sklearn_mmoe.export import to_onnx

WHEN = pd.Series(pd.date_range("2024-01-28 05:30", periods=N_ROWS, freq="7h"), name="when")
LIBRARIES = {
    "pandas": lambda series: pd.DataFrame({series.name: series}),
    "pandas in seconds": lambda series: pd.DataFrame({series.name: series.astype("datetime64[s]")}),
    "pandas with Arrow": lambda series: pd.DataFrame({series.name: series.astype("timestamp[us][pyarrow]")}),
    "polars": lambda series: pl.DataFrame({series.name: series}),
}


def parts_of(when):
    """The slow way: moment by moment."""
    moments = [moment.to_pydatetime() for moment in when]
    seconds = [np.float32((moment - pd.Timestamp(0).to_pydatetime()).total_seconds()) for moment in moments]
    parts = [[at.year, at.month, at.day, at.hour, 0, at.isoweekday()] for at in moments]
    return np.array(parts, dtype=float) + np.outer(seconds, [0, 0, 0, 0, 1, 0])


@pytest.mark.parametrize("library", LIBRARIES)
def test_dates_become_their_parts(library):
    X = LIBRARIES[library](WHEN)
    encoder = DateEncoder().fit(X)
    names = ["year", "month", "day", "hour", "total_seconds", "weekday"]
    assert encoder.get_feature_names_out().tolist() == [f"when_{part}" for part in names]
    np.testing.assert_array_equal(encoder.transform(X), parts_of(WHEN))


@pytest.mark.parametrize(
    "days",
    [
        pd.DataFrame({"when": WHEN.dt.normalize()}),
        pd.DataFrame({"when": WHEN.dt.normalize().astype("date32[pyarrow]")}),
        pl.DataFrame({"when": WHEN}).with_columns(pl.col("when").dt.date()),
    ],
    ids=["pandas", "Arrow", "polars"],
)
def test_days_have_no_hours(days):
    encoder = DateEncoder().fit(days)
    assert not any("hour" in name for name in encoder.get_feature_names_out())
    np.testing.assert_array_equal(encoder.transform(days), np.delete(parts_of(WHEN.dt.normalize()), 3, axis=1))


def test_what_of_a_date_becomes_a_feature_can_be_said():
    encoder = DateEncoder(resolution="month", add_weekday=False, add_total_seconds=False).fit(WHEN.to_frame())
    np.testing.assert_array_equal(encoder.transform(WHEN.to_frame()), parts_of(WHEN)[:, :2])


def test_a_missing_date_is_missing_in_all_its_parts():
    X = WHEN.to_frame().copy()
    encoder = DateEncoder().fit(X)
    X.loc[3, "when"] = pd.NaT
    found = encoder.transform(X)
    assert np.isnan(found[3]).all()
    assert not np.isnan(np.delete(found, 3, axis=0)).any()
    for missing in (None, pd.NaT, float("nan")):  # of any type, if there is nothing else
        assert np.isnan(encoder.transform(pd.DataFrame({"when": [missing]}))).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("estimator", [make_model("regressor"), Ridge()], ids=["ours", "another"])
def test_a_pipeline_learns_from_dates(library, estimator):
    """The hour of the day has no linear effect, the sum of seconds has none at all."""
    when = pd.Series(pd.date_range("2024-01-01", periods=600, freq="5h"), name="when")
    y = np.column_stack([np.cos(when.dt.hour * 2 * np.pi / 24), when.dt.day_of_week >= 5])
    estimator = (
        MMoERegressor(gate_balance=0.1, **{**SMALL, "max_epochs": 60})
        if isinstance(estimator, MMoERegressor)
        else estimator
    )
    X = LIBRARIES[library](when)
    model = make_tabular_pipeline(estimator).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.8
    names = model[:-1].get_feature_names_out()
    assert "dates__numbers__when_hour" in names
    assert ("dates__splines__when_hour_sp_7" in names) == isinstance(estimator, Ridge)
    assert np.isfinite(np.asarray(model[:-1].transform(X))).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("estimator", [make_model("regressor"), Ridge()], ids=["ours", "another"])
def test_dates_may_be_missing_in_some_rows_or_all(library, estimator):
    some = WHEN.mask(np.arange(N_ROWS) % 3 == 0)
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[library]
    X = frame({"some": some, "none": pd.Series([pd.NaT] * N_ROWS, dtype="datetime64[ns]")})
    model = make_tabular_pipeline(estimator).fit(X, make_targets("regressor"))
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("name", NAMES)
def test_dates_stand_beside_all_else(name, tmp_path):
    X = pd.DataFrame(make_features(), columns=list("abcd")).assign(when=WHEN, town=np.where(WHEN.dt.day > 9, "x", "y"))
    X.loc[::7, "when"] = pd.NaT
    model = make_tabular_pipeline(make_model(name)).fit(X, make_targets(name))
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(sklearn_mmoe.load(tmp_path / "model").predict(X), model.predict(X))
    np.testing.assert_array_equal(model.predict(pl.from_pandas(X)), model.predict(X))
    model.partial_fit(X.assign(when=WHEN + pd.Timedelta("30D")), make_targets(name))


# --------------------------------------------------------------------------------------------------------------------
# What cannot be


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda when: when.dt.tz_localize("UTC"), "'when' whose time zone is UTC, and in the fit it was None"),
        (lambda when: when.astype(str), "held dates in column 'when' in the fit, and now holds String: .*to_datetime"),
        (lambda when: when.dt.day, "held dates in column 'when' in the fit, and now holds Int32"),
        (lambda when: when - when[0], "held dates in column 'when' in the fit, and now holds Duration"),
        (lambda when: when.dt.date, "held dates in column 'when' in the fit, and now holds Object"),
    ],
    ids=["another zone", "strings", "numbers", "durations", "objects"],
)
def test_what_was_dates_in_the_fit_must_be_dates_later(change, match):
    X = pd.DataFrame({"a": make_features()[:, 0], "when": WHEN})
    model = make_tabular_pipeline(Ridge()).fit(X, make_targets("regressor"))
    with pytest.raises(ValueError, match=rf"X .*{match}"):
        model.predict(X.assign(when=change(WHEN)))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_table_with_dates_is_a_data_frame_later_too(library):
    X = LIBRARIES[library](WHEN)
    model = make_tabular_pipeline(Ridge()).fit(X, np.arange(N_ROWS))
    with pytest.raises(ValueError, match="X was a data frame with dates in the fit, and now is a ndarray: give a data"):
        model.predict(np.zeros((3, 1)))


def test_what_was_no_date_in_the_fit_is_none_later():
    X = pd.DataFrame({"a": make_features()[:, 0], "when": WHEN})
    model = make_tabular_pipeline(Ridge()).fit(X, make_targets("regressor"))
    with pytest.raises(ValueError, match="X holds dates, times or durations in column 'a'"):
        model.predict(X.assign(a=WHEN))


@pytest.mark.parametrize("column", [WHEN - WHEN[0], WHEN.dt.time, WHEN.dt.date], ids=["durations", "times", "objects"])
def test_times_and_durations_are_refused_beside_dates(column):
    X = pd.DataFrame({"when": WHEN, "other": column})
    with pytest.raises(ValueError, match="X holds dates, times or durations in column 'other'"):
        make_tabular_pipeline(Ridge()).fit(X, make_targets("regressor"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_without_skrub_its_extra_is_named(monkeypatch, library):
    monkeypatch.setitem(sys.modules, "skrub", None)
    with pytest.raises(ImportError, match=r"X holds dates in 'when'.*needs skrub.*\[dates\].*year, month and weekday"):
        make_tabular_pipeline(Ridge()).fit(LIBRARIES[library](WHEN), make_targets("regressor"))


def test_a_file_of_a_pipeline_with_dates_names_the_extra_without_skrub(monkeypatch, tmp_path):
    make_tabular_pipeline(make_model("regressor")).fit(WHEN.to_frame(), make_targets("regressor")).save(
        tmp_path / "model"
    )
    monkeypatch.setitem(sys.modules, "skrub", None)
    with pytest.raises(ImportError, match=r"Reading the file of a pipeline with dates needs skrub.*\[dates\]"):
        sklearn_mmoe.load(tmp_path / "model")


def test_graphs_take_no_dates_and_say_so():
    X = pd.DataFrame({"a": make_features()[:, 0], "when": WHEN})
    model = make_tabular_pipeline(make_model("regressor")).fit(X, make_targets("regressor"))
    with pytest.raises(ValueError, match=r"'when' of example holds .* columns of numbers, of booleans or of strings"):
        to_onnx(model, example=X)


def test_names_are_asked_for_after_the_fit():
    check_get_feature_names_out_error("DateEncoder", DateEncoder())
