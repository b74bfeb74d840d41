"""Models of some of the tasks of a table, fitted and scored on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel, delayed

from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.names import by_index
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe._estimators.classifier import MMoEClassifier
from sklearn_mmoe._held_out.groups import check_groups
from sklearn_mmoe._held_out.random_splits import Rows
from sklearn_mmoe._held_out.splitters import row_numbers
from sklearn_mmoe.metrics._scorers import ExplainedScorer, TaskScorer, make_task_scorer
from sklearn_mmoe.tasks._validation import shape_of
from sklearn_mmoe.tasks._weights import check_weights

Metric = str | Callable[..., float]
Some = tuple[int, ...]  # columns of y, in their order

_N_JOBS = Interval(Integral, -(2**16), 2**16, closed="both")


class Data(NamedTuple):
    """Data to fit and score on."""

    X: Any
    y: Any
    weights: FloatArray | None  # (n_rows, n_tasks), or of one task (n_rows,)
    groups: Any
    counts: NDArray[np.bool_]  # (n_rows, n_tasks): which labels are there and weigh something

    def take(self, rows: Rows) -> Data:
        weights, groups = (None if own is None else own[rows] for own in (self.weights, self.groups))
        return Data(_safe_indexing(self.X, rows), _safe_indexing(self.y, rows), weights, groups, self.counts[rows])

    def of_tasks(self, some: Some) -> Data:
        """The columns of some tasks, a single one as a column of its own."""
        columns = some if len(some) > 1 else some[0]
        weights = None if self.weights is None else self.weights[:, columns]
        return self._replace(y=_safe_indexing(self.y, columns, axis=1), weights=weights)

    def weight_params(self) -> dict[str, FloatArray]:
        return {} if self.weights is None else {"sample_weight": self.weights}

    def fit_params(self, prefix: str) -> dict[str, Any]:
        params = {**self.weight_params(), **({} if self.groups is None else {"groups": self.groups})}
        return {f"{prefix}{name}": value for name, value in params.items()}


class TaskFits(NamedTuple):
    """An estimator, data with two or more tasks, and folds of them, all checked."""

    estimator: Any
    data: Data
    names: list[Hashable]
    n_labels: list[int]
    metrics: list[Metric | None]
    folds: list[tuple[Rows, Rows]]
    n_jobs: int | None

    def scores(self, models: Sequence[Some]) -> NDArray[np.float64]:
        """Fit a model of each of these tasks on each fold, and score it.

        A model of all tasks is fitted to all rows of the fold, one of some tasks to those that have a label of them.

        Returns
        -------
        ndarray of shape (n_models, n_folds, n_tasks)
            NaN where a model does not have the task, or a fold no label of it to score.
        """
        found = Parallel(n_jobs=self.n_jobs)(
            delayed(_scores)(self._of_tasks(some), self.data, *fold, some, self._scorers(some))
            for some in models
            for fold in self.folds
        )
        scores = np.full((len(models), len(self.folds), len(self.names)), np.nan)
        by_fold = iter(found)
        for m, some in enumerate(models):
            for f in range(len(self.folds)):
                scores[m, f, list(some)] = next(by_fold)
        return scores

    def _of_tasks(self, some: Some) -> Any:
        """An unfitted copy of the estimator for some tasks."""
        if len(some) == len(self.names):
            return self.estimator
        cut = clone(self.estimator)
        last, _ = _last_step_and_prefix(cut)
        last.set_params(**last._parameters_for_tasks(some, self.names))
        return cut

    def _scorers(self, some: Some) -> list[TaskScorer]:
        return [_scorer(self.metrics[t], column) for column, t in enumerate(some)]


def checked_fits(
    function: str,
    estimator: Any,
    X: Any,
    y: Any,
    cv: Any,
    sample_weight: ArrayLike | None,
    groups: ArrayLike | None,
    scoring: Any,
    n_jobs: int | None,
) -> TaskFits:
    """What `transfer_report` and its like are given, refused in their words where it does not do."""
    last, _ = _last_step_and_prefix(estimator)
    X_shape = shape_of(X)
    (X,) = indexable(X)
    if isinstance(y, list | tuple):
        y = np.asarray(y, dtype=object)
    targets = last._check_targets(y, X_shape)
    names = targets.names
    if len(names) < 2:
        raise ValueError(f"{function} compares tasks: y must have two or more, got {names}.")
    last._validate_params()
    last._declare_tasks(targets, None, None)  # they say what does not suit the tasks, before it is cut down to each
    if isinstance(last, MMoEClassifier):
        last._weights_of_classes(targets)
    check_parameters(function, {"n_jobs": [_N_JOBS, None]}, {"n_jobs": n_jobs})
    weights = None if sample_weight is None else check_weights(sample_weight, targets)
    counts = targets.labelled if weights is None else weights > 0
    metrics = _metrics(scoring, names)
    for metric in metrics:
        _scorer(metric, 0)  # whatever is wrong with it is said before the first fit
    row_groups = check_groups(groups, targets.n_rows)
    labels = None if row_groups is None else row_groups.labels
    folds = _folds(cv, X, y, labels, targets.n_rows)
    data = Data(X, y, weights, labels, counts)
    return TaskFits(estimator, data, list(names), targets.labelled.sum(axis=0).tolist(), metrics, folds, n_jobs)


def _scores(estimator: Any, data: Data, train: Rows, test: Rows, some: Some, scorers: list[TaskScorer]) -> list[float]:
    """Fit a model of some tasks and score each of them, NaN where it has no label to score."""
    has_all, counts = len(some) == data.counts.shape[1], data.counts[:, list(some)]
    if not has_all:
        train, test = (rows[counts[rows].any(axis=1)] for rows in (train, test))
    there = counts[test].sum(axis=0) > 0
    if not there.any():
        return [np.nan] * len(some)
    own = data if has_all else data.of_tasks(some)
    _, prefix = _last_step_and_prefix(estimator)
    fitted_on, scored = own.take(train), own.take(test)
    model = clone(estimator).fit(fitted_on.X, fitted_on.y, **fitted_on.fit_params(prefix))
    return [
        scorer(model, scored.X, scored.y, **scored.weight_params()) if has_labels else np.nan
        for scorer, has_labels in zip(scorers, there, strict=True)
    ]


def _last_step_and_prefix(estimator: Any) -> tuple[BaseMMoE, str]:
    """The estimator at the end of pipelines, and what names its parameters there."""
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        prefix += f"{step}__"
    if not isinstance(last, BaseMMoE):
        raise ValueError(
            "estimator must be an MMoERegressor, MMoEClassifier or MMoEMultiTask, or a pipeline that ends in one; got "
            f"{type(last).__name__}."
        )
    return last, prefix


def _metrics(scoring: Any, names: Sequence[Hashable]) -> list[Metric | None]:
    """The metric of each task; None is the share of deviance explained."""
    if not isinstance(scoring, Mapping):
        return [scoring] * len(names)
    metrics, unknown = by_index(scoring, names)
    if unknown:
        raise ValueError(f"scoring names tasks that y does not have: {unknown}; the tasks are {list(names)}.")
    return [metrics.get(t) for t in range(len(names))]


def _scorer(metric: Metric | None, column: int) -> TaskScorer:
    if metric is None:
        return ExplainedScorer(task=column)
    try:
        return make_task_scorer(metric, task=column)
    except ValueError as error:
        raise ValueError(f"scoring takes what make_task_scorer takes as its metric: {error}") from error


def _folds(cv: Any, X: Any, y: Any, groups: NDArray[Any] | None, n_rows: int) -> list[tuple[Rows, Rows]]:
    """Numbers of the rows to train on and of those to test on, fold by fold."""
    try:
        splitter = check_cv(cv)
        if groups is not None and type(splitter) is KFold and splitter is not cv:
            splitter = GroupKFold(splitter.n_splits)
        folds = [(train, test) for train, test in splitter.split(X, y, groups)]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"cv={shown(cv)} does not split the {n_rows} rows into pairs of train and test: {error}"
        ) from error
    if not folds:
        raise ValueError(f"cv={shown(cv)} makes no fold.")
    return [(row_numbers(train, n_rows, "cv"), row_numbers(test, n_rows, "cv")) for train, test in folds]
