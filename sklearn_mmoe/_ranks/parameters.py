"""The parameters of an estimator in words, by which ranks, and states of a fit, are compared."""

from __future__ import annotations

import re
from numbers import Integral

from sklearn.base import BaseEstimator


def parameters_in_words(estimator: BaseEstimator) -> dict[str, str]:
    """The parameters that all ranks have in common."""
    parameters = estimator.get_params(deep=False)
    seed = parameters["random_state"] if isinstance(parameters["random_state"], Integral) else "that of rank 0"
    own_to_a_rank = ("callbacks", "device", "validation_split", "verbose")  # a split may name rows, which differ
    shared = {**{name: parameters[name] for name in parameters if name not in own_to_a_rank}, "random_state": seed}
    # Where objects lie in memory is a part of what some say of themselves
    return {name: re.sub(r" at 0x[0-9a-f]+", "", repr(value)) for name, value in shared.items()}
