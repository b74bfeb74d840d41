"""What decides when a fit stops: a part of its rows, or a fold for each member, that is not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._features.tensors import TensorRows, as_tensor
from sklearn_mmoe._features.validation import Rows
from sklearn_mmoe._held_out.groups import RowGroups
from sklearn_mmoe._held_out.random_splits import Units, rows_that_count
from sklearn_mmoe._held_out.splitters import Split, in_words
from sklearn_mmoe._ranks.group import Group
from sklearn_mmoe._training.losses import HELD_OUT, TRAINED_ON
from sklearn_mmoe._training.stopping import monitored_tasks
from sklearn_mmoe.tasks._encoding import labelled_cells

AUTO_EARLY_STOPPING_ROWS = 1000  # with a label: from here on a tenth of them is a validation part to be trusted
AUTO_EARLY_STOPPING_GROUPS = 100  # of them: what a tenth says of new ones depends on how many groups that is


@dataclass(frozen=True)
class Table:
    """The rows of a fit and, in cells, their encoded labels, then as many weights, unless all weigh the same."""

    rows: Rows
    cells: FloatArray
    n_tasks: int
    device: torch.device

    @cached_property
    def tensors(self) -> TensorRows:
        """Both on the device."""
        return TensorRows(as_tensor(self.rows).to(self.device), as_tensor(self.cells).to(self.device))

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which labels there are that weigh anything, of shape (n_rows, n_tasks)."""
        return labelled_cells(self.cells, self.n_tasks)

    @cached_property
    def counts(self) -> NDArray[np.bool_]:
        """Which rows have a label that weighs anything, of shape (n_rows,)."""
        return np.asarray(self.labelled.any(axis=1))

    def rows_that_count(self) -> TensorRows:
        """Those that have a label: the others teach nothing."""
        rows = rows_that_count(self.labelled)
        return self.tensors if len(rows) == len(self.cells) else self.part(rows)

    def part(self, rows: NDArray[np.integer[Any]]) -> TensorRows:
        """Some rows of the same tensors."""
        own = self.tensors
        return TensorRows(own.X, own.y, torch.from_numpy(rows).to(self.device))

    def parts(self, train: NDArray[np.integer[Any]], valid: NDArray[np.integer[Any]]) -> tuple[TensorRows, TensorRows]:
        """Rows to train on, of a shard that has none one row whose labels weigh nothing, and rows to validate on."""
        if len(train):
            return self.part(train), self.part(valid)
        nothing = as_tensor(np.zeros_like(self.cells)).to(self.device)
        return TensorRows(self.tensors.X, nothing, self.part(np.arange(1)).rows), self.part(valid)

    def with_roles(self, roles: NDArray[np.int8]) -> TensorRows:
        """The rows that play a role, and beside their cells that for each member, of shape (n_rows, n_members)."""
        labels, weights = self.cells[:, : self.n_tasks], self.cells[:, self.n_tasks :]
        weights = weights if weights.shape[1] else np.ones_like(labels)
        cells = np.column_stack([labels, weights, roles.astype(labels.dtype)])
        rows = rows_that_count(self.labelled & roles.any(axis=1, keepdims=True))
        own = self.tensors if len(rows) == len(cells) else self.part(rows)
        return TensorRows(own.X, as_tensor(cells).to(self.device), own.rows)


def hold_out(
    model: Any, table: Table, groups: RowGroups | None, seed: int, group: Group
) -> tuple[TensorRows, TensorRows | None]:
    """What is trained on, and what decides when to stop, if anything does, both drawn at random."""
    watched = monitored_tasks(model.monitor, [task.name for task in model._tasks]) > 0
    n_rows = sum(group.gather(int(table.counts.sum())))
    n_labels = np.sum(group.gather(table.labelled.sum(axis=0)), axis=0)[watched]
    strata, fraction = model._strata(table.cells), model.validation_fraction
    if groups is None:
        units, n_groups = Units(table.labelled, strata, group.own_seed(seed)), None
    else:
        units = groups.as_units(table.labelled, strata, fraction=fraction, seed=seed, group=group)
        n_groups = int(units.labelled.any(axis=1).sum())
    ways = ways_to_hold_out(model, n_rows, int(n_labels.min()), n_groups) if n_labels.any() else []
    for way in ways:
        if way == "folds":
            n_folds = members_of(model) if n_groups is None else min(n_groups, members_of(model))
            folds = units.folds(n_folds, watched)
            if all(group.gather(folds is not None)) and folds is not None:  # else a rank has too few labels
                both = table.with_roles(_roles_in_folds(folds, n_folds, members_of(model)))
                return both, both
        else:
            train, valid = (rows[table.counts[rows]] for rows in units.part(fraction))
            if any(group.gather(bool(table.labelled[valid][:, watched].any()))):
                return table.parts(train, valid)
    if model.early_stopping != "auto" and model.early_stopping:
        found = f"{n_rows} rows with a label" if n_groups is None else f"groups with a label, {n_groups} in all,"
        raise ValueError(
            f"early_stopping=True sets a part of the rows aside (validation_fraction={fraction}), "
            f"but the {found} are too few for that, or the part has no label that monitor "
            "watches. Give X_val and y_val, or set early_stopping='auto', which does without where it has to."
        )
    return table.rows_that_count(), None


def hold_out_by(
    splits: Sequence[Split], model: Any, table: Table, groups: RowGroups | None, group: Group
) -> tuple[TensorRows, TensorRows]:
    """What is trained on, and what decides when to stop, as the splits of the members have it."""
    group.agree(lambda: {"the number of splits of validation_split": len(splits)})
    if len(splits) > 1 and callable(model.monitor):
        raise ValueError(
            "monitor is a scorer, which asks the model as a whole and needs rows that none of its members is trained "
            f"on; {in_words(model.validation_split)} gives each member rows of its own. Give one split, "
            "as by GroupShuffleSplit(1) or ShuffleSplit(1), or let monitor watch losses."
        )
    splits = [Split(*(rows[table.counts[rows]] for rows in split)) for split in splits]
    _check_labels(splits, model, table, group)
    if groups is not None:
        _check_groups_of_ranks(splits, groups, group)
    if len(splits) == 1:
        return table.parts(*splits[0])
    roles = np.zeros((len(table.cells), members_of(model)), dtype=np.int8)
    for member in range(members_of(model)):
        train, valid = splits[member % len(splits)]
        roles[train, member], roles[valid, member] = TRAINED_ON, HELD_OUT
    both = table.with_roles(roles)
    return both, both


def members_of(estimator: Any) -> int:
    """How many members the net will have."""
    n_members: int = (estimator.net_params or {}).get("module__n_members", estimator.n_members)
    return n_members


def ways_to_hold_out(
    estimator: Any, n_rows: int, n_labels: int, n_groups: int | None = None
) -> list[Literal["part", "folds"]]:
    """What may decide when to stop: a validation part for all members, a fold of its own for each; the best way first.

    A part needs many labels of each task that is watched, to be trusted, and of many groups if there are some. Folds
    spare few labels a part, and are too few for a scorer, which sees the whole model. Where there are none, a part of
    many rows is better than nothing.

    Parameters
    ----------
    n_rows : int
        Rows that have a label.
    n_labels : int
        Rows that have a label of the watched task that has the fewest.
    n_groups : int, default=None
        Groups that have a label. None: rows stand for themselves.
    """
    if estimator.early_stopping != "auto":
        return ["part"] if estimator.early_stopping else []
    if n_labels >= AUTO_EARLY_STOPPING_ROWS and (n_groups is None or n_groups >= AUTO_EARLY_STOPPING_GROUPS):
        return ["part"]
    ways: list[Literal["part", "folds"]] = []
    if members_of(estimator) > 1 and not callable(estimator.monitor):
        ways.append("folds")
    if n_rows >= AUTO_EARLY_STOPPING_ROWS:
        ways.append("part")
    return ways


def _roles_in_folds(folds: NDArray[np.int64], n_folds: int, n_members: int) -> NDArray[np.int8]:
    """Each member leaves one fold out; where there are fewer folds than members, these take turns."""
    is_own = folds[:, None] == np.arange(n_members) % n_folds
    return np.where(is_own, HELD_OUT, TRAINED_ON).astype(np.int8)


def _check_labels(splits: Sequence[Split], model: Any, table: Table, group: Group) -> None:
    """Whether a member learns all tasks, and can be watched."""
    names = [task.name for task in model._tasks]
    watched = monitored_tasks(model.monitor, names) > 0
    given = in_words(model.validation_split)
    has = np.any(group.gather(table.labelled.any(axis=0)), axis=0)
    for number, split in enumerate(splits):
        trained, held_out = (np.any(group.gather(table.labelled[rows].any(axis=0)), axis=0) for rows in split)
        if lacking := [name for t, name in enumerate(names) if has[t] and not trained[t]]:
            raise ValueError(
                f"{given} leaves no label of the tasks {lacking} to train on, in split {number}. Give splits that "
                "leave some of each task, or larger parts to train on."
            )
        if not (held_out & watched).any():
            raise ValueError(
                f"{given} makes a validation part without a label of a task that monitor watches, split {number}. Rows "
                "without a label do not count: give splits with some in each validation part, or let monitor watch "
                "another task."
            )


def _check_groups_of_ranks(splits: Sequence[Split], groups: RowGroups, group: Group) -> None:
    """Refuse a group that one rank trains on and another one holds out, where each for itself keeps groups whole."""
    for split in splits:
        sides = group.gather([np.isin(np.arange(groups.n_groups), groups.numbers[rows]) for rows in split])
        if any((trained & held_out).any() for trained, held_out in sides):
            continue  # a splitter that knows no groups, which has warned of it
        trained, held_out = (np.any(side, axis=0) for side in zip(*sides, strict=True))
        if (torn := np.flatnonzero(trained & held_out)).size:
            raise ValueError(
                f"{len(torn)} groups have rows on several ranks of this fit, where validation_split, which each rank "
                "asks about its own rows, has one train on them and another one hold them out. Give all rows of a "
                "group to one rank, or leave validation_split=None, which draws whole groups for all ranks together."
            )
