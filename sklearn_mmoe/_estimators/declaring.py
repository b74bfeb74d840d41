"""What each of the estimators says of its tasks, and what becomes of labels by that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import nn

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._estimators.fitted_model import FittedModel
from sklearn_mmoe._features.validation import Rows
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._declared import Task
from sklearn_mmoe.tasks._encoding import encode_targets, weigh_classes
from sklearn_mmoe.tasks._validation import Targets, check_targets
from sklearn_mmoe.tasks._weights import check_weights, relative_weights
from sklearn_mmoe.weighting._schemes import weights_by_task


class DeclaresTasks(FittedModel):
    """An estimator that says what the columns of its y are; the three do so each in its own way."""

    _class_weights: Any = None  # of the last fit

    @abstractmethod
    def _declare_tasks(
        self, targets: Targets, classes: Sequence[Any] | None, known: Sequence[Task] | None
    ) -> Sequence[Task]:
        """One declaration per column of y, of which `classes` may be given; `known` are those to go on with."""

    def _declared_names(self) -> Sequence[Hashable] | None:
        """The names that the user declared for the columns of a y that brings none."""
        return None

    def _classes_by_task(self, classes: Any, targets: Targets) -> Sequence[Any] | None:
        """What the user gave as `classes`, as one entry per task."""
        return None

    def _weights_of_classes(self, targets: Targets) -> Any:
        """How much the classes of each task count in its loss, as `weigh_classes` takes it."""
        return None

    def _strata(self, cells: FloatArray) -> NDArray[Any] | None:
        """What validation parts keep the proportions of."""
        return None

    def _parameters_for_tasks(self, some: Sequence[int], names: Sequence[Hashable]) -> dict[str, Any]:
        """The parameters to change for a model of some of these tasks: those that say something task by task."""
        return {"task_weights": _weights_of_some(self.task_weights, some, names), "monitor": "mean"}

    # ----------------------------------------------------------------------------------------------------------------

    def _check_targets(
        self, y: Any, X_shape: tuple[int, ...], *, name: str = "y", require_labels: bool = True
    ) -> Targets:
        return check_targets(
            y,
            X_shape,
            estimator_name=type(self).__name__,
            name=name,
            task_names=self._declared_names(),
            require_labels=require_labels,
        )

    def _cells(self, targets: Targets, weights: FloatArray | None, dtype: str, group: Group = ALONE) -> FloatArray:
        """Encoded labels, and the weight of each in the losses."""
        weights = weigh_classes(self._class_weights, self._tasks, targets, relative_weights(weights, group), group)
        weights = relative_weights(weights, group)  # those of classes may be large or small themselves
        return encode_targets(self._tasks, targets, weights, dtype)

    def _known_cells(self, X: Any, y: Any) -> tuple[Rows, FloatArray]:
        """New data as the model was fitted on, checked and encoded: what its losses compare."""
        rows = self._check_X(X)
        targets = self._known_targets(y, rows.shape)
        return rows, self._cells(targets, check_weights(None, targets, require_labels=False), self._fitted_dtype)


def _weights_of_some(task_weights: Any, some: Sequence[int], names: Sequence[Hashable]) -> Any:
    """Numbers are those of these tasks; schemes go on as they are, where there is something to weigh."""
    if len(some) == 1 or task_weights is None:
        return None
    if isinstance(task_weights, str | nn.Module):
        return task_weights
    weights = weights_by_task(task_weights, names, "task_weights")[list(some)]
    return weights.tolist() if weights.any() else None
