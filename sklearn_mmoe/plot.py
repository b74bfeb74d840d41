"""Displays: pictures of models, trainings and predictions, by scikit-learn's conventions.

Each has `from_estimator` or the like, which draws at once, keeps its data as attributes and can be drawn again by
`plot(ax)`. They need matplotlib: ``pip install "sklearn_mmoe[plot]"``.
"""

from sklearn_mmoe._plot_affinity import TaskAffinityDisplay
from sklearn_mmoe._plot_gates import GateDisplay
from sklearn_mmoe._plot_learning_curves import LearningCurveDisplay
from sklearn_mmoe._plot_predictions import PredictionDisplay
from sklearn_mmoe._plot_task_scores import TaskScoresDisplay

__all__ = ["GateDisplay", "LearningCurveDisplay", "PredictionDisplay", "TaskAffinityDisplay", "TaskScoresDisplay"]
