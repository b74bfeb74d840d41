"""The network, a torch module that knows nothing of scikit-learn."""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe.nn._mmoe import MMoE
from sklearn_mmoe.nn._numbers import LinearEmbeddings, PeriodicEmbeddings, PiecewiseEmbeddings

__all__ = ["LinearEmbeddings", "MMoE", "PeriodicEmbeddings", "PiecewiseEmbeddings"]

belong_to(__name__, MMoE, LinearEmbeddings, PeriodicEmbeddings, PiecewiseEmbeddings)
