"""The network, a torch module that knows nothing of scikit-learn."""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe.nn._mmoe import MMoE

__all__ = ["MMoE"]

belong_to(__name__, MMoE)
