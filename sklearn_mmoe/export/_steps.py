"""The steps before an estimator as nodes of a graph: pipelines, column transformers and unions, taken apart.

Each transformer is tried out as soon as it is added: of the example, the graph must make what the transformer makes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing

from sklearn_mmoe._features.validation import as_narwhals
from sklearn_mmoe.export._converters import as_dense, converted
from sklearn_mmoe.export._graph import NUMPY_TYPES, Columns, Graph, Table
from sklearn_mmoe.export._inputs import Feeds
from sklearn_mmoe.tasks._validation import is_missing

# Of the largest value of a column, at least 1: rounding stays below it, another way of computing does not
TOLERANCE = 1e-3


def cannot_export(name: str, step: Any, error: Exception) -> ValueError:
    """An error that names the step. A step without a name is the estimator alone."""
    if isinstance(error, MissingConverter | MissingShapeCalculator):
        reason = "skl2onnx has no converter for it"
    else:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    what = f"Step {name!r} ({type(step).__name__})" if name else type(step).__name__
    return ValueError(f"{what} cannot be exported to ONNX: {reason}.")


class Steps:
    """Adds fitted steps to a graph.

    Parameters
    ----------
    graph : Graph
    feeds : dict of str to ndarray
        The example, as the inputs of the graph take it.
    float_type : int
        What floats are, of TensorProto.DataType.
    """

    def __init__(self, graph: Graph, feeds: Feeds, float_type: int) -> None:
        self.graph = graph
        self.feeds = feeds
        self.float_type = float_type

    def add(self, step: Any, name: str, table: Table, X: Any) -> Table:
        """Add a step.

        Parameters
        ----------
        step : transformer, "passthrough" or None
        name : str
            As parameters have it, "columns__numbers".
        table : tuple of Columns
            What the step reads.
        X : data frame or array
            The same of the example, as scikit-learn has it.
        """
        if step is None or isinstance(step, str):
            return table
        if isinstance(step, Pipeline):
            for own, inner in step.steps:
                table = self.add(inner, f"{name}__{own}", table, X)
                X = transformed(inner, X)
            return table
        if isinstance(step, ColumnTransformer):
            return self._add_side_by_side(step, name, _columns_of(step, table, X, self.graph))
        if isinstance(step, FeatureUnion):
            parts = ((own, inner, table, X) for own, inner in step.transformer_list if inner != "drop")
            return self._add_side_by_side(step, name, parts)
        return self._add_transformer(step, name, table, X)

    def _add_side_by_side(self, step: Any, name: str, parts: Iterable[tuple[str, Any, Table, Any]]) -> Table:
        weights = step.transformer_weights or {}
        tables = []
        for own, inner, table, X in parts:
            added = self.add(inner, f"{name}__{own}", table, X)
            tables.append(self._times(added, weights[own]) if own in weights else added)
        return sum(tables, ())

    def _times(self, table: Table, weight: float) -> Table:
        part = self.graph.as_matrix(table, self.float_type)
        factor = self.graph.constant(NUMPY_TYPES[self.float_type](weight))
        return (Columns(self.graph.node("Mul", part.tensor, factor), part.type, part.width),)

    def _add_transformer(self, step: Any, name: str, table: Table, X: Any) -> Table:
        expected = as_dense(step.transform(X))
        try:
            added = converted(self.graph, step, table, self.float_type)
            if added != table and not _agree(added, self.graph.values(added, self.feeds), expected):
                raise ValueError("of example, the graph does not make what it makes itself")
        except Exception as error:
            raise cannot_export(name, step, error) from error
        return added


def transformed(step: Any, X: Any) -> Any:
    return X if step is None or isinstance(step, str) else step.transform(X)


def _columns_of(step: ColumnTransformer, table: Table, X: Any, graph: Graph) -> Iterable[tuple[str, Any, Table, Any]]:
    """Each transformer of a ColumnTransformer, with the columns that it reads."""
    frame = as_narwhals(X)
    by_name = isinstance(frame, nw.DataFrame) and hasattr(step, "feature_names_in_")  # wherever they stand
    for name, transformer, given in step.transformers_:
        places = step._transformer_to_input_indices[name]
        if isinstance(transformer, str) or not len(places):
            continue
        if by_name:
            places = [frame.columns.index(step.feature_names_in_[place]) for place in places]
        is_one_dimensional = isinstance(given, str) or np.isscalar(given)
        own = _safe_indexing(X, places[0] if is_one_dimensional else places, axis=1)
        yield name, transformer, graph.take(table, places), own


def _agree(table: Table, found: list[NDArray[Any]], expected: NDArray[Any]) -> bool:
    """Whether the parts of a table hold what they should."""
    parts = np.split(expected, np.cumsum([part.width for part in table])[:-1], axis=1)
    return all(close(values, own) for values, own in zip(found, parts, strict=True))


def close(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether a graph has found what was expected, but for rounding."""
    if found.shape != expected.shape:
        return False
    if found.dtype == object:
        strings = np.where(is_missing(expected.ravel()), "", expected.ravel())
        return bool((found.ravel() == strings).all())
    expected = expected.astype(np.float64)
    largest = np.nan_to_num(np.abs(expected), nan=0, posinf=0).max(axis=0)
    return bool(np.isclose(found, expected, rtol=0, atol=TOLERANCE * np.maximum(largest, 1), equal_nan=True).all())
