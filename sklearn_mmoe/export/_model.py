"""A fitted estimator and the steps before it as one ONNX model, tried out on example rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sklearn_mmoe._common.surroundings import undisturbed
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe.export._graph import FLOAT_TYPES, Graph, run
from sklearn_mmoe.export._inputs import add_inputs, checked_example
from sklearn_mmoe.export._network import add_answers
from sklearn_mmoe.export._steps import Steps, cannot_export, close, transformed
from sklearn_mmoe.metrics._inside import as_of_now, fitted_model
from sklearn_mmoe.tasks._encoding import task_outputs
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedRegression


def onnx_model(estimator: Any, example: Any, *, gate_weights: bool) -> onnx.ModelProto:
    """Put the model together and try it out."""
    return undisturbed(_onnx_model, estimator, example, gate_weights)


def _onnx_model(estimator: Any, example: Any, gate_weights: bool) -> onnx.ModelProto:
    fitted_model(estimator)
    *steps, (name, model) = _steps_of(as_of_now(estimator))
    X = checked_example(example)
    read_by_step = [X]
    for _, step in steps:
        X = transformed(step, X)
        read_by_step.append(X)
    expected = _expected(model, X, gate_weights=gate_weights)

    graph, float_type = Graph(), FLOAT_TYPES[model._fitted_dtype]
    table, feeds = add_inputs(graph, read_by_step[0], float_type)
    adder = Steps(graph, feeds, float_type)
    for (own, step), X in zip(steps, read_by_step, strict=False):
        table = adder.add(step, own, table, X)
    try:
        answers = add_answers(graph, model, table, float_type, gate_weights=gate_weights)
        names = [graph.free_name(answer.name) for answer in answers]
        for answer, output in zip(answers, names, strict=True):
            graph.output(output, answer.tensor, answer.type, answer.shape)
        exported = graph.model(tasks=json.dumps(_described(model, names)))
        onnx.checker.check_model(exported)
        _try_out(model, run(exported, feeds), expected)
    except Exception as error:
        raise cannot_export(name, model, error) from error
    return exported


def _steps_of(estimator: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All steps of pipelines within pipelines and searches, by their names in the whole; the estimator is the last."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        yield prefix.removesuffix("__"), estimator
        return
    for name, step in estimator.steps[:-1]:
        yield f"{prefix}{name}", step
    name, last = estimator.steps[-1]
    yield from _steps_of(last, f"{prefix}{name}__")


def _expected(model: BaseMMoE, X: Any, *, gate_weights: bool) -> list[NDArray[Any]]:
    """What the estimator answers, in the order of the graph's answers."""
    expected = []
    for task, own in task_outputs(model._tasks, model._outputs(X)):
        expected.append(task.decode(own))
        if isinstance(task, FittedClassification):
            expected.append(task.probabilities(own))
    return [*expected, *([model.gate_weights(X)] if gate_weights else [])]


def _described(model: BaseMMoE, names: Sequence[str]) -> dict[str, Any]:
    """What is to be known of each task: its kind, its outputs, its classes."""
    outputs = iter(names)
    tasks = {}
    for task in model._tasks:
        tasks[str(task.name)] = {"kind": task.kind, "prediction": next(outputs)}
        if isinstance(task, FittedClassification):
            tasks[str(task.name)] |= {"probabilities": next(outputs), "classes": task.classes.tolist()}
    return tasks


def _try_out(model: BaseMMoE, found: list[NDArray[Any]], expected: list[NDArray[Any]]) -> None:
    """Raise an error if the graph answers the example otherwise than the estimator does."""
    pairs = iter(zip(found, expected, strict=True))
    for task in model._tasks:
        values, own = next(pairs)
        if isinstance(task, FittedRegression):
            right = close(values / task.unit, own / task.unit)
        else:
            probabilities, of_estimator = next(pairs)
            # Labels are compared with the graph's own probabilities: where two are nearly alike, rounding decides
            labels = task.classes[probabilities.argmax(axis=1)]
            right = close(probabilities, of_estimator) and bool((values == labels).all())
        if not right:
            raise ValueError(f"the graph does not answer example as predict does, in task {task.name!r}")
    if not all(close(values, own) for values, own in pairs):
        raise ValueError("the graph does not give the gate weights of example")
