"""What decides when a fit stops: a part of its rows, or a fold for each member, that is not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._features.tensors import TensorRows, as_tensor
from sklearn_mmoe._features.validation import Rows
from sklearn_mmoe._ranks.group import Group
from sklearn_mmoe._training.splits import random_folds, random_split, rows_that_count
from sklearn_mmoe._training.stopping import monitored_tasks
from sklearn_mmoe.tasks._encoding import labelled_cells

AUTO_EARLY_STOPPING_ROWS = 1000  # with a label: from here on a tenth of them is a validation part to be trusted


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

    def rows_that_count(self) -> TensorRows:
        """Those that have a label: the others teach nothing."""
        rows = rows_that_count(self.labelled)
        return self.tensors if len(rows) == len(self.cells) else self.part(rows)

    def part(self, rows: NDArray[np.integer[Any]]) -> TensorRows:
        """Some rows of the same tensors."""
        own = self.tensors
        return TensorRows(own.X, own.y, torch.from_numpy(rows).to(self.device))

    def with_folds(self, folds: NDArray[np.int64]) -> TensorRows:
        """The rows that count, and beside their cells the member that leaves each out."""
        labels, weights = self.cells[:, : self.n_tasks], self.cells[:, self.n_tasks :]
        weights = weights if weights.shape[1] else np.ones_like(labels)
        cells = np.column_stack([labels, weights, folds.astype(labels.dtype)])
        own = self.rows_that_count()
        return TensorRows(own.X, as_tensor(cells).to(self.device), own.rows)


def hold_out(model: Any, table: Table, seed: int, group: Group) -> tuple[TensorRows, TensorRows | None]:
    """What is trained on, and what decides when to stop, if anything does."""
    watched = monitored_tasks(model.monitor, [task.name for task in model._tasks]) > 0
    n_rows = sum(group.gather(int(table.labelled.any(axis=1).sum())))
    n_labels = np.sum(group.gather(table.labelled.sum(axis=0)), axis=0)[watched]
    strata, own_seed = model._strata(table.cells), group.own_seed(seed)
    for way in ways_to_hold_out(model, n_rows, int(n_labels.min())) if n_labels.any() else []:
        if way == "folds":
            folds = random_folds(table.labelled, strata, members_of(model), watched, own_seed)
            if all(group.gather(folds is not None)) and folds is not None:  # else a rank has too few labels
                both = table.with_folds(folds)
                return both, both
        else:
            train, valid = random_split(table.labelled, strata, model.validation_fraction, own_seed)
            if any(group.gather(bool(table.labelled[valid][:, watched].any()))):
                return table.part(train), table.part(valid)
    if model.early_stopping != "auto" and model.early_stopping:
        raise ValueError(
            f"early_stopping=True sets a part of the rows aside (validation_fraction={model.validation_fraction}), "
            f"but the {n_rows} rows with a label are too few for that, or the part has no label that monitor "
            "watches. Give X_val and y_val, or set early_stopping='auto', which does without where it has to."
        )
    return table.rows_that_count(), None


def members_of(estimator: Any) -> int:
    """How many members the net will have."""
    n_members: int = (estimator.net_params or {}).get("module__n_members", estimator.n_members)
    return n_members


def ways_to_hold_out(estimator: Any, n_rows: int, n_labels: int) -> list[Literal["part", "folds"]]:
    """What may decide when to stop: a validation part for all members, a fold of its own for each; the best way first.

    A part needs many labels of each task that is watched, to be trusted. Folds spare few labels a part, and are too few
    for a scorer, which sees the whole model. Where there are none, a part of many rows is better than nothing.

    Parameters
    ----------
    n_rows : int
        Rows that have a label.
    n_labels : int
        Rows that have a label of the watched task that has the fewest.
    """
    if estimator.early_stopping != "auto":
        return ["part"] if estimator.early_stopping else []
    if n_labels >= AUTO_EARLY_STOPPING_ROWS:
        return ["part"]
    ways: list[Literal["part", "folds"]] = []
    if members_of(estimator) > 1 and not callable(estimator.monitor):
        ways.append("folds")
    if n_rows >= AUTO_EARLY_STOPPING_ROWS:
        ways.append("part")
    return ways
