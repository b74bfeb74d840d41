"""Multi-gate Mixture-of-Experts networks behind `fit` and `predict`: several targets at once, of any kind."""

from sklearn_mmoe import datasets, exceptions, metrics, nn, tasks
from sklearn_mmoe._checkpoint import FitCheckpoint
from sklearn_mmoe._classifier import MMoEClassifier
from sklearn_mmoe._loading import load
from sklearn_mmoe._model_card import model_card
from sklearn_mmoe._multitask import MMoEMultiTask
from sklearn_mmoe._pipeline import TabularPipeline
from sklearn_mmoe._regressor import MMoERegressor
from sklearn_mmoe._tabular import make_tabular_pipeline
from sklearn_mmoe._version import __version__

__all__ = [
    "FitCheckpoint",
    "MMoEClassifier",
    "MMoEMultiTask",
    "MMoERegressor",
    "TabularPipeline",
    "__version__",
    "datasets",
    "exceptions",
    "load",
    "make_tabular_pipeline",
    "metrics",
    "model_card",
    "nn",
    "tasks",
]
