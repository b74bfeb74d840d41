"""All tasks together: the columns of y -> the one matrix that the losses read, and outputs -> each task's own part."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from sklearn_mmoe._arrays.frame_dtypes import native_dtype
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._declared import OfNumbers, Task
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedRegression, FittedTask
from sklearn_mmoe.tasks._labels import are_moments, class_codes, moments_like
from sklearn_mmoe.tasks._shards import columns_of_all
from sklearn_mmoe.tasks._validation import Column, Targets

Tasks = tuple[FittedTask, ...]


def fit_tasks(
    declarations: Sequence[Task],
    targets: Targets,
    weights: FloatArray | None,
    classes: Sequence[Any] | None = None,
    group: Group = ALONE,
) -> Tasks:
    """Learn scales and classes, column by column, from the labels of all ranks.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, n_tasks) or None
    classes : sequence, one entry per task
        The classes of a task, or None where its labels show them.
    """
    classes = classes if classes is not None else [None] * len(declarations)
    columns = columns_of_all(targets.columns, [not isinstance(task, OfNumbers) for task in declarations], group)
    return tuple(
        task.fit(column, _own_weights(weights, column, t), own_classes, group)
        if isinstance(task, OfNumbers)
        else task.fit(column, None, own_classes)
        for t, (task, column, own_classes) in enumerate(zip(declarations, columns, classes, strict=True))
    )


def update_tasks(
    tasks: Tasks, targets: Targets, weights: FloatArray | None, group: Group = ALONE, *, known_scales: bool = True
) -> Tasks:
    """The tasks after more labels: the scales of regressions are those of all labels so far, classes stay.

    Parameters
    ----------
    known_scales : bool
        Whether scales that labels have been seen of may change. If not, tasks whose labels were all the same, which
        have none, get the scale of the new labels alone.
    """
    return tuple(
        task.after(column.values, _own_weights(weights, column, t), group, anew=not known_scales)
        if isinstance(task, FittedRegression) and (known_scales or not task.seen.weight or task.is_constant)
        else task
        for t, (task, column) in enumerate(zip(tasks, targets.columns, strict=True))
    )


def _own_weights(weights: FloatArray | None, column: Column, t: int) -> FloatArray | None:
    return None if weights is None else weights[column.labelled, t]


def rescaling(known: Tasks, tasks: Tasks) -> FloatArray:
    """What takes outputs from the scales of known tasks to those that the same tasks have now.

    Returns
    -------
    ndarray of shape (2, sum of widths)
        A factor and a shift for each output; what it is decoded to stays the same.
    """
    steps: list[tuple[float, float]] = []
    for before, now in zip(known, tasks, strict=True):
        if isinstance(before, FittedRegression) and isinstance(now, FittedRegression):
            steps.append(before.as_outputs_of(now))
        else:
            steps += [(1.0, 0.0)] * now.width
    return np.array(steps).T


def encode_targets(
    tasks: Tasks, targets: Targets, weights: FloatArray | None, dtype: str, name: str = "y"
) -> FloatArray:
    """Lay out what the losses need of every row.

    Parameters
    ----------
    name : str
        What `targets` are to the user, for the message of an error.

    Returns
    -------
    ndarray of shape (n_rows, n_tasks) or (n_rows, 2 * n_tasks)
        The encoded labels, 0 where there is none; then, unless all cells weigh the same, the weight of each cell.
    """
    n_tasks = len(tasks)
    largest = 0.1 * np.sqrt(np.finfo(dtype).max)  # losses are squares, and are added up
    cells = np.zeros((targets.n_rows, n_tasks if weights is None else 2 * n_tasks), dtype=dtype)
    for t, (task, column) in enumerate(zip(tasks, targets.columns, strict=True)):
        encoded, own_weights = task.encode(column.values), _own_weights(weights, column, t)
        if own_weights is not None:
            encoded[own_weights == 0] = 0.0  # it might be infinite in the cells' type
        if isinstance(task, FittedRegression) and np.abs(encoded).max(initial=0.0) > largest:
            farthest = column.values[np.abs(encoded).argmax()]
            raise ValueError(
                f"Task {task.name!r} has a label of {farthest:.6g} in {name}, too far from those that its scale was "
                f"learned from, of mean {task.seen.mean:.6g} and standard deviation {task.seen.deviation:.6g}. Check "
                "the labels, or fit a clone on all of them."
            )
        cells[column.labelled, t] = encoded
    if weights is not None:
        cells[:, n_tasks:] = weights
    return cells


def labelled_cells(cells: FloatArray, n_tasks: int) -> NDArray[np.bool_]:
    """Of what `encode_targets` has laid out: which labels there are that weigh anything, (n_rows, n_tasks)."""
    if cells.shape[1] == n_tasks:
        return np.broadcast_to(True, cells.shape)
    return cells[:, n_tasks:] > 0


def weights_of_rows(cells: FloatArray, n_tasks: int) -> FloatArray:
    """How much each row counts, as the heaviest of its labels does, of shape (n_rows,)."""
    weights = cells[:, n_tasks : 2 * n_tasks]
    return np.asarray(weights.max(axis=1)) if weights.shape[1] else np.ones(len(cells), dtype=cells.dtype)


def weigh_classes(
    class_weight: Any, tasks: Tasks, targets: Targets, weights: FloatArray | None, group: Group = ALONE
) -> FloatArray | None:
    """Multiply the weight of each cell by the weight of its class, on all ranks together, in its own task."""
    if class_weight is None:
        return weights
    weights = targets.labelled.astype(np.float64) if weights is None else weights.copy()
    for t, (task, column) in enumerate(zip(tasks, targets.columns, strict=True)):
        if not isinstance(task, FittedClassification):
            continue
        own = class_weight if isinstance(class_weight, str) else class_weight[t]
        codes = task.encode(column.values).astype(int)
        counts = np.sum(group.gather(np.bincount(codes, minlength=len(task.classes))), axis=0)
        weights[column.labelled, t] *= _weight_per_class(own, task.classes, counts, task.name)[codes]
    return weights


def _weight_per_class(
    class_weight: str | Mapping[Any, float] | None, classes: NDArray[Any], counts: NDArray[np.int64], name: Hashable
) -> NDArray[np.float64]:
    if not isinstance(class_weight, Mapping) and class_weight not in ("balanced", None):
        raise ValueError(
            f"class_weight of task {name!r} must be a dict, 'balanced' or None, got {shown(class_weight)}."
        )
    present = counts > 0  # "balanced" has no weight for a class without a label
    if are_moments(classes):  # which scikit-learn takes for no classes: their places are
        asked, labels = _by_place(class_weight, classes), np.arange(len(classes))
    else:
        asked, labels = class_weight, classes
    per_class, there = np.ones(len(classes)), labels[present]
    if not len(there):
        return per_class
    if isinstance(asked, str):  # "balanced", as scikit-learn has it: its 1.6 takes all labels, but no counts
        per_class[present] = counts.sum() / (len(there) * counts[present])
    else:
        try:
            per_class[present] = compute_class_weight(asked, classes=there, y=there)
        except ValueError as error:
            raise ValueError(f"class_weight of task {name!r}: {error}") from error
    if not np.isfinite(per_class).all() or (per_class < 0).any():
        raise ValueError(f"class_weight of task {name!r} must be finite and 0 or more, got {shown(class_weight)}.")
    if not per_class[present].any():
        raise ValueError(f"class_weight of task {name!r} is 0 for every class, got {shown(class_weight)}.")
    return per_class


def _by_place(class_weight: Any, classes: NDArray[Any]) -> Any:
    """Weights by the places of the classes; what is no class stays as it is."""
    if not isinstance(class_weight, Mapping):
        return class_weight
    places = [int(class_codes(moments_like(classes, np.array([label])), classes)[0]) for label in class_weight]
    return {
        label if place < 0 else place: weight
        for place, (label, weight) in zip(places, class_weight.items(), strict=True)
    }


def output_slices(tasks: Tasks) -> list[slice]:
    """Which columns of the outputs belong to which task."""
    ends = accumulate((task.width for task in tasks), initial=0)
    return [slice(start, end) for start, end in pairwise(ends)]


def task_outputs(tasks: Tasks, outputs: FloatArray) -> Iterator[tuple[FittedTask, FloatArray]]:
    """Each task with its own columns of the outputs, of shape (n_rows, width)."""
    for task, columns in zip(tasks, output_slices(tasks), strict=True):
        yield task, outputs[:, columns]


def decode(tasks: Tasks, outputs: FloatArray) -> list[NDArray[Any]]:
    """Each task's predictions, of shape (n_rows,)."""
    return [task.decode(own) for task, own in task_outputs(tasks, outputs)]


def task_probabilities(tasks: Tasks, outputs: FloatArray) -> dict[Any, NDArray[np.float64]]:
    """Each classification's probabilities, of shape (n_rows, n_classes), by task name."""
    return {
        task.name: task.probabilities(own)
        for task, own in task_outputs(tasks, outputs)
        if isinstance(task, FittedClassification)
    }


def beside(tasks: Tasks, columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Predictions of several tasks as one (n_rows, n_tasks) array, of objects where no one type holds all labels."""
    if _one_type_holds_all(tasks, columns):
        return np.column_stack(columns)
    table = np.empty((len(columns[0]), len(columns)), dtype=object)
    for t, column in enumerate(columns):
        # NumPy makes integers of nanoseconds where it makes objects of an array, and leaves single ones alone
        table[:, t] = list(column) if column.dtype.kind in "mM" else column
    return table


def _one_type_holds_all(tasks: Tasks, columns: Sequence[NDArray[Any]]) -> bool:
    """Whether the type that NumPy would find for all has each task's labels exactly, whichever are predicted."""
    dtypes = {column.dtype for column in columns}
    kinds = {dtype.kind for dtype in dtypes}
    if not kinds <= set("biuf"):
        return len(dtypes) == 1 or kinds == {"U"} or kinds == {"S"}
    common = np.result_type(*dtypes)
    if common.itemsize > np.dtype(np.float64).itemsize:  # it equals no integer that Python looks up
        return len(dtypes) == 1
    return common.kind != "f" or not any(_rounded(task, common) for task in tasks)


def _rounded(task: FittedTask, common: np.dtype[Any]) -> bool:
    """Whether a type of floats is too coarse for some class of a task."""
    if not isinstance(task, FittedClassification) or task.classes.dtype.kind not in "iu":
        return False
    return bool(task.classes.astype(common).tolist() != task.classes.tolist())  # Python compares without rounding


def as_frame(tasks: Tasks, columns: Sequence[NDArray[Any]], library: str, index: Any = None) -> Any:
    """Predictions as a data frame of a library; classifications in the dtype that their labels had there."""
    if library not in ("pandas", "polars", "pyarrow"):  # a name in a file must not import what it likes
        raise ValueError(
            f"predict_frame makes data frames of pandas, polars or pyarrow; y was one of {shown(library)}."
        )
    require("predict_frame", library)
    module = import_module(library)
    dtypes = [task.dtype if isinstance(task, FittedClassification) else None for task in tasks]
    try:
        return _filled_frame(module, tasks, columns, list(map(native_dtype, dtypes)), index)
    except ImportError:
        raise
    except Exception as error:  # of many kinds, some of them the library's own
        raise ValueError(
            f"predict_frame: the predictions do not go into the data types {dtypes} that y had: {error}"
        ) from error


def _filled_frame(module: Any, tasks: Tasks, columns: Sequence[NDArray[Any]], dtypes: Sequence[Any], index: Any) -> Any:
    if module.__name__ == "polars":
        named = zip(tasks, columns, dtypes, strict=True)
        return module.DataFrame(
            [module.Series(str(task.name), own.tolist(), dtype=dtype) for task, own, dtype in named]
        )
    if module.__name__ == "pyarrow":
        cells = [module.array(own if own.dtype.kind in "biufmM" else own.tolist()) for own in columns]
        return module.table(cells, names=[str(task.name) for task in tasks])
    options = {} if index is None else {"index": index}
    series = [module.Series(own, dtype=dtype, **options) for own, dtype in zip(columns, dtypes, strict=True)]
    frame = module.DataFrame(dict(enumerate(series)))
    frame.columns = module.Index([task.name for task in tasks])  # which makes levels of tuples
    return frame
