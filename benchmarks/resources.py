"""Memory of fit and predict, a search on two cores, and what the import costs: each in processes of their own."""

from __future__ import annotations

from statistics import median

from _bench import own_process, parser, report

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
import sys
from _search import seconds_of_search
n_jobs = int(sys.argv[1])
seconds_of_search(100, n_jobs)  # the workers are there
print(seconds_of_search(n_jobs=n_jobs))
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
    return own_process("-c", script, argument, **environment)


def main() -> None:
    parser(__doc__).parse_args()
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
