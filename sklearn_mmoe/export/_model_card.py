"""A model card: what the template of skops asks for and a fitted estimator can tell of itself."""

from __future__ import annotations

import html
import math
import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._common.extras import require
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe._estimators.description import counted
from sklearn_mmoe._version import __version__
from sklearn_mmoe.metrics._inside import as_of_now, last_step
from sklearn_mmoe.metrics._task_scores import METRICS, task_scores

_SCORES = "Model description/Evaluation Results"
_PARAMETERS = "Model description/Training Procedure/Hyperparameters"
# What Markdown would read as more than a letter: code, emphasis, cells, formulae, and the "](" of a link
_SIGNS = re.compile(r"[\\`*~|$]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])")


def model_card(
    estimator: Any, X: ArrayLike | None = None, y: Any = None, *, sample_weight: ArrayLike | None = None
) -> Any:
    """Begin the model card of a fitted estimator: what it is, its parameters, and how well it does.

    Parameters
    ----------
    estimator : estimator
        Fitted: one of the three of this package, or a pipeline or search that ends in one.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features), default=None
        Features, as the estimator takes them, to score it on: best rows that it was not fitted on.
    y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks), default=None
        Targets that belong to `X`; missing labels are left out.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weight of each row, or of each label.

    Returns
    -------
    skops.card.Card
        In the template of skops, with the sections "Model description" (the text of `describe`), "Hyperparameters" and,
        if `X` and `y` are given, "Evaluation Results" (a table of :func:`sklearn_mmoe.metrics.task_scores`) filled in.
        The other sections wait for what only its authors know: ``card.add(**{"Model Card Authors": "..."})``, then
        ``card.save("README.md")``.

    Examples
    --------
    >>> from sklearn_mmoe import MMoERegressor, model_card
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
    >>> model = MMoERegressor(max_epochs=5, random_state=0).fit(X[:80], y[:80])
    >>> card = model_card(model, X[80:], y[80:])
    >>> card.select("Model description/Evaluation Results").format().splitlines()[0]
    'On 20 rows, task by task:'
    """
    Card = _import_card()
    described = as_of_now(estimator)
    model = last_step(described)
    if not isinstance(model, BaseMMoE):
        raise ValueError(
            "model_card describes the estimators of sklearn_mmoe, alone or at the end of a pipeline or a search; got "
            f"{type(model).__name__}. For others there is skops.card.Card."
        )
    if (X is None) != (y is None):
        given, lacking = ("X", "y") if y is None else ("y", "X")
        raise ValueError(f"{given} is given but {lacking} is not: scores need both.")
    check_is_fitted(model)
    card = Card(estimator, model_diagram=False)
    card.delete("Model description/Training Procedure/Model Plot")
    summary = (
        f"A multi-gate mixture-of-experts network for {counted(model.n_outputs_, 'task')}, {type(model).__name__} of "
        f"sklearn_mmoe {__version__}."
    )
    card.add(**{"Model description": f"{summary}\n\n{_as_code(model.describe())}"})
    parameters = card.select(_PARAMETERS)
    parameters.table = {title: list(map(_as_plain, own)) for title, own in parameters.table.items()}
    if X is not None:
        scores = task_scores(described, X, y, sample_weight)
        said = f"On {counted(np.shape(X)[0], 'row')}, task by task:"
        card.add_table(description=said, **{_SCORES: _score_table(scores)})
        card.select(_SCORES).title = _SCORES.rpartition("/")[2]  # skops would print the whole path as the heading
    return card


def _score_table(scores: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """A column for each metric that some task has, a row for each task."""
    columns = {metric: [own[metric] for own in scores.values()] for metric in METRICS}
    return {
        "task": list(map(_as_plain, scores)),
        **{
            metric: ["" if math.isnan(value) else f"{value:.4g}" for value in values]
            for metric, values in columns.items()
            if not all(map(math.isnan, values))
        },
    }


def _as_plain(value: Any) -> str:
    """One line that shows in a table of Markdown as it is, whatever signs of Markdown and HTML stand in it."""
    return _SIGNS.sub(r"\\\g<0>", html.escape(" ".join(str(value).split()), quote=False))


def _as_code(text: str) -> str:
    """A block of text as it is: its fence is longer than any that stands in it."""
    fence = "`" * max([3, *(len(own) + 1 for own in re.findall("`+", text))])
    return f"{fence}text\n{text}\n{fence}"


def _import_card() -> Any:
    require("model_card", "skops.card", extra="save")
    from skops.card import Card

    return Card
