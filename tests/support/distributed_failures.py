"""Fits that fail on one of the ranks that do them together."""

import os
import signal
import sys
import time
from unittest import mock

import numpy as np
import pandas as pd
import torch
from distributed_fits import SMALL, classes, features, free, rank, regressor, targets, weights
from sklearn.model_selection import GroupShuffleSplit
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEClassifier, MMoERegressor


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


def grouped(own, groups, **parameters):
    model = MMoERegressor(**{**SMALL, "n_members": 2, **parameters})
    return model.fit(own(features()), own(targets()), groups=own(groups))


def other_splits(own):
    n_rows = len(own(features()))
    pairs = [(np.arange(1, n_rows), [0]), (np.arange(n_rows - 1), [n_rows - 1])]
    return grouped(own, np.arange(101), validation_split=pairs[: on_rank_1(1, 2)])


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
    "other splits": other_splits,
    "torn groups": lambda own: grouped(
        own, np.arange(101) // 4, validation_split=GroupShuffleSplit(1, random_state=rank())
    ),
    "other groups": lambda own: grouped(own, on_rank_1(np.full(101, "a"), np.arange(101))),
    "no groups": lambda own: MMoERegressor(**SMALL).fit(
        own(features()), own(targets()), groups=on_rank_1(None, own(np.arange(101)))
    ),
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
