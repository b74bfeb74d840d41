"""Does learning the tasks together help? The shared model against one model per task, on the same folds."""

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

_N_JOBS = Interval(Integral, -(2**16), 2**16, closed="both")


class _Data(NamedTuple):
    """Data to fit and score on."""

    X: Any
    y: Any
    weights: FloatArray | None  # one per label, or of one task, one per row
    groups: Any
    counts: NDArray[np.bool_]  # (n_rows, n_tasks): which labels are there and weigh something

    def take(self, rows: Rows) -> _Data:
        weights, groups = (None if own is None else own[rows] for own in (self.weights, self.groups))
        return _Data(_safe_indexing(self.X, rows), _safe_indexing(self.y, rows), weights, groups, self.counts[rows])

    def weight_params(self) -> dict[str, FloatArray]:
        return {} if self.weights is None else {"sample_weight": self.weights}

    def fit_params(self, prefix: str) -> dict[str, Any]:
        params = {**self.weight_params(), **({} if self.groups is None else {"groups": self.groups})}
        return {f"{prefix}{name}": value for name, value in params.items()}


def transfer_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    scoring: Metric | Mapping[str, Metric] | None = None,
    n_jobs: int | None = None,
) -> dict[str, list[Any]]:
    """Compare a model of all tasks with one model per task, of the same size and on the same folds.

    The model of one task is a clone of the estimator, fitted on that column of `y` alone and on the rows that have a
    label there. What the estimator says task by task (`tasks`, `loss`, `class_weight`) is cut down to that task.

    Parameters
    ----------
    estimator : estimator
        One of the three of this package, or a pipeline that ends in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Features.
    y : array-like or data frame of shape (n_samples, n_tasks)
        Targets of two or more tasks; labels may be missing.
    cv : int, splitter or iterable, default=None
        The folds, as in :func:`~sklearn.model_selection.cross_validate`; an int or None (5) is a `KFold` in the order
        of the rows, whatever the tasks are, or a `GroupKFold` if there are `groups`.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weights in fits and scores.
    groups : array-like or series of shape (n_samples,), default=None
        Group of each row, such as its patient or its day: for a `cv` that splits by groups, and for early stopping of
        the fits.
    scoring : str, callable or mapping of task name to such, default=None
        The metric of all tasks or of each, as :func:`make_task_scorer` takes it. None: the share of the deviance
        explained, as in :func:`multi_task_scoring`; also for tasks that the mapping does not name.
    n_jobs : int, default=None
        Fits that run at once.

    Returns
    -------
    dict of str to list
        Ready for ``pandas.DataFrame(report)``, one row per task:

        - task: its name;
        - n_labels: its labels in `y`;
        - shared, single: the mean score over the folds of the model of all tasks, and of the model of this task;
        - gain: the mean of the differences of the two, fold by fold: above 0 the tasks help this one, below 0 they
          hurt it;
        - gain_std_error: the plain paired standard error of the gain, the standard deviation of the differences by
          the square root of the number of folds; NaN with fewer than two folds. Folds are not independent, as they
          share rows to train on: it tends to be too small.

        A fold without labels of a task to score, or whose labels define no score, is left out of this task's row.

    Examples
    --------
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.metrics import transfer_report
    >>> X, y = make_related_tasks(200, 10, correlation=1.0, random_state=0)
    >>> report = transfer_report(MMoERegressor(max_epochs=5, random_state=0), X, y, cv=3)
    >>> list(report)
    ['task', 'n_labels', 'shared', 'single', 'gain', 'gain_std_error']
    >>> report["task"], report["n_labels"]
    (['y0', 'y1'], [200, 200])
    """
    last, _ = _last_step_and_prefix(estimator)
    X_shape = shape_of(X)
    (X,) = indexable(X)
    if isinstance(y, list | tuple):
        y = np.asarray(y, dtype=object)
    targets = last._check_targets(y, X_shape)
    names = targets.names
    if len(names) < 2:
        raise ValueError(f"transfer_report compares tasks: y must have two or more, got {names}.")
    last._validate_params()
    last._declare_tasks(targets, None, None)  # they say what does not suit the tasks, before it is cut down to each
    if isinstance(last, MMoEClassifier):
        last._weights_of_classes(targets)
    check_parameters("transfer_report", {"n_jobs": [_N_JOBS, None]}, {"n_jobs": n_jobs})
    weights = None if sample_weight is None else check_weights(sample_weight, targets)
    counts = targets.labelled if weights is None else weights > 0
    metrics = _metrics(scoring, names)
    scorers = [_scorer(metric, t) for t, metric in enumerate(metrics)]
    alone = [_scorer(metric, 0) for metric in metrics]  # a model of one task has one column
    row_groups = check_groups(groups, targets.n_rows)
    labels = None if row_groups is None else row_groups.labels
    folds = _folds(cv, X, y, labels, targets.n_rows)

    data = _Data(X, y, weights, labels, counts)
    together = [delayed(_shared_scores)(estimator, data, *fold, scorers) for fold in folds]
    apart = [
        delayed(_single_score)(_alone(estimator, t, names[t]), data, *fold, t, alone[t])
        for fold in folds
        for t in range(len(names))
    ]
    results = Parallel(n_jobs=n_jobs)([*together, *apart])
    shared = np.array(results[: len(folds)])
    single = np.array(results[len(folds) :]).reshape(shared.shape)
    return _report(names, targets.labelled.sum(axis=0).tolist(), shared, single)


def _report(
    names: Sequence[Hashable], n_labels: list[int], shared: NDArray[np.float64], single: NDArray[np.float64]
) -> dict[str, list[Any]]:
    """Means over the folds of scores of shape (n_folds, n_tasks), NaN where a fold has nothing to score."""
    rows = []
    for t, name in enumerate(names):
        both = ~np.isnan(shared[:, t] - single[:, t])
        a, b = shared[both, t], single[both, t]
        means = [float(scores.mean()) if len(scores) else np.nan for scores in (a, b, a - b)]
        error = float((a - b).std(ddof=1) / np.sqrt(len(a))) if len(a) > 1 else np.nan
        rows.append((name, n_labels[t], *means, error))
    columns = ("task", "n_labels", "shared", "single", "gain", "gain_std_error")
    return {column: list(values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)}


def _shared_scores(estimator: Any, data: _Data, train: Rows, test: Rows, scorers: list[TaskScorer]) -> list[float]:
    """Fit the model of all tasks and score each task, NaN where it has no label to score."""
    model = _fitted(estimator, data, train)
    scored = data.take(test)
    return [
        scorer(model, scored.X, scored.y, **scored.weight_params()) if scored.counts[:, t].any() else np.nan
        for t, scorer in enumerate(scorers)
    ]


def _single_score(estimator: Any, data: _Data, train: Rows, test: Rows, t: int, scorer: TaskScorer) -> float:
    """Fit the model of one task on the rows that have its label, and score it, NaN where there is nothing to score."""
    train, test = (rows[data.counts[rows, t]] for rows in (train, test))
    if not len(test):
        return np.nan
    weights = None if data.weights is None else data.weights[:, t]
    data = data._replace(y=_safe_indexing(data.y, t, axis=1), weights=weights)
    model = _fitted(estimator, data, train)
    scored = data.take(test)
    return scorer(model, scored.X, scored.y, **scored.weight_params())


def _fitted(estimator: Any, data: _Data, rows: Rows) -> Any:
    _, prefix = _last_step_and_prefix(estimator)
    fitted_on = data.take(rows)
    return clone(estimator).fit(fitted_on.X, fitted_on.y, **fitted_on.fit_params(prefix))


def _alone(estimator: Any, t: int, name: Hashable) -> Any:
    """An unfitted copy of the estimator for one task."""
    single = clone(estimator)
    last, _ = _last_step_and_prefix(single)
    last.set_params(**last._parameters_for_task(t, name))
    return single


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
