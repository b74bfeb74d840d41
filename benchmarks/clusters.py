"""One search on each engine: how long the first takes, with what the engine starts for it, and how long the next."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch
from _bench import own_process, parser, ratio, report
from _search import seconds_of_search
from joblib import parallel_config

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


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--engine", choices=list(ENGINES), help=argparse.SUPPRESS)  # in a process of its own
    if name := command.parse_args().engine:
        with engine(name):
            times = [seconds_of_search(), seconds_of_search()]
        print(times)
        return
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    first: dict[str, list[float]] = {name: [] for name in ENGINES}
    for _ in range(ROUNDS):
        for name in ENGINES:
            cold, warm = own_process(__file__, "--engine", name)
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
    main()
