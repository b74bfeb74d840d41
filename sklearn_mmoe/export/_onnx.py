"""Fitted models, with the preprocessing before them, for others: as ONNX graphs, and what files of skops ask for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sklearn_mmoe._common.arguments import check_flag
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._files.whole import place_of, write_whole

if TYPE_CHECKING:
    import onnx


def to_onnx(
    estimator: Any, path: str | os.PathLike[str] | None = None, *, example: Any, gate_weights: bool = False
) -> onnx.ModelProto:
    """Write a fitted model as one ONNX graph, from rows as `predict` takes them to its answers.

    The graph holds the steps of a pipeline, the embeddings of categories, the network with all its members, and what
    makes predictions, probabilities and class labels of its outputs. To run it takes neither this package nor torch
    nor scikit-learn, but a runtime such as onnxruntime. Needs the extra `onnx`.

    Parameters
    ----------
    estimator : estimator
        Fitted: one of the three of this package, or a pipeline or search that ends in one.
    path : str or path-like, default=None
        Where to write the file, or a symbolic link to it. It is there as a whole or, after an error, as it was before;
        its permissions stay. None: nothing is written.
    example : array-like or data frame of shape (n_samples, n_features)
        Some rows as `predict` takes them, dense. They say which inputs the graph has, and the first 100 are answered by
        the graph and by the estimator: a graph that answers otherwise is an error.
    gate_weights : bool, default=False
        Whether the graph gives the weights of the gates, too.

    Returns
    -------
    onnx.ModelProto
        The graph that was written.

    Raises
    ------
    ValueError
        If a step cannot be exported; the message names it. Or if the path leads to a device or a pipe.

    Notes
    -----
    Inputs. If all columns of `example` are alike, floats, integers, booleans or strings, there is one input, "X", of
    shape (n_rows, n_features). Otherwise there is one for each column that is used, of shape (n_rows, 1) and of the
    column's name; columns of an array are "x0", "x1" ... Floats are float32, float64 if the estimator's `dtype` is;
    integers and booleans in which some are missing are floats, too. Missing numbers are NaN, missing strings empty.

    Outputs. Each task has an output of its name and of shape (n_rows,), with what `predict` gives: float64, or labels
    as int64, float64, booleans or strings. The probabilities of a classification are called "<task>_probabilities", of
    shape (n_rows, n_classes), the weights of the gates "gate_weights", of shape
    (n_rows, n_tasks, n_members * n_experts). A name that is taken already gets "_2" behind it.

    A graph cannot raise errors. Where `predict` does, as of NaN or of features so large that the network overflows,
    the graph answers NaN or infinity: look for them.

    The entry "tasks" of the graph's metadata says in JSON, for each task, its kind, the names of its outputs, and its
    classes.

    Examples
    --------
    >>> import numpy as np
    >>> from onnxruntime import InferenceSession
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.export import to_onnx
    >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
    >>> model = make_pipeline(StandardScaler(), MMoERegressor(max_epochs=5, random_state=0)).fit(X, y)
    >>> graph = to_onnx(model, example=X)
    >>> session = InferenceSession(graph.SerializeToString())
    >>> y0, y1 = session.run(["y0", "y1"], {"X": X.astype(np.float32)})
    >>> np.allclose(np.column_stack([y0, y1]), model.predict(X), atol=1e-4)
    True
    """
    check_flag(gate_weights, "gate_weights")
    if path is not None:
        place_of(path)  # before the graph is made, which takes its time
    model = _exported(estimator, example, gate_weights=gate_weights)
    if path is not None:
        write_whole(path, [model.SerializeToString()])
    return model


def _exported(estimator: Any, example: Any, *, gate_weights: bool) -> onnx.ModelProto:
    require("to_onnx", "onnx", "onnxscript", "onnxruntime", "skl2onnx", extra="onnx")
    from sklearn_mmoe.export._model import onnx_model

    return onnx_model(estimator, example, gate_weights=gate_weights)
