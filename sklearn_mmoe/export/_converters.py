"""Single transformers as nodes of a graph: some by converters that stand here, all others by skl2onnx."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
import skl2onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from scipy.sparse import issparse
from skl2onnx.common import data_types
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from sklearn_mmoe._common.words import shown
from sklearn_mmoe._tables.preprocessing import clipped, missing_as_none
from sklearn_mmoe._tables.splines import QuantileSplines
from sklearn_mmoe.export._graph import ML_DOMAIN, NUMPY_TYPES, OPSETS, Columns, Graph, Table
from sklearn_mmoe.tasks._validation import is_missing

SKL2ONNX_OPSETS = {**OPSETS, ML_DOMAIN: 3}  # the newest that it knows; what it makes holds in 4, too
SKL2ONNX_TYPES: dict[int, Any] = {
    TensorProto.FLOAT: data_types.FloatTensorType,
    TensorProto.DOUBLE: data_types.DoubleTensorType,
    TensorProto.STRING: data_types.StringTensorType,
}

Converter = Callable[[Graph, Any, Table, int], Table]


def converted(graph: Graph, transformer: Any, table: Table, float_type: int) -> Table:
    """Add to the graph what a fitted transformer makes of a table.

    Raises
    ------
    Exception
        Of any kind, as skl2onnx raises many, where the transformer cannot be converted.
    """
    return CONVERTERS.get(type(transformer), _by_skl2onnx)(graph, transformer, table, float_type)


def _by_skl2onnx(graph: Graph, transformer: Any, table: Table, float_type: int) -> Table:
    """Numbers go in as one matrix of floats, strings as one of strings, and where they are mixed, as several."""
    parts = [
        graph.as_matrix(tuple(own), TensorProto.STRING if of_strings else float_type)
        for of_strings, own in groupby(table, key=lambda part: part.type == TensorProto.STRING)
    ]
    model = skl2onnx.convert_sklearn(
        transformer,
        initial_types=[(part.tensor, SKL2ONNX_TYPES[part.type]([None, part.width])) for part in parts],
        target_opset=SKL2ONNX_OPSETS,
    )
    output = graph.embed(model)[-1]  # KMeans gives labels before the distances that it transforms to
    return (Columns(output.name, output.type.tensor_type.elem_type, len(transformer.get_feature_names_out())),)


# --------------------------------------------------------------------------------------------------------------------
# Categories


def category_codes(graph: Graph, part: Columns, categories: NDArray[Any], column: Any, unknown: int = 0) -> str:
    """1, 2 ... for values that are the first, second ... category, `unknown` for all else.

    A missing string is an empty one.

    Parameters
    ----------
    part : Columns
        A single column.
    column : str or int
        Its name or index.

    Raises
    ------
    ValueError
        If the values are of a type that the categories are not of, or that cannot tell them apart.
    """
    if part.type == TensorProto.BOOL:
        part = graph.cast(part, TensorProto.INT64)
    keys, codes = _keys(categories, part.type, column), np.arange(1, len(categories) + 1)
    if part.type == TensorProto.INT64 and keys.dtype.kind == "f":
        whole = keys == np.floor(keys)
        keys, codes = keys[whole], codes[whole]
    keys = keys.astype(NUMPY_TYPES[part.type])
    values, counts = np.unique(keys, return_counts=True)
    if counts.max(initial=1) > 1:
        raise ValueError(
            f"several categories of column {shown(column)} are one in a graph, "
            f"{shown(values.tolist()[counts.argmax()])}. Let it hold integers or strings that differ, in a data frame "
            "if others hold floats, or fit with dtype='float64'"
        )
    return _looked_up(graph, part.tensor, keys, codes, unknown)


def _keys(categories: NDArray[Any], type_: int, column: Any) -> NDArray[Any]:
    """Categories as they are compared with values of a type."""
    of_strings = type_ == TensorProto.STRING
    objects = categories.astype(object)
    objects[is_missing(categories)] = "" if of_strings else np.nan
    keys = np.array(objects.tolist())
    if len(keys) and (keys.dtype.kind not in "biufU" or (keys.dtype.kind == "U") != of_strings):
        raise ValueError(
            f"the categories of column {shown(column)} are such as {shown(objects[0])}, but in example it holds "
            f"{'strings' if of_strings else 'numbers'}: give rows as fit has seen them"
        )
    return keys


def _looked_up(graph: Graph, tensor: str, keys: NDArray[Any], codes: NDArray[Any], unknown: int) -> str:
    # A list, but none is a tensor: onnxruntime 1.25 and 1.26 load no node with a tensor of a single string
    as_list = keys.dtype == object and len(keys) > 0
    return graph.node(
        "LabelEncoder",
        tensor,
        domain=ML_DOMAIN,
        keys_strings=keys.tolist() if as_list else None,
        keys_tensor=None if as_list else numpy_helper.from_array(keys),
        values_tensor=numpy_helper.from_array(codes),
        default_tensor=numpy_helper.from_array(np.array([unknown])),
    )


def _encoded(graph: Graph, encoder: Any, table: Table, float_type: int) -> Table:
    """OneHotEncoder and OrdinalEncoder: what becomes of each category, they say themselves; the graph looks it up."""
    parts = []
    names = getattr(encoder, "feature_names_in_", range(len(encoder.categories_)))
    for i, answers in enumerate(_answers_by_category(encoder)):
        (column,) = graph.take(table, [i])
        # Where an unknown category is an error, it points behind the last row, which is an error of the graph
        unknown = len(answers) if encoder.handle_unknown == "error" else 0
        codes = category_codes(graph, column, encoder.categories_[i], names[i], unknown)
        rows = graph.constant(answers.astype(NUMPY_TYPES[float_type]))
        found = graph.node("Gather", rows, graph.node("Squeeze", codes, graph.constant([1])))
        parts.append(Columns(found, float_type, answers.shape[1]))
    return tuple(parts)


def _answers_by_category(encoder: Any) -> list[NDArray[Any]]:
    """For each column what becomes of an unknown category (zeros, where that is an error) and of all others."""
    encoder = copy.copy(encoder)
    vars(encoder).pop("feature_names_in_", None)  # it is asked with arrays
    knows_unknown = encoder.handle_unknown != "error"
    first = [own[0] for own in encoder.categories_]
    widths = encoder._n_features_outs if isinstance(encoder, OneHotEncoder) else [1] * len(first)
    found = []
    for i, (own, end) in enumerate(zip(encoder.categories_, np.cumsum(widths), strict=True)):
        rows = np.empty((len(own) + 1, len(first)), dtype=object)
        rows[:] = first
        rows[1:, i] = own
        if knows_unknown:
            rows[0, i] = _unlike(own)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
            answers = as_dense(encoder.transform(rows))[:, end - widths[i] : end]
        found.append(answers if knows_unknown else np.vstack([np.zeros_like(answers[:1]), answers[1:]]))
    return found


def _unlike(categories: NDArray[Any]) -> Any:
    """A value that is none of the categories."""
    known = categories[~is_missing(categories)].tolist()
    if any(isinstance(own, str) for own in known):
        return "".join([*known, "?"])
    return 2 * max(map(abs, known), default=0) + 1


# --------------------------------------------------------------------------------------------------------------------
# Others


def _imputed(graph: Graph, imputer: Any, table: Table, float_type: int) -> Table:
    """SimpleImputer, with the columns that say what was missing; of what was missing everywhere, it leaves none."""
    of_strings = any(part.type == TensorProto.STRING for part in table)
    x = graph.as_matrix(table, TensorProto.STRING if of_strings else float_type)
    marker = np.array([imputer.missing_values], dtype=object)
    if of_strings:
        keys = np.where(is_missing(marker), "", marker).astype(object)
        missing = graph.node("Cast", _looked_up(graph, x.tensor, keys, np.array([1]), 0), to=TensorProto.BOOL)
    elif is_missing(marker).all():
        missing = graph.node("IsNaN", x.tensor)
    else:
        missing = graph.node("Equal", x.tensor, graph.constant(marker.astype(NUMPY_TYPES[x.type])))
    statistics = np.asarray(imputer.statistics_)
    kept = np.flatnonzero(~is_missing(statistics))
    fill = np.where(is_missing(statistics), "" if of_strings else 0, statistics).astype(NUMPY_TYPES[x.type])
    filled = Columns(graph.node("Where", missing, graph.constant(fill), x.tensor), x.type, x.width)
    said = Columns(graph.node("Cast", missing, to=float_type), float_type, x.width)
    features = imputer.indicator_.features_ if imputer.add_indicator else []
    return graph.take((filled,), kept.tolist()) + graph.take((said,), list(features))


def _splines(graph: Graph, splines: Any, table: Table, float_type: int) -> Table:
    """Each spline rises from the knot before it, and falls as the next one rises."""
    dtype = NUMPY_TYPES[float_type]
    knots = splines.splines_.knots.T
    x = graph.as_matrix(table, float_type)
    values = graph.node("Unsqueeze", x.tensor, graph.constant([2]))
    above = graph.node("Sub", values, graph.constant(knots[:, :-1].astype(dtype)))
    shares = graph.node("Div", above, graph.constant(np.diff(knots).astype(dtype)))
    rises = graph.node("Clip", shares, graph.constant(dtype(0)), graph.constant(dtype(1)))
    before = graph.node("Pad", rises, graph.constant([0, 0, 1, 0, 0, 0]), graph.constant(dtype(1)))
    after = graph.node("Pad", rises, graph.constant([0, 0, 0, 0, 0, 1]), graph.constant(dtype(0)))
    basis = graph.node("Sub", before, after)
    known = graph.node("Where", graph.node("IsNaN", values), graph.constant(dtype(0)), basis)
    return (Columns(graph.node("Reshape", known, graph.constant([0, knots.size])), float_type, knots.size),)


def _function(graph: Graph, transformer: Any, table: Table, float_type: int) -> Table:
    if transformer.func in (None, missing_as_none):  # in a graph, a missing string is an empty one from the start
        return table
    arguments = transformer.kw_args or {}
    bounds: list[Any] = [arguments.get(name) for name in ("a_min", "a_max")]
    if transformer.func not in (np.clip, clipped) or len(arguments) != 2 or any(np.ndim(bound) for bound in bounds):
        raise ValueError(
            f"it calls {getattr(transformer.func, '__name__', transformer.func)!r}, but a graph can call no Python; "
            "known is np.clip, with numbers as a_min and a_max. Let predict and graph get data in which that is done"
        )
    x = graph.as_matrix(table, float_type)
    limits = ["" if bound is None else graph.constant(NUMPY_TYPES[float_type](bound)) for bound in bounds]
    return (Columns(graph.node("Clip", x.tensor, *limits), float_type, x.width),)


def as_dense(answers: Any) -> NDArray[Any]:
    """What a transformer gives, as an array."""
    return answers.toarray() if issparse(answers) else np.asarray(answers)


CONVERTERS: dict[type, Converter] = {
    FunctionTransformer: _function,
    OneHotEncoder: _encoded,
    OrdinalEncoder: _encoded,
    QuantileSplines: _splines,
    SimpleImputer: _imputed,
}
