"""Workers of Dask as forks of a process that has imported what they need; new ones each import it for seconds."""

import os
from contextlib import contextmanager

import dask

PRELOADED = ["distributed", "sklearn_mmoe", "helpers", "torch._dynamo"]  # the last is what optimizers import


@contextmanager
def workers_that_fork():
    """Have clusters start such workers, where there are forks."""
    from distributed.utils import get_mp_context  # as long an import as that of torch

    forks = os.name == "posix"
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver" if forks else "spawn"}):
        if forks:
            get_mp_context().set_forkserver_preload(PRELOADED)
        yield
