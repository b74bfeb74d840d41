"""The generator that a `random_state` stands for."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state


def random_generator(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """As scikit-learn's `check_random_state`, but None is new entropy of the system: the global generator stays."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)
