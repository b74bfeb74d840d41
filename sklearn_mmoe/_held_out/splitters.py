"""The splits that a splitter, or a list of the user's, makes of the rows of a fit, checked one by one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import model_selection
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_mmoe._common.words import errors_of, shortened, shown
from sklearn_mmoe._held_out.random_splits import Rows

_SPLITTERS = (
    *("GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut", "LeavePOut"),
    *("PredefinedSplit", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold"),
    *("StratifiedKFold", "StratifiedShuffleSplit", "TimeSeriesSplit"),
)
SPLITTERS: dict[str, type] = {name: getattr(model_selection, name) for name in _SPLITTERS}  # of scikit-learn


def parameters_of(splitter: Any) -> dict[str, Any]:
    """What a splitter of scikit-learn was made with; those that repeat others keep it for these."""
    names = list(inspect.signature(type(splitter)).parameters)
    return {name: vars(splitter)[name] if name in vars(splitter) else splitter.cvargs[name] for name in names}


def in_words(splitter: Any) -> str:
    """How errors call it."""
    return f"validation_split={' '.join(shown(splitter).split())}"


class Split(NamedTuple):
    """Rows that a member is trained on, and rows that decide when it stops; it sees nothing of the others."""

    train: Rows
    valid: Rows


def check_validation_split(value: Any, caller: str) -> None:
    """Refuse what makes no splits, or makes them only once."""
    has_methods = hasattr(value, "split") and hasattr(value, "get_n_splits")
    if value is None or isinstance(value, list | tuple) or (has_methods and not isinstance(value, type)):
        return
    advice = ""
    if isinstance(value, type) and has_methods:
        advice = f" Call it: {value.__name__}()."
    elif isinstance(value, Real):
        advice = " A share of the rows goes into validation_fraction, a number of folds into KFold(5) or GroupKFold(5)."
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        advice = " Make it a list, which any number of fits can read."
    raise InvalidParameterError(
        f"The 'validation_split' parameter of {caller} must be None, a splitter with split and get_n_splits, such as "
        f"sklearn.model_selection.GroupShuffleSplit(1), or a list of (train, valid) pairs of row numbers; got "
        f"{shown(value)} instead.{advice}"
    )


def splits_by(
    splitter: Any, X: Any, y: Any, groups: NDArray[Any] | None, *, n_rows: int, n_members: int, seed: int
) -> list[Split]:
    """The split of each member; they take turns where there are fewer. One split is for all members.

    If every split validates on rows after all those that it trains on, the order of the rows is that of time, and the
    last split is for all: members of earlier ones would have learned from the start of the time only.

    Parameters
    ----------
    splitter : splitter or list of pairs
    X, y : as the user gave them, of tensors as arrays
    groups : ndarray of shape (n_rows,) or None
    n_members : int
        Later splits are not asked for, unless all before were in the order of time.
    seed : int
        For a splitter with a `random_state` of None, in place of NumPy's global generator.
    """
    splits: list[Split] = []
    in_time = True
    with _errors_of(splitter, groups):
        pairs = splitter if isinstance(splitter, list | tuple) else _seeded(splitter, seed).split(X, y, groups)
        for number, pair in enumerate(pairs):
            split = _checked(pair, n_rows, number)
            in_time = in_time and bool(split.train[-1] < split.valid[0])
            splits = [*splits, split][:n_members]
            if not in_time and len(splits) == n_members:
                break
    if not splits:
        raise ValueError(f"{in_words(splitter)} makes no split: it holds out no row of any.")
    return [split] if in_time else splits


def _seeded(splitter: Any, seed: int) -> Any:
    """A copy, as fits leave their parameters as they are, that draws from a seed of the fit where it has none."""
    own = copy.deepcopy(splitter)
    if getattr(own, "random_state", seed) is None:
        own.random_state = seed
    return own


@contextmanager
def _errors_of(splitter: Any, groups: Any) -> Iterator[None]:
    with errors_of("validation_split"):
        try:
            yield
        except ValueError as error:
            if groups is None and "'groups'" in str(error):
                raise ValueError(
                    f"{in_words(splitter)} splits by groups, and fit was given none: "
                    "fit(X, y, groups=...) takes the group of each row."
                ) from error
            raise


def _checked(pair: Any, n_rows: int, number: int) -> Split:
    """A split with its rows in their order."""
    where = f"split {number} of validation_split"
    if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str | bytes) or len(pair) != 2:
        raise ValueError(f"{where} must be a pair of rows to train on and rows to validate on, got {shown(pair)}.")
    split = Split(*(_sorted_rows(part, n_rows, where) for part in pair))
    both = np.intersect1d(*split, assume_unique=True)
    if len(both):
        raise ValueError(
            f"{where} has {len(both)} rows in both parts, such as row {both[0]}: what decides when to stop must not be "
            "trained on."
        )
    return split


def _sorted_rows(part: Any, n_rows: int, where: str) -> Rows:
    rows = row_numbers(part, n_rows, where)
    found = np.unique(rows)
    if len(found) < len(rows):
        raise ValueError(
            f"{where} has a row twice in one part: {len(rows)} numbers of {len(found)} rows. Rows that are to count "
            "for more than one get a sample_weight."
        )
    return found


def row_numbers(part: Any, n_rows: int, name: str) -> Rows:
    """The numbers of the rows in a part of a split, which may be a mask.

    Parameters
    ----------
    name : str
        What gives them, in words.
    """
    rows = np.asarray(part)
    if rows.dtype == bool and rows.shape == (n_rows,):
        rows = np.flatnonzero(rows)
    is_numbers = rows.dtype.kind in "iu" and rows.ndim == 1 and len(rows) > 0
    wrong = rows[(rows < 0) | (rows >= n_rows)] if is_numbers else rows.ravel()
    if len(wrong) or not is_numbers:
        raise ValueError(
            f"{name} must give row numbers from 0 to {n_rows - 1}, or masks of {n_rows} rows, to train and to test on, "
            f"one row or more; got {shortened([repr(row) for row in wrong.tolist()]) or 'none'}."
        )
    return rows
