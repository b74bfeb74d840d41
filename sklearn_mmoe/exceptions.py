"""Errors and warnings of their own kind."""

__all__ = ["DivergenceError", "ExpertCollapseWarning"]


class DivergenceError(FloatingPointError):
    """Training diverged: a loss or a weight is no longer finite.

    `fit` raises it instead of returning a model that predicts NaN, so that a search can give the candidate its
    `error_score`.
    """


class ExpertCollapseWarning(UserWarning):
    """The gates do not use the experts as a mixture: a task listens to one only, or nobody listens to some."""
