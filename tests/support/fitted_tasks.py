"""Fitted tasks of each kind of loss, and what a chance is on paper."""

import itertools
import math

import numpy as np

from sklearn_mmoe.tasks._fitted import FittedClassification, FittedOrdinal, FittedRegression


def regression(loss, quantile=0.5):
    return FittedRegression("r", loss, 0.0, 1.0, quantile)


def binary(focal_gamma=0.0):
    return FittedClassification("b", "log_loss", np.array([0, 1]), focal_gamma=focal_gamma)


def multiclass(n_classes, focal_gamma=0.0):
    return FittedClassification("m", "cross_entropy", np.arange(n_classes), focal_gamma=focal_gamma)


def ordinal(n_classes):
    return FittedOrdinal("o", "ordinal", np.arange(n_classes))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def ordinal_probabilities(outputs):
    """Differences of the probabilities of being above each class."""
    logits = [outputs[0]]
    for output in outputs[1:]:
        logits.append(logits[-1] - math.log(1 + math.exp(output)))
    above = [1.0, *map(sigmoid, logits), 0.0]
    return [high - low for high, low in itertools.pairwise(above)]
