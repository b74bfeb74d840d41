"""Fits that ranks do together, and how they are told apart.

A fit is a function of what picks the rows of a rank; given all rows, one process does the same fit alone.
"""

import os
from unittest import mock

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from sklearn.model_selection import PredefinedSplit
from skorch.callbacks import Callback, EarlyStopping

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._estimators import parameters as _parameters
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.nn import _embeddings
from sklearn_mmoe.tasks import Count

SMALL = {
    "numeric_embeddings": None,  # of which there are fits of their own
    "n_members": 1,
    "n_experts": 3,
    "expert_layer_sizes": (8,),
    "tower_layer_sizes": (4,),
    "max_epochs": 4,
    "learning_rate": 0.01,
    "random_state": 0,
}
# Interleaved shards then give the batches that one process takes
SAME_BATCHES = {**SMALL, "shuffle": False, "batch_size": 16, "early_stopping": False, "dtype": "float64"}
N_ROWS = 101  # an odd number: the last batch is of one row, and one rank has none of it


def rank():
    return int(os.environ.get("RANK", 0))


def dist_size():
    return int(os.environ.get("WORLD_SIZE", 1))


def own_rows(table):
    return table[rank() :: dist_size()]


def features(n_rows=N_ROWS):
    return np.random.default_rng(0).normal(size=(n_rows, 4))


def targets(n_rows=N_ROWS):
    """Two regressions far from 0 and on scales of their own, with labels missing here and there.

    No row lacks both: it would be left out, and the rows of each batch would differ.
    """
    X = features(n_rows)
    y = np.column_stack([X[:, 0] + X[:, 1] ** 2, 1e4 + 100 * X[:, 2]])
    y[40::5, 0] = y[1:40, 1] = np.nan  # of the second task, whole batches have no label
    return y


def classes(n_rows=N_ROWS):
    X = features(n_rows)
    return np.column_stack([np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-1, 1])], X[:, 1] > 0.5])


def weights(n_rows=N_ROWS):
    return np.random.default_rng(1).uniform(0.1, 3, size=(n_rows, 2))


def regressor(own, **parameters):
    return MMoERegressor(**{**SAME_BATCHES, **parameters}).fit(own(features()), own(targets()))


def multitask(own):
    y = np.column_stack([targets(), features()[:, 3] > 0.3, np.arange(N_ROWS) % 3])
    tasks = {"a": "regression", "b": "regression", "c": "binary", "d": Count()}
    return MMoEMultiTask(tasks=tasks, **SAME_BATCHES).fit(own(features()), own(y))


def labels_of_one_rank(own):
    """One rank alone has the rare class, and one alone the labels of the second task."""
    y = classes().astype(object)
    y[:, 0] = "common"
    y[2::4, 0] = "other"
    y[::20, 0] = "rare"
    y[1::2, 1] = None
    return MMoEClassifier(**SAME_BATCHES, class_weight="balanced").fit(own(features()), own(y))


def categories(own, **parameters):
    """Few rows for many categories: each rank has some that the other has not."""
    drawn = np.random.default_rng(2).integers(90, size=N_ROWS)
    X = pd.DataFrame({"number": features()[:, 0], "place": [f"place {i}" for i in drawn]})
    X.loc[::9, "place"] = None
    parameters = {**SAME_BATCHES, **parameters}
    return MMoERegressor(**parameters).fit(own(X).reset_index(drop=True), own(targets()))


def many_categories(own):
    with mock.patch.object(_embeddings, "SPARSE_GRADIENT_ROWS", 10):
        return categories(own)


def numbers(own, weights=None):
    """Of several scales, and missing, most of them for one rank."""
    X = features() * np.array([1, 1e4, 1e-3, *[1] * (features().shape[1] - 3)])
    X[::4, 0] = np.nan
    weights = None if weights is None else own(weights)
    return MMoERegressor(**{**SAME_BATCHES, "numeric_embeddings": "auto"}).fit(own(X), own(targets()), weights)


def sparse_features(n_features):
    rng = np.random.default_rng(3)
    columns = rng.integers(n_features, size=(N_ROWS, 5))
    table = (rng.normal(size=columns.size), (np.repeat(np.arange(N_ROWS), 5), columns.ravel()))
    return csr_array(table, shape=(N_ROWS, n_features))


def sparse(own, n_features, **limits):
    with mock.patch.dict(vars(_parameters), limits):
        return MMoERegressor(**SAME_BATCHES).fit(own(sparse_features(n_features)), own(targets()))


def partial_fits(own):
    model = MMoERegressor(**SAME_BATCHES)
    for rows in (slice(0, 60), slice(60, N_ROWS)):
        model.partial_fit(own(features()[rows]), own(targets()[rows]))
    return model


def warm_start(own):
    model = MMoERegressor(**SAME_BATCHES, warm_start=True, optimizer="sgd")
    for _ in range(2):
        model.fit(own(features()), own(targets()))
    return model


def with_validation_data(own, **parameters):
    """Long enough to be stopped early; the weights of the best epoch come back."""
    long = {**SAME_BATCHES, "early_stopping": True, "max_epochs": 60, "n_iter_no_change": 2, "learning_rate": 0.1}
    X, y = features(160), targets(160)
    validation = {"X_val": own(X[N_ROWS:]), "y_val": own(y[N_ROWS:])}
    return MMoERegressor(**{**long, **parameters}).fit(own(X[:N_ROWS]), own(y[:N_ROWS]), **validation)


def grouped(own, **parameters):
    """Each rank has some rows of each group. One batch is of all rows: those that are left do not interleave."""
    watched = {"early_stopping": "auto", "batch_size": 200, "learning_rate": 0.1}
    model = MMoERegressor(**{**SAME_BATCHES, **watched, **parameters})
    return model.fit(own(features()), own(targets()), groups=own(np.arange(N_ROWS) // 7))


def rows_that_ranks_name(own, folds):
    split = PredefinedSplit(own(folds))
    watched = {"early_stopping": True, "batch_size": 200, "n_members": 2, "validation_split": split}
    return MMoERegressor(**{**SAME_BATCHES, **watched}).fit(own(features()), own(targets()))


def weighted(own):
    return MMoERegressor(**SAME_BATCHES).fit(own(features()), own(targets()), own(weights()))


EQUAL = {
    "regressor": regressor,
    "regressor in float32": lambda own: regressor(own, dtype="float32"),
    "classifier": lambda own: MMoEClassifier(**SAME_BATCHES).fit(own(features()), own(classes())),
    "multitask": multitask,
    "sample weights": weighted,
    "an ensemble": lambda own: regressor(own, n_members=3),
    "labels of one rank": labels_of_one_rank,
    "balance of gates": lambda own: regressor(own, gate_balance=0.5),
    "fixed weights": lambda own: regressor(own, task_weights=[1, 3]),
    "uncertainty": lambda own: regressor(own, task_weights="uncertainty"),
    "dwa": lambda own: regressor(own, task_weights="dwa"),
    "upgrad": lambda own: regressor(own, task_weights="upgrad"),
    "config": lambda own: regressor(own, task_weights="config"),
    "a scalarizer that learns": lambda own: regressor(own, task_weights=scalarizer("UW")),
    "momentum": lambda own: regressor(own, optimizer="rmsprop"),
    "categories": categories,
    "many categories": many_categories,
    "numbers": numbers,
    "numbers of weighted rows": lambda own: numbers(own, weights()),
    "sparse": lambda own: sparse(own, 200),
    "sparse gradients": lambda own: sparse(own, 200, SPARSE_UPDATE_FEATURES=100),
    "gradients that are kept": lambda own: sparse(own, 200, KEPT_GRADIENT_BYTES=100),
    "validation data": with_validation_data,
    "validation data of members": lambda own: with_validation_data(own, n_members=2, learning_rate_schedule="constant"),
    "members whose rate falls": lambda own: with_validation_data(own, n_members=2),
    "a cosine": lambda own: with_validation_data(own, max_epochs=5, learning_rate_schedule="cosine"),
    "a monitored task": lambda own: with_validation_data(own, monitor="y1"),
    "a part of groups": lambda own: grouped(own, early_stopping=True),
    "folds of groups": lambda own: grouped(own, n_members=3),
    "more members than groups": lambda own: grouped(own, n_members=16),
    "rows that ranks name": lambda own: rows_that_ranks_name(own, np.where(np.arange(N_ROWS) % 9 < 2, 0, -1)),
    "folds that ranks name": lambda own: rows_that_ranks_name(own, np.arange(N_ROWS) // 3 % 2),
    "partial_fit": partial_fits,
    "warm_start": warm_start,
}


def scalarizer(name):
    import torchjd.scalarization

    return getattr(torchjd.scalarization, name)(2)


# --------------------------------------------------------------------------------------------------------------------
# Fits in which each rank draws numbers of its own


def free(own, n_rows=1200, **parameters):
    X, y = features(n_rows), targets(n_rows)
    return MMoERegressor(**{**SMALL, **parameters}).fit(own(X), own(y))


class Draws(Callback):
    """Notes the first number that each rank draws of torch's generator in training."""

    def on_train_begin(self, net, **kwargs):
        state = torch.get_rng_state()
        net.drawn_ = torch.rand(1).item()
        torch.set_rng_state(state)


class StopsOnRank1(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.stopping_ = rank() == 1 and len(net.history) == 2


def very_uneven(own):
    """One rank has three rows, the other all others."""
    X, y = features(), targets()
    rows = np.arange(N_ROWS) < 3
    rows = slice(None) if dist_size() == 1 else (rows if rank() == 1 else ~rows)
    y[:3] = 1.0
    return MMoERegressor(**{**SMALL, "early_stopping": False, "gate_balance": 0.1}).fit(X[rows], y[rows])


AGREE = {
    "a validation part": free,
    "folds": lambda own: free(own, 600, n_members=2),
    "few rows in folds": lambda own: MMoERegressor(**{**SMALL, "n_members": 3}).fit(own(features()), own(targets())),
    "dropout": lambda own: free(own, dropout=0.5, gate_dropout=0.2, callbacks=[Draws()]),
    "a seed of no one": lambda own: free(own, random_state=None),
    "a generator as seed": lambda own: free(own, random_state=np.random.RandomState(7 + rank())),
    "a random method": lambda own: free(own, task_weights="pcgrad"),
    "a scorer": lambda own: free(own, monitor=make_task_scorer("r2"), max_epochs=6),
    "a callback that stops": lambda own: free(own, callbacks=[StopsOnRank1()]),
    "skorch's stopping": lambda own: free(own, callbacks=[EarlyStopping(patience=1, threshold=1.0)], max_epochs=9),
    "a stratified part": lambda own: MMoEClassifier(**SMALL).fit(own(features(1200)), own(classes(1200)[:, 1])),
    "very uneven": very_uneven,
}
