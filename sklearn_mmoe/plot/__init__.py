"""Displays: pictures of models, trainings and predictions, by scikit-learn's conventions.

Each has `from_estimator` or the like, which draws at once, keeps its data as attributes and can be drawn again by
`plot(ax)`. They need matplotlib: ``pip install "sklearn_mmoe[plot]"``.
"""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe.plot._affinity import TaskAffinityDisplay
from sklearn_mmoe.plot._gates import GateDisplay
from sklearn_mmoe.plot._learning_curves import LearningCurveDisplay
from sklearn_mmoe.plot._predictions import PredictionDisplay
from sklearn_mmoe.plot._task_scores import TaskScoresDisplay

__all__ = ["GateDisplay", "LearningCurveDisplay", "PredictionDisplay", "TaskAffinityDisplay", "TaskScoresDisplay"]

belong_to(__name__, GateDisplay, LearningCurveDisplay, PredictionDisplay, TaskAffinityDisplay, TaskScoresDisplay)
