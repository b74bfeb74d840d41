"""How the losses of the tasks become one loss, or the gradients of the tasks one gradient."""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe.weighting._schemes import DynamicWeightAverage, FixedWeights, UncertaintyWeights, Weighting

__all__ = ["DynamicWeightAverage", "FixedWeights", "UncertaintyWeights", "Weighting"]

belong_to(__name__, DynamicWeightAverage, FixedWeights, UncertaintyWeights, Weighting)
