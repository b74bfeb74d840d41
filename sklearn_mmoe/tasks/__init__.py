"""Declarations of tasks, one per column of y: what is public of the way of y through a model."""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe.tasks._declared import Binary, Classification, Count, Multiclass, Ordinal, Positive, Regression

__all__ = ["Binary", "Count", "Multiclass", "Ordinal", "Positive", "Regression"]

belong_to(__name__, Binary, Count, Multiclass, Ordinal, Positive, Regression, Classification)
