"""Pictures of fitted models, as Display objects of scikit-learn; ``pip install "sklearn_mmoe[plot]"`` draws them."""

from __future__ import annotations

from sklearn_mmoe._plot_affinity import TaskAffinityDisplay
from sklearn_mmoe._plot_gates import GateDisplay

__all__ = ["GateDisplay", "TaskAffinityDisplay"]
