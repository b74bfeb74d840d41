"""
A search on a cluster: Dask
===========================

The search of `grid_search.py`, with its fits done by the workers of a Dask cluster: here two processes of this machine,
elsewhere as many machines as there are. Nothing of the search changes but the line around it. To be seen: a table of
all candidates, the best first, and that the scores are those of a search in this process, to the last bit.
"""

from itertools import chain

import numpy as np
import torch
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks

GRID = {"mmoe__n_experts": [1, 4], "mmoe__learning_rate": [1e-3, 1e-2]}


def search_on(client, search, X, y):
    """Fit a search on the workers of a cluster."""
    # All data that the fits need lies on every worker: then one that dies loses nothing, and others do what it was at
    folds = list(search.cv.split(X))
    with parallel_config("dask", client=client, scatter=[X, y, *chain(*folds)]):
        return clone(search).set_params(cv=folds).fit(X, y)


def main():
    X, y = make_related_tasks(900, 20, correlation=0.5, random_state=0)
    network = MMoERegressor(n_members=1, expert_layer_sizes=(32, 32), batch_size=64, max_epochs=5, random_state=0)
    model = Pipeline([("scale", StandardScaler()), ("mmoe", network)])
    search = GridSearchCV(model, GRID, cv=KFold(2, shuffle=True, random_state=0))

    # One thread each: fits in threads of one process take turns. On a cluster that is running, Client("host:8786").
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        print(f"{len(client.ncores())} workers with {sum(client.ncores().values())} threads in all")
        found = search_on(client, search, X, y)

    print("\nn_experts  learning_rate     R2")
    results = found.cv_results_
    for i in results["rank_test_score"].argsort(kind="stable"):
        n_experts, learning_rate = (results["params"][i][name] for name in GRID)
        print(f"{n_experts:<11}{learning_rate:<13}{results['mean_test_score'][i]:>7.3f}")

    torch.set_num_threads(1)  # as in the workers: more threads may add up in another order
    here = clone(search).fit(X, y)
    same = np.array_equal(results["mean_test_score"], here.cv_results_["mean_test_score"])
    print(f"\nthe same scores as in this process: {same}")


# The workers start as new processes, which import this file: what stands below runs in the first one only
if __name__ == "__main__":
    main()
