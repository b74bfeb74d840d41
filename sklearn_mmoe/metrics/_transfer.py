"""Does learning the tasks together help? The shared model against one model per task, on the same folds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_mmoe.metrics._fits import Metric, checked_fits


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
    fits = checked_fits("transfer_report", estimator, X, y, cv, sample_weight, groups, scoring, n_jobs)
    n_tasks = len(fits.names)
    shared, *single = fits.scores([tuple(range(n_tasks)), *((t,) for t in range(n_tasks))])
    return _report(fits.names, fits.n_labels, shared, np.stack([own[:, t] for t, own in enumerate(single)], axis=1))


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
