"""Fits that ranks do together, for `test_distributed.py`; as a script, under a launcher, it does them all.

    torchrun --standalone --nproc-per-node=2 tests/support/distributed_cases.py FOLDER

leaves in FOLDER what each rank has found. A fit is a function of what picks the rows of a rank; given all rows, one
process does the same fit alone.
"""

import contextlib
import io
import os
import pickle
import signal
import sys
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from sklearn.model_selection import GridSearchCV, KFold
from skorch.callbacks import Callback, EarlyStopping
from torch import distributed as dist

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._estimators import parameters as _parameters
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.nn import _embeddings
from sklearn_mmoe.tasks import Count

SMALL = {
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
    "sparse": lambda own: sparse(own, 200),
    "sparse gradients": lambda own: sparse(own, 200, SPARSE_UPDATE_FEATURES=100),
    "gradients that are kept": lambda own: sparse(own, 200, KEPT_GRADIENT_BYTES=100),
    "validation data": with_validation_data,
    "validation data of members": lambda own: with_validation_data(own, n_members=2),
    "a monitored task": lambda own: with_validation_data(own, monitor="y1"),
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


# --------------------------------------------------------------------------------------------------------------------
# Fits that fail on one rank


class Fails(Callback):
    """Fails on rank 1, at an event of the third epoch or batch."""

    def __init__(self, event, error):
        self.event = event
        self.error = error
        self.calls = 0

    def _called(self, event):
        self.calls += event == self.event
        if self.calls == 3 and rank() == 1:
            self.error()

    def on_epoch_end(self, net, **kwargs):
        self._called("on_epoch_end")

    def on_batch_end(self, net, **kwargs):
        self._called("on_batch_end")

    def on_grad_computed(self, net, **kwargs):
        self._called("on_grad_computed")

    def on_train_end(self, net, **kwargs):
        self.calls = 2
        self._called("on_train_end")


def broken():
    raise KeyError("no such thing")


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)  # the interpreter raises KeyboardInterrupt at once


def on_rank_1(value, otherwise):
    return value if rank() == 1 else otherwise


def bad_features(own):
    X = own(features())
    X[0, 2] = on_rank_1(np.nan, 0)
    return MMoERegressor(**SMALL).fit(X, own(targets()))


def fewer_features(own):
    return MMoERegressor(**SMALL).fit(own(features())[:, : on_rank_1(3, 4)], own(targets()))


def fewer_tasks(own):
    return MMoERegressor(**SMALL).fit(own(features()), own(targets())[:, : on_rank_1(1, 2)])


def other_frame(own):
    X = pd.DataFrame(own(features()), columns=list(on_rank_1("abxd", "abcd")))
    return MMoERegressor(**SMALL).fit(X, own(targets()))


def other_categories(own):
    X = pd.DataFrame({"a": own(features())[:, 0], "b": on_rank_1("word", 1.0)})
    return MMoERegressor(**SMALL).fit(X, own(targets()))


def other_words(own):
    y = own(classes())[:, :1]
    return MMoEClassifier(**SMALL).fit(own(features()), np.where(y == "low", 0, 1) if rank() == 1 else y)


def other_dtype(own):
    y = pd.DataFrame({"a": pd.Categorical(own(classes())[:, 0], categories=on_rank_1([*KINDS, "no"], KINDS))})
    return MMoEClassifier(**SMALL).fit(own(features()), y)


def no_labels(own):
    y = own(targets())
    y[:, 1] = np.nan
    return MMoERegressor(**SMALL).fit(own(features()), y)


def no_weights(own):
    return MMoERegressor(**SMALL).fit(own(features()), own(targets()), own(weights()) * [1, 0])


def no_validation_labels(own):
    y_val = np.full((20, 2), np.nan)
    return MMoERegressor(**SMALL).fit(own(features()), own(targets()), X_val=own(features(20)), y_val=own(y_val))


def no_validation_data(own):
    validation = on_rank_1({}, {"X_val": features(20), "y_val": targets(20)})
    return MMoERegressor(**SMALL).fit(own(features()), own(targets()), **validation)


def other_method(own):
    model = MMoERegressor(**SMALL)
    return getattr(model, on_rank_1("partial_fit", "fit"))(own(features()), own(targets()))


def other_model(own):
    model = MMoERegressor(**SMALL, warm_start=True, distributed=False).fit(own(features()), own(targets()))
    return model.set_params(distributed="auto").fit(own(features()), own(targets()))


def other_classes(own):
    known = on_rank_1(["False", "True", "?"], ["False", "True"])
    return MMoEClassifier(**SMALL).partial_fit(own(features()), own(classes())[:, 1], classes=known)


def failing(event, error):
    return lambda own: free(own, callbacks=[Fails(event, error)])


def failing_backward(error):
    """Fails where the other rank counts on gradients: it has voted, and will not do so before it sums them."""

    def fit(own):
        backward, calls = torch.autograd.backward, []

        def fail(*args, **kwargs):
            calls.append(1)
            if len(calls) == 3 and rank() == 1:
                error()
            backward(*args, **kwargs)

        with mock.patch.object(torch.autograd, "backward", fail):
            return free(own)

    return fit


KINDS = ["low", "middle", "high"]
FAIL = {
    "bad features": bad_features,
    "fewer features": fewer_features,
    "fewer tasks": fewer_tasks,
    "other names": other_frame,
    "other categories": other_categories,
    "other words": other_words,
    "other dtype": other_dtype,
    "other parameters": lambda own: free(own, n_experts=on_rank_1(5, 3)),
    "other seed": lambda own: free(own, random_state=rank()),
    "other method": other_method,
    "other model": other_model,
    "other classes": other_classes,
    "no labels": no_labels,
    "no weights": no_weights,
    "no labels to validate on": no_validation_labels,
    "no data to validate on": no_validation_data,
    "divergence": lambda own: regressor(own, learning_rate=1e30, dtype="float32"),
    "a random scalarizer": lambda own: regressor(own, task_weights=random_scalarizer()),
    "an epoch": failing("on_epoch_end", broken),
    "a batch": failing("on_batch_end", broken),
    "a gradient": failing("on_grad_computed", broken),
    "a backward pass": failing_backward(broken),
    "Ctrl-C in a backward pass": failing_backward(ctrl_c),
    "the end": failing("on_train_end", broken),
    "Ctrl-C in an epoch": failing("on_epoch_end", ctrl_c),
    "Ctrl-C in a batch": failing("on_batch_end", ctrl_c),
    "exit": failing("on_batch_end", sys.exit),
}


def random_scalarizer():
    import torchjd.scalarization

    return torchjd.scalarization.Random()


# --------------------------------------------------------------------------------------------------------------------
# What a rank has found


def rank():
    return int(os.environ.get("RANK", 0))


def dist_size():
    return int(os.environ.get("WORLD_SIZE", 1))


def found_by(model):
    """All that a fitted model knows, as text, numbers and arrays."""
    parts = model.net_.__getstate__()["parts"]
    attributes = {name: getattr(model, name) for name in ATTRIBUTES if hasattr(model, name)}
    return {"parts": parts, "drawn": getattr(model.net_, "drawn_", None), "tasks": repr(model._tasks), **attributes}


ATTRIBUTES = [
    "best_epochs_",
    "categories_",
    "classes_",
    "expert_usage_",
    "gate_entropy_",
    "history_",
    "loss_curve_",
    "n_features_in_",
    "n_iter_",
    "n_labels_seen_",
    "n_samples_seen_",
    "task_names_",
    "task_weights_",
    "validation_scores_",
]


def own_rows(table):
    return table[rank() :: dist_size()]


def failure_of(fit):
    """Type, text and note of the error, and the seconds that passed until it came."""
    started = time.perf_counter()
    try:
        fit(own_rows)
    except BaseException as error:
        return type(error).__name__, str(error), getattr(error, "__notes__", []), time.perf_counter() - started
    return None


def what_is_left_after_a_failure():
    """A fitted model goes through a fit that fails; it answers as before, and the next fit goes well."""
    model = MMoERegressor(**SMALL).fit(own_rows(features()), own_rows(targets()))
    before = found_by(model)
    model.set_params(callbacks=[Fails("on_batch_end", broken)])
    with contextlib.suppress(BaseException):
        model.fit(own_rows(features()), own_rows(targets()))
    after = found_by(model)
    return before, after, found_by(model.set_params(callbacks=None).fit(own_rows(features()), own_rows(targets())))


def search(n_jobs=None, **parameters):
    """Each rank's search has fits of its own: here, or in workers that inherit the variables of the rank."""
    grid = GridSearchCV(MMoERegressor(**SMALL, **parameters), {"n_experts": [1, 2]}, cv=KFold(2), n_jobs=n_jobs)
    grid.refit = "distributed" in parameters
    return grid.fit(features() + rank(), targets()).cv_results_["mean_test_score"]


def printed():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        free(own_rows, verbose=2)
        free(own_rows, verbose=1)
    return out.getvalue(), err.getvalue()


def in_a_group_of_the_users():
    """The group is used, and left as it is."""
    dist.init_process_group("gloo")
    fits = [found_by(regressor(own_rows)) for _ in range(2)]
    failure = failure_of(FAIL["a batch"])
    total = torch.ones(1)
    dist.all_reduce(total)
    dist.destroy_process_group()
    return fits, failure, total.item()


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    found = {name: found_by(fit(own_rows)) for name, fit in {**EQUAL, **AGREE}.items()}
    found["failures"] = {name: failure_of(fit) for name, fit in FAIL.items()}
    found["left after a failure"] = what_is_left_after_a_failure()
    found["alone"] = found_by(MMoERegressor(**SAME_BATCHES, distributed=False).fit(features(), targets() + rank()))
    found["printed"] = printed()
    found["in a group of the user's"] = in_a_group_of_the_users()
    found["searches"] = {"in workers": search(n_jobs=2) if rank() else None, "here": search(distributed=False)}
    names = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]  # empty where there is no such folder
    found["threads of groups"] = [name for name in names if "gloo" in name]
    Path(sys.argv[1], f"rank{rank()}.pkl").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
