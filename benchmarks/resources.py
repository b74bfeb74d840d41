"""Memory of fit and predict, a search on two cores, and what the import costs: each in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from _bench import report

PEAK = """
import resource, sys, numpy as np
from sklearn_mmoe import MMoERegressor
rng = np.random.default_rng(0)
X = rng.random((1_000_000, 100), dtype=np.float32)
y = rng.random((1_000_000, 3), dtype=np.float32)
model = MMoERegressor(n_members=1, n_experts=4, max_epochs=1, random_state=0)
model.fit(X[:2000], y[:2000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.fit(X, y) if sys.argv[1] == "fit" else model.predict(X)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""

SEARCH = """
import sys, time, numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn_mmoe import MMoERegressor
rng = np.random.default_rng(0)
X = rng.normal(size=(5000, 20)); y = np.column_stack([X[:, 0], X[:, 1] * X[:, 2]])
grid = {"n_experts": [2, 4, 8], "learning_rate": [1e-3, 3e-3], "tower_layer_sizes": [(), (32,)]}
model = MMoERegressor(n_members=1, batch_size=256, max_epochs=20, random_state=0)
search = GridSearchCV(model, grid, cv=3, n_jobs=int(sys.argv[1]), refit=False)
search.fit(X[:100], y[:100])  # the workers are there
start = time.perf_counter()
search.fit(X, y)
print(time.perf_counter() - start)
"""

IMPORT = """
import sys, time
start = time.perf_counter()
import torch, skorch, sklearn
if sys.argv[1] == "ours":
    import sklearn_mmoe
print(time.perf_counter() - start)
"""


def measure(script: str, argument: str, **environment: str) -> float:
    command = [sys.executable, "-c", script, argument]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return float(run.stdout)


def main() -> None:
    copy = 1_000_000 * 100 * 4 / 2**20
    fit, predict = measure(PEAK, "fit"), measure(PEAK, "predict")
    rounds = [(measure(SEARCH, "1"), measure(SEARCH, "1", OMP_NUM_THREADS="1"), measure(SEARCH, "2")) for _ in range(3)]
    imports = [measure(IMPORT, "ours") - measure(IMPORT, "others") for _ in range(8)][1:]
    report(
        "resources",
        "Memory, searches, import",
        ["figure", "measured", "must be"],
        [
            ["peak of fit beyond 1,000,000 x 100 float32", f"{fit:.0f} MiB", f"at most {copy:.0f} + 300 MB"],
            ["peak of predict beyond it", f"{predict:.0f} MiB", "at most 200 MB"],
            [
                "GridSearchCV, 12 candidates x 3 folds, 5,000 x 20: n_jobs=2 against 1",
                f"{median(one / two for one, _, two in rounds):.2f} x faster",
                "at least 1.6 x",
            ],
            [
                "the same against n_jobs=1 with one thread",
                f"{median(single / two for _, single, two in rounds):.2f} x faster",
                "",
            ],
            ["import beyond torch, skorch, sklearn", f"{median(imports):.2f} s", "at most 0.2 s"],
        ],
    )


if __name__ == "__main__":
    main()
