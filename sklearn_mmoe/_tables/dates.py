"""Dates as numbers, by skrub: year, month, day, hour, weekday, and the seconds since 1970."""

from __future__ import annotations

from typing import Any, Self

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._features.validation import as_narwhals


class DateEncoder(TransformerMixin, BaseEstimator):
    """skrub's DatetimeEncoder for each column of a data frame of pandas or polars. A missing date is NaN.

    Parameters
    ----------
    resolution : str, default="hour"
        The smallest part of a date that becomes a feature, from "year" to "nanosecond"; None: none does. Days without
        times have no hour.
    add_weekday : bool, default=True
        Whether the day of the week becomes one, 1 for Monday.
    add_total_seconds : bool, default=True
        Whether the seconds since 1970 become one.

    Attributes
    ----------
    encoders_ : list of skrub.DatetimeEncoder
    time_zones_ : list of str or None
        Those of the columns. Moments of another zone would be other hours and days without a word.
    """

    def __init__(
        self, resolution: str | None = "hour", add_weekday: bool = True, add_total_seconds: bool = True
    ) -> None:
        self.resolution = resolution
        self.add_weekday = add_weekday
        self.add_total_seconds = add_total_seconds

    def fit(self, X: Any, y: Any = None) -> Self:
        columns = _columns_of(X)
        names = ", ".join(shown(name) for name, _ in columns)
        require(
            f"X holds dates in {names}, of which making features",
            "skrub",
            extra="dates",
            instead="Without it, turn them into numbers first, such as year, month and weekday, or the days since one "
            "day, or leave them out.",
        )
        from skrub import DatetimeEncoder

        validate_data(self, X, skip_check_array=True)
        self.time_zones_ = [_zone_of(column) for _, column in columns]
        self.encoders_ = [DatetimeEncoder(**self.get_params()).fit(_known_to_skrub(column)) for _, column in columns]
        return self

    def transform(self, X: Any) -> FloatArray:
        check_is_fitted(self)
        columns = _columns_of(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        parts = []
        for (name, column), encoder, zone in zip(columns, self.encoders_, self.time_zones_, strict=True):
            if _zone_of(column) != zone:
                raise ValueError(
                    f"X has moments in column {shown(name)} whose time zone is {_zone_of(column)}, and in the fit it "
                    f"was {zone}: convert them to that one."
                )
            own = encoder.transform(_known_to_skrub(column))
            parts.append(np.asarray(nw.from_native(own).to_numpy(), dtype=np.float64))
        return np.column_stack(parts)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        check_is_fitted(self)
        return np.array([name for encoder in self.encoders_ for name in encoder.all_outputs_], dtype=object)


def _columns_of(X: Any) -> list[tuple[str, nw.Series[Any]]]:
    """Columns of dates by name, days as moments."""
    frame = as_narwhals(X)
    if not isinstance(frame, nw.DataFrame):
        raise ValueError(
            f"X was a data frame with dates in the fit, and now is a {type(X).__name__}: give a data frame of the same "
            "columns."
        )
    found = []
    for column in frame.iter_columns():
        if not isinstance(column.dtype, nw.Datetime):
            if not (isinstance(column.dtype, nw.Date) or column.is_null().all()):
                raise ValueError(
                    f"X held dates in column {shown(column.name)} in the fit, and now holds {column.dtype}: turn them "
                    "into dates, such as by pandas.to_datetime."
                )
            column = column.cast(nw.Datetime("us"))
        found.append((column.name, column))
    return found


def _zone_of(column: nw.Series[Any]) -> str | None:
    assert isinstance(column.dtype, nw.Datetime)
    return column.dtype.time_zone


def _known_to_skrub(column: nw.Series[Any]) -> Any:
    """The series of pandas or polars; those of pandas that lie in Arrow become NumPy's."""
    native = column.to_native()
    if type(native.dtype).__name__ != "ArrowDtype":
        return native
    zone = _zone_of(column)
    return native.astype(f"datetime64[us, {zone}]" if zone else "datetime64[us]")
