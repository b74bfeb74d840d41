"""The network of a fitted estimator as nodes of a graph, from features to answers."""

from __future__ import annotations

import copy
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from sklearn_mmoe._common.compat import exportable
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe.export._converters import category_codes
from sklearn_mmoe.export._graph import OPSETS, Columns, Graph, Table
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedRegression, FittedTask

TORCH_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT64: torch.int64,
}
QUIET_LOGGERS = ("torch.onnx._internal.exporter._registration", "onnx_ir._convenience")  # what is not installed
QUIET_WARNINGS = ((FutureWarning, r"`isinstance\(treespec, LeafSpec\)`"), (UserWarning, "# The axis name: n_rows"))


@dataclass(frozen=True)
class Answer:
    """An answer for every row, a tensor of shape (n_rows, *shape)."""

    name: str
    tensor: str
    type: int  # of TensorProto.DataType
    shape: tuple[int, ...] = ()


def add_answers(graph: Graph, model: BaseMMoE, table: Table, float_type: int, *, gate_weights: bool) -> list[Answer]:
    """Add the network of an estimator to the graph.

    Returns
    -------
    list of Answer
        For each task the prediction, for a classification the probabilities after it; then the weights of the gates.
    """
    features = _features(graph, model, table, float_type)
    labels = {task.name: _labels(task) for task in model._tasks if isinstance(task, FittedClassification)}
    part = _exported(Answers(model, gate_weights=gate_weights), features)
    tensors = iter(output.name for output in graph.embed(part))
    answers = []
    for task in model._tasks:
        tensor = next(tensors)
        if task.name not in labels:
            answers.append(Answer(str(task.name), tensor, TensorProto.DOUBLE))
            continue
        type_, classes = labels[task.name]
        answers.append(Answer(str(task.name), graph.node("Gather", graph.constant(classes), tensor), type_))
        answers.append(Answer(f"{task.name}_probabilities", next(tensors), TensorProto.DOUBLE, (len(classes),)))
    if gate_weights:
        shape = model.expert_usage_.shape
        answers.append(Answer("gate_weights", next(tensors), float_type, shape))
    return answers


def _features(graph: Graph, model: BaseMMoE, table: Table, float_type: int) -> list[Columns]:
    """What the network reads: numbers, codes of categories, or both."""
    categories = model._categories
    if categories is None:
        return [graph.as_matrix(table, float_type)]
    codes = []
    names = getattr(model, "feature_names_in_", range(categories.n_columns))
    for i, known in categories.known.items():
        (column,) = graph.take(table, [i])
        codes.append(Columns(category_codes(graph, column, known, names[i]), TensorProto.INT64, 1))
    numbers = graph.take(table, categories.numeric)
    before = [graph.as_matrix(numbers, float_type)] if numbers else []
    return [*before, graph.as_matrix(tuple(codes), TensorProto.INT64)]


def _labels(task: FittedClassification) -> tuple[int, NDArray[Any]]:
    """The classes of a task, and the type that they have in a graph."""
    classes = task.classes
    if classes.dtype == object and len({isinstance(label, str) for label in classes}) == 1:
        classes = np.array(classes.tolist())
    match classes.dtype.kind:
        case "U":
            return TensorProto.STRING, classes.astype(object)
        case "b":
            return TensorProto.BOOL, classes
        case "i" | "u" if classes.max() <= np.iinfo(np.int64).max:
            return TensorProto.INT64, classes.astype(np.int64)
        case "f":
            return TensorProto.DOUBLE, classes.astype(np.float64)
    raise ValueError(
        f"the classes of task {task.name!r} are such as {classes[0]!r}; in a graph, labels are numbers, booleans or "
        "strings, and whole numbers end at 2**63 - 1"
    )


class Answers(nn.Module):
    """From what the network of an estimator reads to what the estimator answers, with classes as indices.

    As in the estimator, what follows the network is in float64.
    """

    scales: Tensor
    shifts: Tensor

    def __init__(self, model: BaseMMoE, *, gate_weights: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.module_).cpu()
        self.tasks = model._tasks
        self.gate_weights = gate_weights
        self.dtype = getattr(torch, model._fitted_dtype)
        self.has_numbers = model._categories is None or bool(model._categories.numeric)
        scales, shifts = zip(*[pair for task in self.tasks for pair in _scaling(task)], strict=True)
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64))
        self.register_buffer("shifts", torch.tensor(shifts, dtype=torch.float64))

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        if not self.has_numbers:
            (codes,) = features
            features = torch.empty(codes.shape[0], 0, dtype=self.dtype), codes
        outputs = self.network(*features).double() * self.scales + self.shifts
        answers: list[Tensor] = []
        for task, own in zip(self.tasks, outputs.split([task.width for task in self.tasks], dim=-1), strict=True):
            answers += self._answers(task, own)
        if self.gate_weights:
            answers.append(self.network.gate_weights(*features))
        return tuple(answers)

    def _answers(self, task: FittedTask, outputs: Tensor) -> list[Tensor]:
        if isinstance(task, FittedRegression):
            values = outputs.squeeze(-1)
            return [_mean(values.exp() if _is_exponential(task) else values, 1)]
        probabilities = _mean(task.tensor_of_probabilities(outputs), 2)
        return [probabilities.argmax(dim=-1), probabilities]


def _scaling(task: FittedTask) -> list[tuple[float, float]]:
    """What each output of a task is multiplied by, and what is added, before its link."""
    if isinstance(task, FittedClassification):
        return [(1.0, 0.0)] * task.width
    return [(1.0, math.log(task.scale)) if _is_exponential(task) else (task.scale, task.location)]


def _is_exponential(task: FittedRegression) -> bool:
    return task.deviance is not None and not task.is_constant


def _mean(answers: Tensor, n_dimensions: int) -> Tensor:
    """The mean over the members, if there are several."""
    return answers if answers.dim() == n_dimensions else answers.mean(dim=0)


def _exported(answers: Answers, features: list[Columns]) -> onnx.ModelProto:
    """The graph that torch makes of a module, with inputs named as what they are to read."""
    # Two rows, as torch takes a dimension of one for constant
    example = tuple(torch.zeros(2, part.width, dtype=TORCH_TYPES[part.type]) for part in features)
    n_rows = torch.export.Dim("n_rows")
    try:
        with _quiet(), exportable():
            program: Any = torch.onnx.export(
                answers.eval(),
                example,
                input_names=[part.tensor for part in features],
                dynamic_shapes=(tuple({0: n_rows} for _ in features),),
                opset_version=OPSETS[""],
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        name = type(answers.network).__name__
        raise ValueError(f"torch cannot export its network, {name}: {error.__cause__ or error}") from error
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch has to say about itself."""
    loggers = [logging.getLogger(name) for name in QUIET_LOGGERS]

    def nothing(record: logging.LogRecord) -> bool:
        return False

    for logger in loggers:
        logger.addFilter(nothing)
    try:
        with warnings.catch_warnings():
            for category, message in QUIET_WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(nothing)
