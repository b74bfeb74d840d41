"""The inputs of a graph, as example rows show them: a matrix where all columns are alike, else one for each column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from sklearn_mmoe._common.words import shown
from sklearn_mmoe._features.validation import as_narwhals, as_table, column_of, holds_categories
from sklearn_mmoe.export._graph import NUMPY_TYPES, Graph, Table
from sklearn_mmoe.tasks._validation import Column

ROWS_TRIED = 100  # of the example, on which all that is exported is tried out

Feeds = dict[str, NDArray[Any]]


def checked_example(example: Any) -> Any:
    """The first rows of the example, as a data frame or an array."""
    if issparse(example):
        raise ValueError(
            "example is sparse, but a graph takes dense rows: give some as example.toarray(). The answers are those of "
            "the same rows in sparse form."
        )
    table = as_table(example, "example")
    return _safe_indexing(table, slice(0, ROWS_TRIED))


def add_inputs(graph: Graph, X: Any, float_type: int) -> tuple[Table, Feeds]:
    """Add the inputs that rows like X need.

    Parameters
    ----------
    X : data frame or ndarray
    float_type : int
        What floats become, of TensorProto.DataType.

    Returns
    -------
    table : tuple of Columns
        The columns of X in the graph.
    feeds : dict of str to ndarray
        The rows of X as the inputs take them.
    """
    columns = _columns(X)
    types = [_type_of(column, float_type) for column in columns]
    alike = len(set(types)) == 1
    groups = [("X", columns)] if alike else [(str(column.name), [column]) for column in columns]
    table, feeds = [], {}
    for (wished, own), type_ in zip(groups, types, strict=False):
        name = graph.free_name(wished)
        table.append(graph.input(name, type_, len(own)))
        feeds[name] = np.column_stack([_values(column, type_) for column in own])
    return tuple(table), feeds


def _columns(X: Any) -> list[Column]:
    """The columns of X, those of an array with the names that scikit-learn gives them."""
    frame = as_narwhals(X)
    columns = [column_of(X, i) for i in range(X.shape[1])]
    if not isinstance(frame, nw.DataFrame):
        return [replace(column, name=f"x{column.name}") for column in columns]
    return [
        # Of strings that are all missing, nothing but their type is left
        replace(column, name=str(column.name), values=column.values.astype(object))
        if holds_categories(series) and not column.labelled.any()
        else replace(column, name=str(column.name))
        for column, series in zip(columns, frame.iter_columns(), strict=True)
    ]


def _type_of(column: Column, float_type: int) -> int:
    """Numbers are floats where some are missing, as other types have no NaN."""
    kind, complete = column.values.dtype.kind, column.labelled.all()
    if kind == "b" and complete:
        return TensorProto.BOOL
    if kind in "iu" and complete:
        return TensorProto.INT64
    if kind in "biuf":
        return float_type
    if kind == "O" and all(isinstance(value, str) for value in column.values):
        return TensorProto.STRING
    raise ValueError(
        f"Column {column.name!r} of example holds {shown(column.values[0])}, of {type(column.values[0]).__name__}: a "
        "graph takes columns of numbers, of booleans or of strings."
    )


def _values(column: Column, type_: int) -> NDArray[Any]:
    """All values in the type of an input."""
    values = np.zeros(len(column.labelled), dtype=NUMPY_TYPES[type_])
    if not column.labelled.all():
        values[:] = "" if type_ == TensorProto.STRING else np.nan
    values[column.labelled] = column.values
    return values
