"""Errors of their own kind."""

__all__ = ["DivergenceError"]


class DivergenceError(FloatingPointError):
    """Training diverged: a loss or a weight is no longer finite.

    `fit` raises it instead of returning a model that predicts NaN, so that a search can give the candidate its
    `error_score`.
    """
