"""Multi-gate Mixture-of-Experts networks behind `fit` and `predict`: several targets at once, of any kind."""

from sklearn_mmoe import _moved, datasets, exceptions, metrics, nn, tasks  # noqa: F401 - old pickles look there
from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe._estimators.classifier import MMoEClassifier
from sklearn_mmoe._estimators.multitask import MMoEMultiTask
from sklearn_mmoe._estimators.regressor import MMoERegressor
from sklearn_mmoe._files.checkpoint import FitCheckpoint
from sklearn_mmoe._tables.loading import load
from sklearn_mmoe._tables.pipeline import TabularPipeline
from sklearn_mmoe._tables.preprocessing import make_tabular_pipeline
from sklearn_mmoe._version import __version__
from sklearn_mmoe.export._model_card import model_card

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

belong_to(
    __name__,
    FitCheckpoint,
    MMoEClassifier,
    MMoEMultiTask,
    MMoERegressor,
    TabularPipeline,
    load,
    make_tabular_pipeline,
    model_card,
)
