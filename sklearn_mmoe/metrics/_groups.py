"""Which tasks should share a model? Groups of tasks that help each other, found by fits of pairs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe.metrics._fits import Metric, Some, TaskFits, checked_fits

Partition = tuple[Some, ...]  # each task is in one group
MOST_TO_TRY = 12  # tasks of which all partitions are looked at; of more, groups are merged as long as that pays


def task_groups(
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
    """Propose which tasks should share a model, and compare that with a model of all and with one per task.

    Models of single tasks, of all pairs and of all tasks are fitted on each fold. What a task gains in a group is
    taken to be the mean of what it gains beside each of the others [1]_; the groups that gain most over all tasks are
    proposed, or one of all tasks, where that was measured to gain more.

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
        - group: the number of the group that is proposed for it, from 0 up; tasks of one number share a model;
        - shared, single: the mean score over the folds of the model of all tasks, and of the model of this task;
        - grouped: the same of a model of its group. The groups of each fold are chosen by the scores of the other
          folds, so that none is scored by what it was chosen for (a single fold is); they may be others than those
          proposed;
        - gain: the mean of the differences of grouped and shared, fold by fold: above 0 the groups are better than one
          model of all;
        - gain_std_error: the plain paired standard error of the gain, as :func:`transfer_report` has it.

        A fold without labels of a task to score, or whose labels define no score, is left out of this task's row.

    Notes
    -----
    ``n_tasks * (n_tasks + 1) / 2 + 1`` models are fitted on each fold, and one for each group of three or more. Of up
    to 12 tasks all partitions are compared; of more, the two groups that gain most by it are merged, one after the
    other. Metrics should be of one scale, as shares of deviance are: gains of tasks are added up.

    References
    ----------
    .. [1] Standley, T., Zamir, A., Chen, D., Guibas, L., Malik, J., & Savarese, S. (2020). Which Tasks Should Be
       Learned Together in Multi-task Learning? ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.metrics import task_groups
    >>> X = np.random.default_rng(0).normal(size=(90, 4))
    >>> y = np.column_stack([X[:, 0], X[:, 0], X[:, 1]])
    >>> report = task_groups(MMoERegressor(n_members=1, max_epochs=2, random_state=0), X, y, cv=2)
    >>> list(report)
    ['task', 'n_labels', 'group', 'shared', 'single', 'grouped', 'gain', 'gain_std_error']
    """
    fits = checked_fits("task_groups", estimator, X, y, cv, sample_weight, groups, scoring, n_jobs)
    tasks = range(len(fits.names))
    models: list[Some] = list(dict.fromkeys([*((t,) for t in tasks), *combinations(tasks, 2), tuple(tasks)]))
    scores = dict(zip(models, fits.scores(models), strict=True))
    proposed, by_fold = _chosen(scores, len(fits.folds))
    further = list(dict.fromkeys(some for partition in by_fold for some in partition if some not in scores))
    scores |= dict(zip(further, fits.scores(further), strict=True))
    return _report(fits, proposed, by_fold, scores)


def _chosen(scores: Mapping[Some, FloatArray], n_folds: int) -> tuple[Partition, list[Partition]]:
    """The partition by all folds, and for each fold that by the others."""
    others = [np.arange(n_folds) != f if n_folds > 1 else np.ones(1, dtype=bool) for f in range(n_folds)]
    return _best(scores, np.ones(n_folds, dtype=bool)), [_best(scores, folds) for folds in others]


def _best(scores: Mapping[Some, FloatArray], folds: NDArray[np.bool_]) -> Partition:
    """The partition that gains most over models of single tasks, by the scores of these folds."""
    everyone = max(scores, key=len)
    single = np.stack([scores[(t,)][folds, t] for t in everyone], axis=1)
    gains = np.zeros((len(everyone), len(everyone)))  # of the first beside the second
    for pair in combinations(everyone, 2):
        for t, other in (pair, pair[::-1]):
            gains[t, other] = _mean(scores[pair][folds, t] - single[:, t])
    found = best_partition(gains)
    of_all = sum(_mean(scores[everyone][folds, t] - single[:, t]) for t in everyone)
    return (everyone,) if of_all >= sum(group_gain(gains, some) for some in found) else found


def _mean(differences: FloatArray) -> float:
    """That of the folds that have one; nothing is known to be gained where none has."""
    known = differences[~np.isnan(differences)]
    return float(known.mean()) if len(known) else 0.0


def group_gain(gains: FloatArray, some: Some) -> float:
    """What the tasks of a group gain together, each the mean of what it gains beside each of the others."""
    return float(gains[np.ix_(some, some)].sum() / (len(some) - 1)) if len(some) > 1 else 0.0


def best_partition(gains: FloatArray) -> Partition:
    """The groups that gain most, of gains of shape (n_tasks, n_tasks), 0 on the diagonal; in the order of the tasks."""
    n_tasks = len(gains)
    return _best_of_all(gains) if n_tasks <= MOST_TO_TRY else _merged(gains)


def _best_of_all(gains: FloatArray) -> Partition:
    """By the best partitions of all sets of tasks, each from those of smaller sets: a set is a number, a bit a task."""
    best: list[tuple[float, Partition]] = [(0.0, ())]
    members = [tuple(t for t in range(len(gains)) if tasks >> t & 1) for tasks in range(2 ** len(gains))]
    worth = [group_gain(gains, some) if some else 0.0 for some in members]
    for tasks in range(1, len(members)):
        first = tasks & -tasks
        rest = others = tasks ^ first
        found: tuple[float, Partition] = (-np.inf, ())
        while True:  # the group of the first task: with any of the others
            group = first | others
            gain = worth[group] + best[tasks ^ group][0]
            if gain > found[0]:
                found = (gain, (members[group], *best[tasks ^ group][1]))
            if not others:
                break
            others = (others - 1) & rest
        best.append(found)
    return best[-1][1]


def _merged(gains: FloatArray) -> Partition:
    groups: list[Some] = [(t,) for t in range(len(gains))]
    while len(groups) > 1:
        pairs = list(combinations(groups, 2))
        more = [group_gain(gains, tuple(sorted(a + b))) - group_gain(gains, a) - group_gain(gains, b) for a, b in pairs]
        if max(more) <= 0:
            break
        a, b = pairs[int(np.argmax(more))]
        groups = sorted([some for some in groups if some not in (a, b)] + [tuple(sorted(a + b))])
    return tuple(groups)


def _report(
    fits: TaskFits, proposed: Partition, by_fold: Sequence[Partition], scores: Mapping[Some, FloatArray]
) -> dict[str, list[Any]]:
    tasks = tuple(range(len(fits.names)))
    report: dict[str, list[Any]] = {"task": list(fits.names), "n_labels": list(fits.n_labels)}
    report["group"] = [next(g for g, some in enumerate(proposed) if t in some) for t in tasks]
    columns = ("shared", "single", "grouped", "gain", "gain_std_error")
    report |= {name: [] for name in columns}
    for t in tasks:
        own = [next(some for some in partition if t in some) for partition in by_fold]
        grouped = np.array([scores[some][f, t] for f, some in enumerate(own)])
        shared, single = scores[tasks][:, t], scores[(t,)][:, t]
        known = ~np.isnan(shared + single + grouped)
        gains = (grouped - shared)[known]
        error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.nan
        means = [float(part[known].mean()) if known.any() else np.nan for part in (shared, single, grouped)]
        values = (*means, float(gains.mean()) if known.any() else np.nan, error)
        for name, value in zip(columns, values, strict=True):
            report[name].append(value)
    return report
