"""One search on each engine: how long the first takes, with what the engine starts for it, and how long the next."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch
from _bench import ratio, report
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from sklearn_mmoe import MMoERegressor

ENGINES = {
    "one": "one process, all its threads",
    "one_thread": "one process, one thread",
    "loky": "loky, n_jobs=2",
    "dask": "Dask, 2 workers with a thread each",
    "dask_threads": "Dask, 1 worker with two threads",
    "ray": "Ray, n_jobs=2",
}
ROUNDS = 3


@contextmanager
def engine(name: str) -> Iterator[None]:
    """What has to be around a search, with the cluster, if any, already there."""
    if name == "loky":
        with parallel_config("loky", n_jobs=2):
            yield
    elif name.startswith("dask"):
        from dask.distributed import Client, LocalCluster

        n_workers, threads = (1, 2) if name == "dask_threads" else (2, 1)
        cluster = LocalCluster(n_workers=n_workers, threads_per_worker=threads, dashboard_address=":0")
        with cluster, Client(cluster), parallel_config("dask"):
            yield
    elif name == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        register_ray()
        with parallel_config("ray", n_jobs=2):
            yield
        ray.shutdown()
    else:
        torch.set_num_threads(1 if name == "one_thread" else os.cpu_count() or 1)
        yield


def search() -> None:
    """The one of `resources.py`."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 20))
    y = np.column_stack([X[:, 0], X[:, 1] * X[:, 2]])
    grid = {"n_experts": [2, 4, 8], "learning_rate": [1e-3, 3e-3], "tower_layer_sizes": [(), (32,)]}
    model = MMoERegressor(n_members=1, batch_size=256, max_epochs=20, random_state=0)
    GridSearchCV(model, grid, cv=3, refit=False).fit(X, y)


def seconds_of(name: str) -> tuple[float, float]:
    """The first search, and the second."""
    command = [sys.executable, __file__, name]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = run.stdout.splitlines()[-1].split()
    return float(first), float(second)


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    first: dict[str, list[float]] = {name: [] for name in ENGINES}
    for _ in range(ROUNDS):
        for name in ENGINES:
            cold, warm = seconds_of(name)
            first[name].append(cold)
            seconds[name].append(warm)
    rows = [
        [
            label,
            f"{np.median(seconds[name]):.1f} s",
            f"{ratio(seconds, 'one', name):.2f} x",
            f"{ratio(seconds, 'one_thread', name):.2f} x",
            f"{np.median(np.subtract(first[name], seconds[name])):+.1f} s",
        ]
        for name, label in ENGINES.items()
    ]
    versions = ", ".join(f"{package} {version(package)}" for package in ("joblib", "distributed", "ray"))
    report(
        "clusters",
        "A search on each engine: 12 candidates x 3 folds, 5,000 x 20",
        ["engine", "a search", "faster than one process", "than one thread", "the first search"],
        rows,
        f"{versions}. Medians of {ROUNDS} rounds, ratios within a round. The first search has to start processes.",
    )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        with engine(sys.argv[1]):
            times = []
            for _ in range(2):
                start = time.perf_counter()
                search()
                times.append(time.perf_counter() - start)
        print(*times)
