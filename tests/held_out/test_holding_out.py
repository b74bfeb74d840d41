"""What decides when to stop where few of the rows have a label: a validation part, folds, or nothing."""

import numpy as np
import pytest
import torch
from helpers import SMALL, all_three, assert_fit_refuses, make_features, make_model, make_targets, outputs_of
from sklearn.ensemble import BaggingRegressor
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEClassifier, MMoERegressor
from sklearn_mmoe._held_out.holding_out import Table, ways_to_hold_out
from sklearn_mmoe._held_out.random_splits import random_folds, random_split, rows_that_count

ROUGH = {**SMALL, "max_epochs": 1}


def among_many(table, n_rows=1200):
    """The rows of a table at random places among others, and these places."""
    places = np.sort(np.random.default_rng(1).choice(n_rows, len(table), replace=False))
    many = np.random.default_rng(2).normal(size=(n_rows, table.shape[1]))
    many[places] = table
    return many, places


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("by", ["holes", "weights"])
@all_three
def test_rows_without_a_label_are_as_if_they_were_not_there(name, by, n_members):
    X, y = make_features(), make_targets(name)
    many, places = among_many(X)
    sparse, weights = np.full((len(many), y.shape[1]), np.nan), None
    sparse[places] = y
    if by == "weights":
        sparse, weights = np.where(np.isnan(sparse), y[0], sparse), np.isin(np.arange(len(many)), places) * 1.0
    model = make_model(name, n_members=n_members).fit(many, sparse, weights)
    alone = make_model(name, n_members=n_members).fit(X, y)
    np.testing.assert_allclose(outputs_of(model, X), outputs_of(alone, X), rtol=1e-4, atol=1e-6)
    assert model.history_[-1]["train_losses"] == pytest.approx(alone.history_[-1]["train_losses"], rel=1e-5)
    assert (model.validation_scores_ is None) is (n_members == 1)
    assert model.n_samples_seen_ == 1200


def test_labels_in_few_of_many_rows_fit_by_default_whatever_the_seed():
    many = np.random.default_rng(0).normal(size=(1200, 3))
    y = many[:, :2].copy()
    y[12:] = np.nan
    for seed in range(4):
        MMoERegressor(**{**ROUGH, "n_members": 4, "random_state": seed}).fit(many, y)


def test_bags_of_few_rows_fit_by_default():
    X = np.random.default_rng(0).normal(size=(1200, 3))
    BaggingRegressor(MMoERegressor(**ROUGH), 4, max_samples=10, random_state=0).fit(X, X[:, :2])


class Datasets(Callback):
    """Notes what is trained on and what is watched."""

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.train_, self.valid_ = dataset_train, dataset_valid


def test_rows_without_a_label_take_no_place_in_the_validation_part():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    y = X.copy()
    y[::3] = np.nan
    model = MMoERegressor(**ROUGH, callbacks=[("datasets", Datasets())]).fit(X, y)
    datasets = dict(model.net_.callbacks_)["datasets"]
    train, valid = datasets.train_.rows.tolist(), datasets.valid_.rows.tolist()
    assert len(valid) == 200
    assert sorted(train + valid) == np.flatnonzero(np.arange(3000) % 3).tolist()


def with_rare_task(n_labels, n_rows=1200):
    """Two tasks, of which the second has a few labels."""
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    y = X[:, :2].copy()
    y[np.random.default_rng(1).permutation(n_rows)[n_labels:], 1] = np.nan
    return X, y


@pytest.mark.parametrize("n_labels", [20, 999])
def test_a_task_with_few_labels_is_watched_by_folds(n_labels):
    options = {**ROUGH, "n_members": 2, "callbacks": [("datasets", Datasets())]}
    model = MMoERegressor(**options).fit(*with_rare_task(n_labels))
    datasets = dict(model.net_.callbacks_)["datasets"]
    assert datasets.train_ is datasets.valid_
    assert np.isfinite(list(model.history_[-1]["valid_losses"].values())).all()


@pytest.mark.parametrize(
    ("labels", "options", "watched"),
    [
        (1, {"n_members": 2}, True),  # who does not see the label learns nothing of the task: no folds, but a part
        (20, {"n_members": 1}, True),
        (2, {"n_members": 1, "monitor": "y1", "validation_fraction": 0.001}, False),  # a part without any of its labels
        (2, {"n_members": 4, "monitor": "y1", "validation_fraction": 0.001}, False),  # folds without any, too
        (20, {"n_members": 2, "monitor": "y0"}, True),
        (20, {"n_members": 2, "monitor": lambda *args: 1.0}, True),  # a scorer has no use for folds
    ],
)
def test_what_is_left_where_a_task_has_few_labels(labels, options, watched):
    model = MMoERegressor(**{**ROUGH, **options}).fit(*with_rare_task(labels))
    assert (model.validation_scores_ is not None) is watched
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize(
    ("options", "n_rows", "n_labels", "ways"),
    [
        ({}, 1000, 1000, ["part"]),
        ({}, 999, 999, ["folds"]),
        ({}, 5000, 999, ["folds", "part"]),
        ({"n_members": 1}, 5000, 999, ["part"]),
        ({"n_members": 1}, 999, 999, []),
        ({"monitor": len}, 5000, 20, ["part"]),
        ({"early_stopping": True}, 20, 2, ["part"]),
        ({"early_stopping": np.False_}, 5000, 5000, []),
    ],
)
def test_ways_to_hold_out(options, n_rows, n_labels, ways):
    assert ways_to_hold_out(MMoERegressor(**options), n_rows, n_labels) == ways


def test_a_part_that_is_asked_for_and_cannot_be():
    y = np.full((60, 2), np.nan)
    y[3, 0] = y[5, 1] = 1.0  # each task needs its label in training
    match = r"early_stopping=True sets a part of the rows aside .*but the 2 rows with a label are too few.*X_val"
    assert_fit_refuses("regressor", match, y=y, early_stopping=True)
    assert_fit_refuses("regressor", "early_stopping=True", make_features()[:1], make_targets("regressor")[:1], None,
                       early_stopping=True)  # fmt: skip


def test_classes_with_weights_of_zero_are_no_strata():
    """Labels that weigh nothing have no say in whether there are enough rows of each class."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.arange(60) % 2
    y[7] = 2
    MMoEClassifier(**ROUGH, early_stopping=True).fit(X, y, sample_weight=(y < 2) * 1.0)


# --------------------------------------------------------------------------------------------------------------------
# The rows themselves


def test_one_row_stands_for_all_where_none_has_a_label():
    assert rows_that_count(np.zeros((5, 2), dtype=bool)).tolist() == [0]
    assert rows_that_count(np.array([[True, False], [False, False], [False, True]])).tolist() == [0, 2]


@pytest.mark.parametrize(("n_rows", "fraction"), [(1, 0.1), (2, 0.9), (20, 0.99)])
def test_a_part_that_would_take_all_rows_is_empty(n_rows, fraction):
    train, valid = random_split(np.ones((n_rows, 1), dtype=bool), None, fraction, seed=0)
    assert train.tolist() == list(range(n_rows))
    assert not len(valid)


def test_a_part_of_most_rows_needs_no_row_of_each_class_in_what_is_left():
    classes = np.repeat(np.arange(5), 2)
    train, valid = random_split(np.ones((10, 1), dtype=bool), classes, 0.9, seed=0)
    assert (len(train), len(valid)) == (1, 9)


def test_a_shard_whose_groups_are_all_held_out_trains_on_a_row_that_weighs_nothing():
    table = Table(np.ones((4, 3)), np.ones((4, 4)), 2, torch.device("cpu"))
    train, valid = table.parts(np.arange(0), np.arange(4))
    assert len(train) == 1
    assert not train[:][1].any()
    assert valid[:][1].all()


def test_a_shard_without_labels_of_a_task_leaves_it_to_others_to_have_folds():
    labelled = np.ones((20, 2), dtype=bool)
    labelled[:, 1] = False
    both = np.array([True, True])
    assert random_folds(labelled, None, 4, both, seed=0) is not None
    assert random_folds(labelled & False, None, 4, both, seed=0) is not None
