"""Searches whose fits run elsewhere, on Dask, on Ray and in joblib's processes: the same scores, bit for bit.

Workers have one thread of torch each, as these tests do.
"""

import os
import re
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dask_workers import workers_that_fork
from helpers import (
    TWO_FOLDS,
    all_three,
    assert_same_model,
    fingerprint,
    make_features,
    make_model,
    make_targets,
    with_missing,
)
from joblib import parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.exceptions import DivergenceError

GRID = {"learning_rate": [0.001, 0.01, 0.03, 0.1]}
OPTIONS = {"scoring": fingerprint, "cv": TWO_FOLDS, "error_score": "raise"}


@pytest.fixture(scope="module")
def dask_processes():
    distributed = pytest.importorskip("distributed")
    with workers_that_fork():
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield client


@pytest.fixture(scope="module")
def dask_threads():
    """One worker, in this process, that does two tasks at a time."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture(params=["dask_processes", "dask_threads"])
def on_dask(request):
    return {"backend": "dask", "client": request.getfixturevalue(request.param)}


def searches_of(name):
    model = make_model(name, dropout=0.1)
    return [
        GridSearchCV(model, GRID, **OPTIONS),
        RandomizedSearchCV(model, GRID, n_iter=3, random_state=0, **OPTIONS),
        HalvingGridSearchCV(
            model, GRID, resource="max_epochs", min_resources=1, max_resources=4, factor=2, random_state=0, **OPTIONS
        ),
    ]


def scores_of(search):
    """All test scores, a row per split."""
    n_splits = search.n_splits_
    return np.array([search.cv_results_[f"split{i}_test_score"] for i in range(n_splits)])


def assert_same_search(found, expected):
    np.testing.assert_array_equal(scores_of(found), scores_of(expected))
    assert found.best_params_ == expected.best_params_
    assert_same_model(found.best_estimator_, expected.best_estimator_)


# --------------------------------------------------------------------------------------------------------------------
# Dask


@all_three
def test_searches_on_dask_give_the_same_as_in_one(name, on_dask):
    X, y = make_features(), with_missing(make_targets(name))
    for search in searches_of(name):
        with parallel_config(**on_dask):
            found = clone(search).fit(X, y)
        assert_same_search(found, clone(search).fit(X, y))


@all_three
def test_cross_validation_on_dask_gives_the_same_as_in_one(name, on_dask):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name, dropout=0.1)
    with parallel_config(**on_dask):
        found = cross_validate(model, X, y, return_estimator=True, **OPTIONS)
    expected = cross_validate(model, X, y, return_estimator=True, **OPTIONS)
    np.testing.assert_array_equal(found["test_score"], expected["test_score"])
    for model, other in zip(found["estimator"], expected["estimator"], strict=True):
        assert_same_model(model, other)


def test_frames_and_pipelines_on_dask(on_dask):
    X = pd.DataFrame(make_features(), columns=list("abcd"))
    X["d"] = pd.Categorical(np.where(X["d"] > 0, "high", "low"))
    y = pd.DataFrame(make_targets("multitask"), columns=["up", "level", "visits"])
    scaled = make_pipeline(StandardScaler(), make_model("multitask", numeric_embeddings=None))
    grid = {f"mmoemultitask__{key}": values for key, values in GRID.items()}
    for search, features in (
        (GridSearchCV(make_model("multitask", numeric_embeddings=None), GRID, cv=2), X),
        (GridSearchCV(scaled, grid, cv=2), X[["a", "b", "c"]]),
    ):
        with parallel_config(**on_dask):
            found = clone(search).fit(features, y)
        np.testing.assert_array_equal(scores_of(found), scores_of(clone(search).fit(features, y)))


def test_data_that_is_sent_to_the_workers_once(dask_processes):
    """Arrays that come from other processes may not be written to."""
    X, y = make_features(), make_targets("regressor")
    search = searches_of("regressor")[0]
    with parallel_config("dask", client=dask_processes, scatter=[X, y]):
        found = clone(search).fit(X, y)
    assert_same_search(found, clone(search).fit(X, y))


def test_a_dask_worker_has_one_thread_of_torch(dask_processes):
    """docs/user_guide/clusters.md tells so."""
    assert list(dask_processes.run(torch.get_num_threads).values()) == [1, 1]


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_that_diverges_on_dask_leaves_the_others_their_scores(on_dask):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", max_epochs=5, numeric_embeddings=None)
    search = GridSearchCV(model, {"learning_rate": [1e30, *GRID["learning_rate"]]}, scoring=fingerprint, cv=TWO_FOLDS)
    with parallel_config(**on_dask), pytest.warns(FitFailedWarning, match=r"(?s)2 fits failed.*DivergenceError"):
        found = clone(search).fit(X, y)
    alone = GridSearchCV(model, GRID, **OPTIONS).fit(X, y)
    assert np.isnan(scores_of(found)[:, 0]).all()
    np.testing.assert_array_equal(scores_of(found)[:, 1:], scores_of(alone))
    search.set_params(error_score="raise")
    with parallel_config(**on_dask), pytest.raises(DivergenceError, match=r"loss of task 'y0' is .* in epoch"):
        clone(search).fit(X, y)


# --------------------------------------------------------------------------------------------------------------------
# Workers that die


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")


class Die(Callback):
    """Kills the process when an epoch ends; with the name of a file, the first time only: the file remembers it."""

    def __init__(self, file=None):
        self.file = file

    def on_epoch_end(self, net, **kwargs):
        if self.file is not None:
            try:
                Path(self.file).touch(exist_ok=False)
            except FileExistsError:
                return
        os.kill(os.getpid(), signal.SIGKILL)


def deadly_search(file=None, **options):
    return GridSearchCV(
        make_model("regressor", callbacks=[Die(file)], numeric_embeddings=None),
        GRID,
        refit=False,
        **{**OPTIONS, **options},
    )


def search_without_deaths():
    return GridSearchCV(make_model("regressor", numeric_embeddings=None), GRID, refit=False, **OPTIONS)


@needs_kill
def test_what_a_dask_worker_was_at_when_it_died_is_done_by_others(dask_processes, tmp_path):
    """What joblib sends by itself lies on one worker only; docs/user_guide/clusters.md tells how it lies on all."""
    X, y = make_related_tasks(400, 4, correlation=0.5, random_state=0)
    folds = list(TWO_FOLDS.split(X))
    with parallel_config("dask", client=dask_processes, scatter=[X, y, *chain(*folds)]):
        found = deadly_search(str(tmp_path / "died"), cv=folds).fit(X, y)
    assert (tmp_path / "died").exists()
    np.testing.assert_array_equal(scores_of(found), scores_of(search_without_deaths().fit(X, y)))


@pytest.mark.slow
@needs_kill
def test_a_process_of_joblib_that_dies_ends_the_search():
    """docs/user_guide/clusters.md tells so."""
    with pytest.raises(TerminatedWorkerError, match="A worker process managed by the executor was unexpectedly term"):
        deadly_search(n_jobs=2).fit(make_features(), make_targets("regressor"))


@pytest.mark.slow
@needs_kill
def test_a_fit_that_kills_one_dask_worker_after_the_other_ends_the_search(dask_processes):
    """docs/user_guide/clusters.md tells so."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    X, y = make_features(), make_targets("regressor")
    with parallel_config("dask", client=dask_processes, scatter=[X, y]):
        with pytest.raises((KilledWorker, FutureCancelledError), match="_fit_and_score"):
            deadly_search().fit(X, y)
        found = search_without_deaths().fit(X.copy(), y.copy())  # the cluster lives
    np.testing.assert_array_equal(scores_of(found), scores_of(search_without_deaths().fit(X, y)))


# --------------------------------------------------------------------------------------------------------------------
# Ray


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    here = Path(__file__)
    folders = [str(here.parent), str(here.parents[1] / "support")]  # where workers find this file and `helpers`
    path = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    register_ray()
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
@all_three
def test_searches_on_ray_give_the_same_as_in_one(name):
    X, y = make_features(), with_missing(make_targets(name))
    search = searches_of(name)[0]
    with parallel_config("ray", n_jobs=2):
        found = clone(search).fit(X, y)
    assert_same_search(found, clone(search).fit(X, y))


@pytest.mark.slow
@needs_kill
def test_what_a_ray_worker_was_at_when_it_died_is_an_error_or_done_again(ray, tmp_path):
    """docs/user_guide/clusters.md tells so."""
    X, y = make_features(), make_targets("regressor")
    with parallel_config("ray", n_jobs=2), pytest.raises(ray.exceptions.ActorDiedError, match="died unexpectedly"):
        deadly_search(str(tmp_path / "first")).fit(X, y)
    again = {"max_restarts": 2, "max_task_retries": 2}
    with parallel_config("ray", n_jobs=2, ray_remote_args=again):
        found = deadly_search(str(tmp_path / "second")).fit(X, y)
    assert (tmp_path / "second").exists()
    np.testing.assert_array_equal(scores_of(found), scores_of(search_without_deaths().fit(X, y)))


@pytest.mark.slow
def test_the_block_on_ray_of_the_guide_prints_what_it_says(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "user_guide" / "clusters.md").read_text()
    first, on_ray = (
        re.search(r"```python\n(.*?)```", page, re.DOTALL)[1],
        re.search(r"```py\n(.*?)```", page, re.DOTALL)[1],
    )
    script = tmp_path / "on_ray.py"
    script.write_text(f"{first}\n{on_ray}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True"
