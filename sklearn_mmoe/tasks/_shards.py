"""Shards: the rows that each rank of a distributed fit has, and what those of all ranks say together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sklearn_mmoe._arrays.values import distinct, side_by_side
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shortened
from sklearn_mmoe._ranks.group import Group
from sklearn_mmoe.tasks._validation import Column, Targets

KINDS_OF_ROWS = {"SparseRows": "sparse", "CodedRows": "with categories"}


def weights_of_shard(
    targets: Targets, weights: FloatArray | None, group: Group, *, require_labels: bool
) -> FloatArray | None:
    """The weight of each cell: in a shard there always is one, so that it can be padded.

    Parameters
    ----------
    require_labels : bool
        Whether a task without a label on any rank is an error; one rank alone may have none.
    """
    if group.size == 1:
        return weights
    weights = targets.labelled.astype(np.float64) if weights is None else weights
    if require_labels:
        found = group.gather((targets.labelled.any(axis=0), (weights > 0).any(axis=0)))
        labelled, weighted = (np.any(own, axis=0) for own in zip(*found, strict=True))
        for there, what in ((labelled, "no label at all"), (weighted, "labels of weight 0 only")):
            if lacking := [repr(name) for name, has in zip(targets.names, there, strict=True) if not has]:
                raise ValueError(f"Task {shortened(lacking)} has {what}, on all ranks together.")
    return weights


def form_of_data(rows: Any, targets: Targets, feature_names: Any) -> dict[str, Any]:
    """What the data of all ranks have in common."""
    return {
        "number of features": rows.shape[1],
        "names of features": feature_names,
        "kind of X": KINDS_OF_ROWS.get(type(rows).__name__, "dense"),  # in memory or mapped into it
        "names of tasks": targets.names,
        "form of y": f"{1 if targets.is_1d else 2}-D, {targets.frame or 'an array'}",
    }


def columns_of_all(columns: Sequence[Column], with_labels: Sequence[bool], group: Group) -> Sequence[Column]:
    """The columns of y as all ranks have them together, of the types that they would have in one table.

    Parameters
    ----------
    with_labels : sequence of bool
        Of which columns the labels of the other ranks matter: each label is there then, twice.
    """
    if group.size == 1:
        return columns
    own = [
        (column.dtype, distinct(column.values) if needed else column.values[:1])
        for column, needed in zip(columns, with_labels, strict=True)
    ]
    result = []
    for column, needed, parts in zip(columns, with_labels, zip(*group.gather(own), strict=True), strict=True):
        labelled = [part for part in parts if len(part[1])] or parts
        dtype = _common_dtype([dtype for dtype, _ in labelled], column.name)
        # Twice, as scikit-learn warns of classes that have a single label each
        labels = np.tile(side_by_side([values for _, values in labelled]), 2) if needed else column.values
        result.append(replace(column, values=labels, dtype=dtype))
    return result


def _common_dtype(dtypes: Sequence[Any], name: Hashable) -> Any:
    """The type that a data frame's column has, of the types that parts of it have."""
    if all(dtype == dtypes[0] for dtype in dtypes):
        return dtypes[0]
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes):  # of integers, some missing
        return np.result_type(*dtypes)
    found = shortened(list(dict.fromkeys(map(repr, dtypes))))
    raise ValueError(
        f"Column {name!r} of y must have the same type on all ranks, got {found}: "
        "convert it to one type, of a categorical with the same categories, on every rank."
    )
