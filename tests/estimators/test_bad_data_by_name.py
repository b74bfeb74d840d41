"""What cannot be features, weights, targets or paths is refused by the name of the argument."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import all_three, fitted, make_features, make_model, make_targets

import sklearn_mmoe

NO_FEATURES = [
    *[None, "x", 3, 10**400, b"x", {}, object(), [], [[1.0, 2.0], [3.0]], (row for row in [0]), np.array(1.0)],
    *[np.zeros(4), np.zeros((2, 2, 2)), np.zeros((3, 0)), np.zeros((3, 4), dtype=complex)],
    *[np.full((3, 4), "x"), np.full((3, 4), object()), pd.DataFrame(), MemoryError],
]
NO_WEIGHTS = [
    *["x", 10**400, b"x", {}, object(), [], [[1.0, 2.0], [3.0]], (row for row in [0]), np.array(1.0), slice(2)],
    *[np.zeros((60, 2, 2)), np.zeros((60, 0)), np.zeros(60, dtype=complex), np.full(60, "x"), pd.DataFrame()],
]
NO_TARGETS = [3, 1.0, "x", np.array(1.0), [[1.0, 2.0], [3.0]], np.zeros((60, 2), dtype=complex), np.zeros((0, 2))]


@all_three
def test_what_cannot_be_features_weights_or_targets_is_said_by_name(name):
    X, y, new, model = make_features(), make_targets(name), make_model(name), fitted(name)
    for bad in NO_FEATURES:
        for call in (model.predict, model.gate_weights, partial(model.score, y=y), partial(new.fit, y=y)):
            with pytest.raises((TypeError, ValueError), match=r"\bX\b"):
                call(bad)
    for bad in NO_WEIGHTS:
        for call in (new.fit, model.score):
            with pytest.raises((TypeError, ValueError), match="sample_weight"):
                call(X, y, bad)
    for bad in NO_TARGETS:
        for call in (new.fit, model.score):
            with pytest.raises((TypeError, ValueError), match=r"\by\b"):
                call(X, bad)


@pytest.mark.parametrize("path", [None, 3, True, b"model", ["model"], object(), torch.zeros(2), "a\0b", 2.5])
def test_a_path_is_a_name(path):
    for call in (sklearn_mmoe.load, fitted("regressor").save):
        with pytest.raises((TypeError, ValueError), match="path "):
            call(path)
