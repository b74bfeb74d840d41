"""Errors and warnings of their own kind."""

__all__ = ["DivergenceError", "ExpertCollapseWarning", "RankError"]


class DivergenceError(FloatingPointError):
    """Training diverged: a loss or a weight is no longer finite.

    `fit` raises it instead of returning a model that predicts NaN, so that a search can give the candidate its
    `error_score`.

    Examples
    --------
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.exceptions import DivergenceError
    >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
    >>> try:
    ...     MMoERegressor(optimizer="sgd", learning_rate=1e6, random_state=0).fit(X, y)
    ... except DivergenceError as error:
    ...     print(str(error)[:17])
    Training diverged
    """


class ExpertCollapseWarning(UserWarning):
    """The gates do not use the experts as a mixture: a task listens to one only, or nobody listens to some.

    Examples
    --------
    >>> import warnings
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.exceptions import ExpertCollapseWarning
    >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
    >>> model = MMoERegressor(learning_rate=0.5, max_epochs=5, random_state=0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", ExpertCollapseWarning)
    ...     model = model.fit(X + 20, y)  # far from zero, and much too fast
    >>> str(caught[0].message)[:27]
    'The gates have collapsed: a'
    """


class RankError(RuntimeError):
    """Another rank has ended a fit that several ranks do together.

    It says which rank that was and what went wrong there; that rank raises the error itself. A divergence is no such
    error: all ranks see it at once, and each raises :class:`DivergenceError`.

    Examples
    --------
    >>> from sklearn_mmoe.exceptions import RankError
    >>> try:
    ...     raise RankError("Rank 1 of 2 has ended this fit, which all ranks do together. ...")
    ... except RankError as error:
    ...     print(str(error)[:26])
    Rank 1 of 2 has ended this
    """
