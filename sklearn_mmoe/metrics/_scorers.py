"""Scorers for searches and cross-validation that take a metric task by task and leave missing labels out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import d2_log_loss_score, get_scorer, r2_score
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils.validation import _check_response_method

from sklearn_mmoe._common.arguments import check_flag
from sklearn_mmoe._common.names import by_index, index_of
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe.metrics._inside import as_of_now, last_step, last_step_and_features
from sklearn_mmoe.metrics._responses import LabelledTask, labelled_tasks, response_by_task
from sklearn_mmoe.metrics._scorer_arguments import check_average, check_methods, check_task, checked_metric, name_of
from sklearn_mmoe.tasks._undefined import UndefinedScore, labels_of_no_class, mean_of_defined, measured, where_defined

Average = str | Mapping[Any, float]


class TaskScorer(_BaseScorer):
    """A metric of one task, or its weighted mean over tasks. Made by `make_task_scorer`."""

    def __init__(
        self,
        score_func: Callable[..., float],
        sign: int,
        kwargs: dict[str, Any],
        response_method: str | Sequence[str],
        *,
        task: Hashable | None,
        average: Average,
    ) -> None:
        super().__init__(score_func, sign, kwargs, response_method)
        self._task, self._average = task, average

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score a fitted estimator on X and y, of which labels may be missing; more is better."""
        estimator = as_of_now(estimator)
        tasks = labelled_tasks(estimator, X, y, sample_weight)
        weights = self._weights([task.name for task in tasks])
        asked = [task for task in tasks if weights[task.index] > 0]
        scored = [task for task in asked if task.has_labels]
        if not scored:
            raise ValueError(
                f"y has no label of task {', '.join(repr(task.name) for task in asked)} here: there is nothing to "
                "score. Take fewer or larger folds, or leave the task out."
            )
        scores = self._scores(estimator, X, y, sample_weight, scored, [task.name for task in tasks])
        return mean_of_defined([task.name for task in scored], scores, [weights[task.index] for task in scored])

    def _score(self, method_caller: Any, estimator: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        """What scikit-learn calls in multi-metric scoring. Its cache reads classes as those of one task: not used."""
        return self(estimator, X, y_true, **kwargs)

    def _scores(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, scored: list[LabelledTask], names: Sequence[Hashable]
    ) -> list[Callable[[], float]]:
        """How to take the score of each task."""
        if sample_weight is not None and "sample_weight" not in signature(self._score_func).parameters:
            raise ValueError(f"sample_weight is given, but the metric {name_of(self._score_func)} takes none.")
        method = _check_response_method(estimator, self._response_method).__name__
        responses = response_by_task(estimator, X, method, names)
        return [partial(self._metric, task, responses[task.index], method) for task in scored]

    def _metric(self, task: LabelledTask, response: NDArray[Any] | None, method: str) -> float:
        probable = method == "predict_proba"
        name = name_of(self._score_func)
        if probable and task.classes is None:
            raise ValueError(
                f"The metric {name} needs probabilities, and task {task.name!r} has none, as it is no classification. "
                "Name the task, or give average as a mapping of the classifications to their weights."
            )
        if task.of_no_class is not None and (probable or task.ranked is not None):
            raise UndefinedScore(labels_of_no_class(task.of_no_class))
        assert response is not None  # only probabilities leave tasks out
        answers, positive, kwargs = self._as_metric_takes_it(task, task.part(response), probable)
        measure = partial(measured, self._score_func, task.values, weight=task.weight, classes=task.classes, **kwargs)
        right_answers = task.values if method == "predict" else task.certainties(answers.ndim, positive)
        return self._sign * where_defined(measure, answers, right_answers, f"{name} of task {task.name!r}")

    def _as_metric_takes_it(
        self, task: LabelledTask, answers: NDArray[Any], probable: bool
    ) -> tuple[NDArray[Any], int, dict[str, Any]]:
        """The answers, which class is the positive one, and the arguments beside."""
        positive, kwargs = 1, dict(self._kwargs)
        parameters = signature(self._score_func).parameters
        if task.traits.is_binary:
            assert task.classes is not None
            # for the multiclass averages of predictions, no class is the positive one
            wanted = probable or "average" not in parameters or self._argument("average") == "binary"
            if kwargs.get("pos_label") is not None:
                positive = task.class_index(kwargs["pos_label"])
            if "pos_label" in parameters and wanted:
                kwargs["pos_label"] = task.classes[positive]
            if probable and answers.ndim == 2:
                answers = answers[:, positive]
        if probable and "labels" in parameters:
            kwargs.setdefault("labels", task.classes)
        return answers, positive, kwargs

    def _argument(self, name: str) -> Any:
        return self._kwargs.get(name, signature(self._score_func).parameters[name].default)

    def _weights(self, names: Sequence[Hashable]) -> NDArray[np.float64]:
        """Weight of each task in the average; 0 leaves it out."""
        if self._task is not None:
            weights = np.zeros(len(names))
            weights[_task_index(self._task, names)] = 1.0
            return weights
        if isinstance(self._average, str):
            return np.ones(len(names))
        shares, unknown = by_index(self._average, names)
        if unknown:
            raise ValueError(f"average weighs tasks that y does not have: {unknown}; the tasks are {names}.")
        return np.array([shares.get(t, 0.0) for t in range(len(names))], dtype=np.float64)

    def __repr__(self) -> str:
        of = f"task={self._task!r}" if self._task is not None else f"average={self._average!r}"
        sign = "" if self._sign > 0 else ", greater_is_better=False"
        kwargs = "".join(f", {name}={value!r}" for name, value in self._kwargs.items())
        return (
            f"make_task_scorer({name_of(self._score_func)}, {of}, "
            f"response_method={self._response_method!r}{sign}{kwargs})"
        )


class ExplainedScorer(TaskScorer):
    """Share of the deviance explained, the deviance being that of the kind of each task, as in `score`.

    Of estimators that are not ours: R2 of regressions and D2 of the log-loss of classifications.
    """

    def __init__(self, *, task: Hashable | None = None, average: Average = "macro") -> None:
        # the function tells scikit-learn that weights are taken; it is what regressions are scored with
        super().__init__(r2_score, 1, {}, "predict", task=task, average=average)

    def _scores(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, scored: list[LabelledTask], names: Sequence[Hashable]
    ) -> list[Callable[[], float]]:
        if isinstance(last_step(estimator), BaseMMoE):
            last, X = last_step_and_features(estimator, X)
            shares: dict[int, Callable[[], float]] = last._shares_explained(X, y, sample_weight)
            return [shares[task.index] for task in scored]
        scores: dict[int, Callable[[], float]] = {}
        for method, metric in (("predict", r2_score), ("predict_proba", d2_log_loss_score)):
            own = [task for task in scored if (task.classes is None) == (method == "predict")]
            if own:
                scorer = TaskScorer(metric, 1, {}, method, task=None, average="macro")
                found = scorer._scores(estimator, X, y, sample_weight, own, names)
                scores.update(zip([task.index for task in own], found, strict=True))
        return [scores[task.index] for task in scored]

    def __repr__(self) -> str:
        of = f"task={self._task!r}" if self._task is not None else f"average={self._average!r}"
        return f"{type(self).__name__}({of})"


def make_task_scorer(
    metric: Callable[..., float] | str,
    *,
    task: Hashable | None = None,
    average: Average = "macro",
    response_method: str | Sequence[str] | None = None,
    greater_is_better: bool | None = None,
    **metric_kwargs: Any,
) -> TaskScorer:
    """Make a scorer of one task, or of all tasks on average, that leaves missing labels out.

    It goes wherever scikit-learn takes a `scoring`: `GridSearchCV`, `cross_validate`, `permutation_importance` ...

    Parameters
    ----------
    metric : callable or str
        A function of one task's labels and answers, such as :func:`sklearn.metrics.f1_score`, or the name of a scorer
        of scikit-learn ("roc_auc", "neg_log_loss", "r2" ...), or a scorer, which bring function, sign and response
        method with them.
    task : str or int, default=None
        Name of the task (also as a string, where the columns of `y` have other names), or its column of `y`, from 0 on.
        None: the metric of every task, averaged.
    average : "macro" or mapping of task name to float, default="macro"
        How to average where `task` is None: all tasks alike, or with these weights; tasks that the mapping does not
        name are left out. So is a task without any label in the rows that are scored, and, with an
        :class:`~sklearn.exceptions.UndefinedMetricWarning` that names it, one whose labels define no score. A metric's
        own parameter of the same name goes in by :func:`functools.partial`, or by a name such as "f1_macro".
    response_method : str or sequence of str, default=None
        The method of the estimator whose answers the metric takes: "predict" (as None), "predict_proba" ..., or the
        first that it has of several.
        Of probabilities, a task with two classes gives those of its second class (or of `pos_label`), a task with more
        gives all of them, in the order of its classes, which the metric gets as `labels` if it takes such.
    greater_is_better : bool, default=None
        Whether more is better (as None). If not, the scorer gives minus the metric.
    **metric_kwargs
        More arguments of `metric`. `pos_label` of a task with two classes is its second class unless given.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` -> float, the more the better; NaN, with a warning, if no
        task that is asked for has labels that define a score (of one class only, for an area under a curve).
        `sample_weight` may be of shape (n_samples,) or (n_samples, n_tasks); a search passes it on where the scorer's
        `set_score_request` asks for it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import f1_score
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from sklearn_mmoe import MMoEMultiTask
    >>> from sklearn_mmoe.metrics import make_task_scorer
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> y = np.column_stack([X[:, 0] > 0, X[:, 0] + X[:, 1]])
    >>> y[::3, 0] = np.nan  # labels that are missing
    >>> model = MMoEMultiTask(tasks={"up": "binary", "sum": "regression"}, max_epochs=5, random_state=0)
    >>> scores = cross_val_score(model, X, y, cv=3, scoring=make_task_scorer("roc_auc", task="up"))
    >>> scores.shape
    (3,)
    >>> make_task_scorer(f1_score, task="up")
    make_task_scorer(f1_score, task='up', response_method='predict')
    """
    check_task(task, average)
    check_average(average)
    if isinstance(metric, str):
        try:
            metric = get_scorer(metric)
        except ValueError as error:
            raise ValueError(
                f"metric {shown(metric)} is not the name of a scorer: sklearn.metrics.get_scorer_names() lists them; "
                "or give a function of labels and answers, such as sklearn.metrics.f1_score."
            ) from error
    if isinstance(metric, _BaseScorer):
        if response_method is not None or greater_is_better is not None:
            raise ValueError(
                f"{metric!r} knows its response_method and sign: leave out response_method and greater_is_better, or "
                "give the metric as a function."
            )
        return _of_scorer(metric, metric_kwargs, task, average)
    function = checked_metric(metric, metric_kwargs)
    if response_method is None:
        response_method = "predict"
    check_methods(response_method)
    if greater_is_better is not None:
        check_flag(greater_is_better, "greater_is_better")
    sign = 1 if greater_is_better is None or greater_is_better else -1
    return TaskScorer(function, sign, metric_kwargs, response_method, task=task, average=average)


def _of_scorer(scorer: Any, metric_kwargs: dict[str, Any], task: Any, average: Average) -> TaskScorer:
    """A scorer of tasks by the metric of another scorer."""
    if isinstance(scorer, TaskScorer) and not (scorer._task is None and scorer._average == "macro"):
        raise ValueError(f"metric is a scorer of tasks of its own, {scorer!r}: use it as it is, or give its metric.")
    kwargs = {**scorer._kwargs, **metric_kwargs}
    function = checked_metric(scorer._score_func, kwargs)
    if isinstance(scorer, ExplainedScorer) and not kwargs:
        return ExplainedScorer(task=task, average=average)
    return TaskScorer(function, scorer._sign, kwargs, scorer._response_method, task=task, average=average)


def multi_task_scoring(tasks: Any) -> dict[str, TaskScorer]:
    """Make the scorers for a multi-metric search: one of each task, and "mean", their average, to refit on.

    Each is the share of the deviance that the model explains (D2), the deviance being that of the kind of the task, as
    `score` of `MMoEMultiTask` takes it: R2 of regressions, D2 of the Poisson deviance of counts and D2 of the log-loss
    of classifications (of `MMoERegressor`, R2 throughout, as its `score`). Missing labels are left out. A task whose
    labels define no score (a single one, or one of a class that the model does not know) has NaN and is left out of the
    mean, with a warning; the other entries are not touched by it.

    Parameters
    ----------
    tasks : estimator, sequence of str or mapping with str keys
        Names of the tasks, or an estimator that knows them, since it is fitted or since its `tasks` declares them;
        it may be the last step of a pipeline.

    Returns
    -------
    dict of str to callable
        By task name, then "mean". Change an entry to score a task by another metric:
        ``{**multi_task_scoring(model), "late": make_task_scorer("roc_auc", task="late")}``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mmoe import MMoEMultiTask
    >>> from sklearn_mmoe.metrics import multi_task_scoring
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> y = np.column_stack([X[:, 0] > 0, X[:, 0] + X[:, 1]])
    >>> model = MMoEMultiTask(tasks={"up": "binary", "sum": "regression"}, max_epochs=5, random_state=0)
    >>> scoring = multi_task_scoring(model)
    >>> list(scoring)
    ['up', 'sum', 'mean']
    >>> grid = {"learning_rate": [1e-4, 1e-2]}
    >>> search = GridSearchCV(model, grid, scoring=scoring, refit="mean", cv=3).fit(X, y)
    >>> search.best_params_
    {'learning_rate': 0.01}
    """
    by_name = _tasks_by_name(tasks)
    if "mean" in by_name:
        raise ValueError("A task is called 'mean', as the average over the tasks is: rename it.")
    scorers: dict[str, TaskScorer] = {name: ExplainedScorer(task=task) for name, task in by_name.items()}
    return {**scorers, "mean": ExplainedScorer()}


def _tasks_by_name(tasks: Any) -> dict[str, Hashable]:
    """Names of tasks -> how a scorer finds them: by name, or by column where names are not known yet."""
    if hasattr(tasks, "fit"):
        last = last_step(tasks)
        if hasattr(last, "task_names_"):
            tasks = last.task_names_
        elif isinstance(last, BaseMMoE) and (declared := last._declared_names()) is not None:
            tasks = list(map(str, declared))
        elif isinstance(declared := getattr(last, "tasks", None), list | tuple):
            return {f"y{t}": t for t in range(len(declared))}
        else:
            raise ValueError(
                f"{type(last).__name__} does not know the names of its tasks yet: give the names, the columns of y "
                "(an array's are 'y0', 'y1' ...), or fit it first."
            )
    try:
        names = [tasks] if isinstance(tasks, str) else list(tasks)
    except (RuntimeError, TypeError):  # a number, None, a tensor without data
        names = []
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"tasks must be an estimator, or names of tasks, each once; got {shown(tasks)}.")
    return {name: name for name in names}


def _task_index(task: Hashable, names: Sequence[Hashable]) -> int:
    found = index_of(task, names)
    if found is not None:
        return found
    if isinstance(task, Integral) and 0 <= task < len(names):
        return int(task)
    raise ValueError(
        f"task={shown(task)} is no task of y: the tasks are {list(names)}; give a name, or a column from 0 on."
    )
