"""Strategies of Hypothesis: problems of all mixes of tasks, with labels missing here and there, and with weights.

Hypothesis draws what a problem looks like; its numbers come from NumPy, by a seed that is drawn, too.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.tasks import Binary, Count, Multiclass, Ordinal, Positive, Regression

TINY = {"n_members": 1, "n_experts": 2, "expert_layer_sizes": (4,), "tower_layer_sizes": (3,), "random_state": 0}
# One step per epoch, over all rows in their order: what a fit learns depends on the rows, not on how they are dealt
WHOLE = {**TINY, "max_epochs": 3, "batch_size": 10**6, "shuffle": False, "early_stopping": False, "dtype": "float64"}

KINDS = {
    "squared error": Regression(),
    "absolute error": Regression("absolute_error"),
    "huber": Regression("huber"),
    "quantile": Regression("quantile", quantile=0.8),
    "count": Count(),
    "positive": Positive(),
    "binary": Binary(),
    "binary with weight": Binary(positive_weight=3.0),
    "multiclass": Multiclass(),
    "focal": Multiclass(focal_gamma=2.0),
    "ordinal": Ordinal(),
}
REGRESSIONS = ("squared error", "absolute error", "huber", "quantile", "count", "positive")


@dataclass(frozen=True)
class Problem:
    """Rows with labels of some tasks, NaN where a label is missing."""

    kinds: tuple[str, ...]
    X: np.ndarray  # (n_rows, n_features)
    y: np.ndarray  # (n_rows, n_tasks)

    @property
    def tasks(self):
        return [KINDS[kind] for kind in self.kinds]

    def fit(self, X, y, weights=None, **parameters):
        """A model of the tasks, after a few steps over all rows at once."""
        return MMoEMultiTask(**{**WHOLE, **parameters}, tasks=self.tasks).fit(X, y, weights)


def labels_of(kind, rng, n_rows):
    if kind == "count":
        return rng.poisson(2.0, n_rows).astype(float)
    if kind == "positive":
        return rng.gamma(2.0, size=n_rows) + 0.1
    if kind in REGRESSIONS:
        return rng.normal(size=n_rows) * 10.0 ** rng.integers(-3, 4) + rng.integers(-2, 3)
    n_classes = 2 if kind.startswith("binary") else 3
    return np.resize(np.arange(n_classes), n_rows)[rng.permutation(n_rows)].astype(float)


@st.composite
def problems(draw, kinds=tuple(KINDS), complete=False):
    """Of 1 to 4 tasks and few rows; every task has some labels, of every class where it has classes."""
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4).map(tuple))
    n_rows, n_features = draw(st.integers(12, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n_rows, n_features))
    y = np.column_stack([labels_of(kind, rng, n_rows) for kind in chosen])
    if not complete and draw(st.booleans()):
        missing = rng.random(y.shape) < draw(st.sampled_from([0.1, 0.5]))
        y[missing & ~needed_labels(y)] = np.nan
    return Problem(chosen, X, y)


def needed_labels(y):
    """The first two labels of each value that many have, as those of a class; the first two of all others."""
    needed = np.zeros(y.shape, dtype=bool)
    needed[:2] = True
    for t, column in enumerate(y.T):
        values = np.unique(column[~np.isnan(column)])
        if len(values) <= 3:
            for value in values:
                needed[np.flatnonzero(column == value)[:2], t] = True
    return needed


def whole_weights(largest=3):
    """A seed for whole numbers from 0 up, one per row, but at least 1 where a label is needed."""
    return st.tuples(st.integers(0, 2**32 - 1), st.integers(1, largest))


def weights_of(problem, drawn):
    seed, largest = drawn
    weights = np.random.default_rng(seed).integers(0, largest + 1, len(problem.X))
    return np.where(needed_labels(problem.y).any(axis=1), np.maximum(weights, 1), weights)
