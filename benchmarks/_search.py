"""The search that `resources.py` and `clusters.py` time: 12 candidates x 3 folds, 5,000 x 20, two tasks."""

from __future__ import annotations

import time

import numpy as np
from sklearn.model_selection import GridSearchCV

from sklearn_mmoe import MMoERegressor

GRID = {"n_experts": [2, 4, 8], "learning_rate": [1e-3, 3e-3], "tower_layer_sizes": [(), (32,)]}


def seconds_of_search(n_rows: int = 5000, n_jobs: int | None = None) -> float:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 20))
    y = np.column_stack([X[:, 0], X[:, 1] * X[:, 2]])
    model = MMoERegressor(n_members=1, batch_size=256, max_epochs=20, random_state=0)
    search = GridSearchCV(model, GRID, cv=3, n_jobs=n_jobs, refit=False)
    start = time.perf_counter()
    search.fit(X[:n_rows], y[:n_rows])
    return time.perf_counter() - start
