"""Columns that are taken for what they may not be: dates and free text as categories, ids as numbers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw

from sklearn_mmoe._common.words import shown

LOOKED_AT = 100  # strings of a column that must all look like dates
EMBEDDED = "embedded"  # the branch of a table pipeline in which categories stay as they are
FEWEST_VALUES = 100  # below, a column in which all values differ says nothing
SHARE_OF_TEXT = 0.9  # of the rows that have a value of their own

_DAY = r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2}))"
_TIME = r"\d{1,2}:\d{2}\S*(\s*[AaPp][Mm])?"
_DATE = re.compile(rf"\s*{_DAY}([T ]\s*{_TIME})?\s*")  # "2024-01-31", "31.1.2024", "1/31/24 12:30 PM"
_ID = re.compile(r".*[a-z0-9]I[dD]|(.*[_\-. ])?(id|ID|Id)")  # "id", "customer_id", "customerId"


def warn_of_strings(columns: Sequence[tuple[Any, Sequence[Any], int]]) -> None:
    """Warn of strings that become categories, and look like dates or like text.

    Parameters
    ----------
    columns : sequence of (name, distinct values, number of rows that have one)
    """
    dates = {name: values for name, values, _ in columns if _are_dates(values)}
    texts = {name: values for name, values, n in columns if name not in dates and _are_texts(values, n)}
    if dates:
        _warn(
            f"X holds strings that look like dates in {_with_examples(dates)}. They are taken as categories, so that "
            "dates which the fit has not seen are all one unknown category. Turn them into dates (pandas.to_datetime), "
            "which make_tabular_pipeline makes features of; to have categories and no warning, give them as such "
            '(astype("category")).'
        )
    if texts:
        _warn(
            f"X holds strings of which nearly every row has its own in {_with_examples(texts)}. They are taken as "
            "categories, which new rows will hardly meet again. Leave out what only names the row; make numbers of "
            "text first, such as by skrub.StringEncoder; to have categories and no warning, give them as such "
            '(astype("category")).'
        )


def warn_of_ids(frame: nw.DataFrame[Any]) -> None:
    """Warn of whole numbers that name something: an id that is larger is not more of anything."""
    ids = {series.name: series.head(1).to_list() for series in frame.iter_columns() if _are_ids(series)}
    if ids:
        _warn(
            f"X holds whole numbers that look like ids in {_with_examples(ids)}. They are taken as numbers, of which "
            "larger ones are more. Leave out what only names the row; give what comes again as categories "
            '(astype("category")); to have numbers and no warning, give them as floats.'
        )


def _are_dates(values: Sequence[Any]) -> bool:
    some = values[:: max(1, len(values) // LOOKED_AT)]
    return len(some) > 0 and all(isinstance(value, str) and _DATE.fullmatch(value) for value in some)


def _are_texts(values: Sequence[Any], n_rows: int) -> bool:
    return n_rows >= FEWEST_VALUES and len(values) > SHARE_OF_TEXT * n_rows


def has_been_judged(name: Any) -> bool:
    """Whether a column comes from a table pipeline, which has said what there is to say by its own name."""
    return str(name).startswith(f"{EMBEDDED}__")


def _are_ids(series: nw.Series[Any]) -> bool:
    if not series.dtype.is_integer():
        return False
    if _ID.fullmatch(str(series.name)):
        return bool(series.n_unique() > 2)
    n_rows = len(series)
    if n_rows < FEWEST_VALUES or series.null_count():
        return False
    spread = int(series.max()) - int(series.min())
    # numbers of rows, of which a split may have left out some; counting values takes longest
    return n_rows <= spread + 1 <= 2 * n_rows and series.n_unique() == n_rows


def _with_examples(columns: Mapping[Any, Sequence[Any]]) -> str:
    named = [f"{shown(name)} ({shown(values[0])} ...)" for name, values in columns.items()]
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more columns" if len(named) > 5 else "")


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)
