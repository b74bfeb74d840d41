"""The front door for groups: what belongs together among the rows, as one number per row, the same on all ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._arrays.foreign import detached, mask_taken_off
from sklearn_mmoe._arrays.values import distinct, side_by_side
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._held_out.random_splits import Labelled, Units
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._validation import Column, array_column, series_column, target_array

LARGE = 2  # times as many rows as a validation part is to have: a group that large is left to train on


@dataclass(frozen=True)
class RowGroups:
    """The group of each row of a shard.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        As the user calls them.
    numbers : ndarray of int, of shape (n_rows,)
        Which of the groups of all ranks it is.
    n_groups : int
        On all ranks together.
    """

    labels: NDArray[Any]
    numbers: NDArray[np.int64]
    n_groups: int

    def as_units(
        self, labelled: Labelled, strata: NDArray[Any] | None, *, fraction: float, seed: int, group: Group
    ) -> Units:
        """The groups as what is drawn, in place of the rows.

        Parameters
        ----------
        labelled : ndarray of bool, of shape (n_rows, n_tasks)
        strata : ndarray of shape (n_rows,) or None
            A group is of the one that most of its rows have.
        fraction : float
            Share that a validation part is to have.
        """
        own = np.zeros((self.n_groups, labelled.shape[1]), dtype=bool)
        np.logical_or.at(own, self.numbers, labelled)
        counting: NDArray[np.bool_] = np.asarray(labelled.any(axis=1))
        sizes = np.sum(group.gather(np.bincount(self.numbers[counting], minlength=self.n_groups)), axis=0)
        return Units(
            np.any(group.gather(own), axis=0),
            None if strata is None else self._most_frequent(strata, counting, group),
            seed,
            self.numbers,
            sizes > LARGE * fraction * sizes.sum(),
        )

    def _most_frequent(self, strata: NDArray[Any], counting: NDArray[np.bool_], group: Group) -> NDArray[Any]:
        """The stratum that most rows of each group have; of a group without a row that counts, any."""
        pairs = np.column_stack([self.numbers, strata])[counting]
        pairs, counts = np.unique(pairs, axis=0, return_counts=True)
        pairs, counts = (np.concatenate(own) for own in zip(*group.gather((pairs, counts)), strict=True))
        pairs, places = np.unique(pairs, axis=0, return_inverse=True)
        counts = np.bincount(places.ravel(), weights=counts)
        found = np.zeros(self.n_groups)
        rarest_first = np.argsort(counts, kind="stable")
        found[pairs[rarest_first, 0].astype(np.int64)] = pairs[rarest_first, 1]  # of equal indices, the last one stays
        return found


def check_groups(groups: Any, n_rows: int, group: Group = ALONE) -> RowGroups | None:
    """The groups of rows as the user gives them, checked; None if there are none.

    Parameters
    ----------
    groups : array-like or series of shape (n_rows,), or None
        Labels of any one type.
    """
    if groups is None:
        return None
    column = _as_column(groups, n_rows)
    if not column.labelled.all():
        row = np.flatnonzero(~column.labelled)[0]
        raise ValueError(
            f"groups has no value in {int((~column.labelled).sum())} of {n_rows} rows, the first of them row {row}: a "
            "row that belongs to no other needs a group of its own, of another label than all."
        )
    labels = side_by_side(group.gather(distinct(column.values)))
    try:
        known = np.unique(labels)
        return RowGroups(column.values, _places(column.values, known), len(known))
    except TypeError as error:
        one_of_each = {type(label).__name__: shown(label) for label in reversed(labels.tolist())}
        found = ", ".join(f"{label} ({kind})" for kind, label in sorted(one_of_each.items()))
        raise ValueError(
            f"groups has labels that have no order, such as {found}: make them one type, numbers or strings."
        ) from error


def _places(values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    """Where each value stands among the sorted ones."""
    if values.dtype != object:
        return np.searchsorted(known, values)
    places = {value: place for place, value in enumerate(known.tolist())}  # objects take long to compare
    return np.array([places[value] for value in values.tolist()], dtype=np.int64)


def _as_column(groups: Any, n_rows: int) -> Column:
    if isinstance(groups, str | bytes) or not hasattr(groups, "__len__"):
        raise TypeError(f"groups must be an array, a list or a series, the group of each row; got {shown(groups)}.")
    groups, hidden = mask_taken_off(detached(groups, "groups"))
    groups = nw.from_native(groups, pass_through=True, series_only=True)
    if not isinstance(groups, nw.Series):
        groups = target_array(groups, "groups")
    if groups.shape != (n_rows,):
        advice = "" if len(groups.shape) == 1 else " One column tells the groups: of several, make one of strings."
        raise ValueError(
            f"groups must be of shape ({n_rows},), the group of each row of X; got groups of shape {groups.shape}."
            f"{advice}"
        )
    return series_column(groups, "groups") if isinstance(groups, nw.Series) else array_column(groups, "groups", hidden)
