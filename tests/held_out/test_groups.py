"""Groups of rows: what decides when to stop is of groups that are not trained on, in whatever form they are given."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import SMALL, all_three, assert_same_model, make_features, make_model, make_targets
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEClassifier, MMoERegressor
from sklearn_mmoe._held_out.groups import check_groups
from sklearn_mmoe._held_out.holding_out import Table, ways_to_hold_out
from sklearn_mmoe._ranks.group import ALONE
from sklearn_mmoe._training.losses import HELD_OUT, TRAINED_ON

ROUGH = {**SMALL, "max_epochs": 1}


class Roles(Callback):
    """Notes which rows each member is trained on, and which decide when it stops."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.trained = self.held_out = None

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        n_tasks, n_members = len(net.task_names), getattr(net.module_, "n_members", 1)
        if dataset_valid is None:
            return
        if dataset_train is dataset_valid:
            rows = np.arange(len(dataset_train)) if dataset_train.rows is None else dataset_train.rows.numpy()
            roles = dataset_train.y.numpy()[rows, 2 * n_tasks :]
            self.trained, self.held_out = (
                [rows[roles[:, m] == role] for m in range(n_members)] for role in (TRAINED_ON, HELD_OUT)
            )
        else:
            self.trained, self.held_out = ([own.rows.numpy()] * n_members for own in (dataset_train, dataset_valid))


def roles_in(model, X, y, **params):
    """The rows that each member is trained on, and those that it is stopped by."""
    roles = Roles()
    model.set_params(callbacks=[("roles", roles)]).fit(X, y, **params)
    found = dict(model.net_.callbacks_)["roles"]
    return found.trained, found.held_out


def patients(seed, n_groups=120, n_rows=6):
    """Rows of a group are nearly the same, and half of what is asked for is the group's own."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), n_rows)
    traits, own = rng.normal(size=(n_groups, 6))[group], rng.normal(size=(n_groups, 2))[group]
    X = np.column_stack([traits, rng.normal(size=len(group))])
    y = np.column_stack([X[:, 0] + X[:, 6], X[:, 1] - X[:, 6]]) + own + 0.1 * rng.normal(size=own.shape)
    return X, y, group


@pytest.mark.parametrize(
    "options", [{"n_members": 1, "early_stopping": True, "validation_fraction": 0.2}, {"n_members": 2}], ids=str
)
def test_rows_of_a_group_that_is_trained_on_say_go_on_where_others_say_stop(options):
    """The network learns each group by heart, and rows at random praise it for that."""
    small = {"n_experts": 2, "expert_layer_sizes": (32,), "tower_layer_sizes": (16,), "learning_rate": 0.02}
    small |= {"learning_rate_schedule": "constant", "numeric_embeddings": None}
    gains = []
    for seed in range(3):
        X, y, group = patients(seed)
        known = group < 60
        model = MMoERegressor(**small, **options, max_epochs=16, n_iter_no_change=4, random_state=seed)
        at_random = model.fit(X[known], y[known]).score(X[~known], y[~known])
        assert model.best_epochs_.min() >= 10, "it would go on"
        by_group = model.fit(X[known], y[known], groups=group[known]).score(X[~known], y[~known])
        assert model.best_epochs_.max() <= 6
        gains.append(by_group - at_random)
    assert min(gains) > 0.03
    assert np.mean(gains) > 0.1


@pytest.mark.parametrize("options", [{"early_stopping": True}, {"n_members": 3}, {"n_members": 3, "monitor": "y1"}])
@all_three
def test_no_group_is_on_both_sides(name, options):
    if name == "multitask" and "monitor" in options:
        options = {**options, "monitor": "level"}
    X, y, group = make_features(), make_targets(name), np.arange(60) % 11
    for trained, held_out in zip(*roles_in(make_model(name, **options), X, y, groups=group), strict=True):
        assert len(held_out)
        assert sorted([*trained, *held_out]) == list(range(60))
        assert not set(group[trained]) & set(group[held_out])


def test_every_group_is_held_out_from_one_member():
    group = np.arange(60) % 12
    _, held_out = roles_in(
        make_model("regressor", n_members=4), make_features(), make_targets("regressor"), groups=group
    )
    assert [len(set(group[rows])) for rows in held_out] == [3] * 4
    assert sorted(np.concatenate(held_out)) == list(range(60))


NUMBERS = np.arange(60) % 7
FORMS = {
    "a list": NUMBERS.tolist(),
    "floats": NUMBERS / 2,
    "strings": [f"p{number}" for number in NUMBERS],
    "a mixture of lengths": np.array(["a" * (1 + number) for number in NUMBERS]),
    "objects": np.array([f"p{number}" for number in NUMBERS], dtype=object),
    "days": np.datetime64("2020-01-01") + NUMBERS,
    "days as objects": [datetime.date(2020, 1, 1 + number) for number in NUMBERS],
    "booleans beside integers": [bool(number) if number < 2 else int(number) for number in NUMBERS],
    "a series with an index": pd.Series(NUMBERS, index=range(100, 160)),
    "a categorical": pd.Series([f"p{number}" for number in NUMBERS], dtype="category"),
    "hours of a time zone": pd.Series(pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(NUMBERS, unit="h")),
    "polars": pl.Series(NUMBERS),
    "a tensor": torch.tensor(NUMBERS),
    "a masked array that hides nothing": np.ma.masked_array(NUMBERS),
}


@pytest.mark.parametrize("form", FORMS)
def test_groups_in_all_forms(form):
    X, y = make_features(), make_targets("regressor")
    plain = make_model("regressor", n_members=2).fit(X, y, groups=NUMBERS)
    assert_same_model(make_model("regressor", n_members=2).fit(X, y, groups=FORMS[form]), plain)


@pytest.mark.parametrize(
    ("groups", "kind", "match"),
    [
        (NUMBERS[:-1], ValueError, r"groups must be of shape \(60,\), the group of each row of X; got .* \(59,\)\.$"),
        (NUMBERS[:, None], ValueError, r"groups of shape \(60, 1\). One column tells the groups"),
        (pd.DataFrame({"a": NUMBERS, "b": NUMBERS}), ValueError, r"groups of shape \(60, 2\). One column"),
        (
            np.where(NUMBERS > 0, NUMBERS, np.nan),
            ValueError,
            r"groups has no value in 9 of 60 rows, .* row 0: a row",
        ),
        ([None, *"ab" * 29, "b"], ValueError, "groups has no value in 1 of 60 rows"),
        (np.ma.masked_array(NUMBERS, NUMBERS > 5), ValueError, "groups has no value in 8 of 60 rows"),
        ([*range(30), *["a"] * 30], ValueError, r"no order, such as 0 \(int\), 'a' \(str\): make them one"),
        ("patient", TypeError, "groups must be an array, a list or a series.*got 'patient'"),
        (7, TypeError, "groups must be an array, a list or a series"),
    ],
    ids=range(9),
)
def test_groups_that_are_none(groups, kind, match):
    with pytest.raises(kind, match=match):
        make_model("regressor").fit(make_features(), make_targets("regressor"), groups=groups)


# --------------------------------------------------------------------------------------------------------------------
# Which groups


def table_of(labelled):
    return Table(np.zeros((len(labelled), 1)), np.zeros(labelled.shape), labelled.shape[1], torch.device("cpu"))


def units_of(groups, *, n_tasks=1, strata=None, fraction=0.1, seed=0):
    found = check_groups(groups, len(groups))
    labelled = np.ones((len(groups), n_tasks), dtype=bool)
    return found.as_units(labelled, strata, fraction=fraction, seed=seed, group=ALONE)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.6])
def test_the_fraction_is_one_of_groups(fraction):
    groups = np.repeat(np.arange(40), 5)
    _, valid = units_of(groups, fraction=fraction).part(fraction)
    assert len(set(groups[valid])) == 40 * fraction


def test_a_group_of_most_rows_is_trained_on():
    groups = np.concatenate([np.zeros(900, dtype=int), np.arange(1, 101)])
    for seed in range(20):
        train, valid = units_of(groups, seed=seed).part(0.1)
        assert 0 in groups[train]
        assert len(valid) == 10


def test_large_groups_are_held_out_where_there_are_no_others():
    groups = np.repeat(np.arange(3), 50)
    assert {len(units_of(groups, seed=seed).part(0.1)[1]) for seed in range(5)} == {50}
    lopsided = np.repeat([0, 1], [90, 10])
    assert {len(units_of(lopsided, seed=seed).part(0.1)[1]) for seed in range(9)} == {10, 90}


def test_groups_keep_the_proportions_of_classes():
    """A group is of the class that most of its rows have."""
    groups = np.repeat(np.arange(50), 10)
    strata = (groups % 5 == 0) * 1.0
    strata[::10] = 1 - strata[::10]
    for seed in range(5):
        units = units_of(groups, strata=strata, fraction=0.2, seed=seed)
        _, valid = units.part(0.2)
        assert (groups[valid] % 5 == 0).sum() == 20
        folds = units.folds(5, np.array([True]))
        assert [(groups[folds == fold] % 5 == 0).sum() for fold in range(5)] == [20] * 5


def test_classes_of_whole_groups_are_learned():
    """Drawn without strata, some part would lack the rare class."""
    group = np.repeat(np.arange(30), 4)
    X = np.random.default_rng(0).normal(size=(120, 3))
    y = np.where(group % 10 == 0, "rare", "common")
    for seed in range(4):
        model = MMoEClassifier(**{**ROUGH, "n_members": 3, "random_state": seed})
        for rows in roles_in(model, X, y, groups=group)[1]:
            assert set(y[rows]) == {"rare", "common"}


@pytest.mark.parametrize(
    ("options", "n_groups", "ways"),
    [
        ({}, 100, ["part"]),
        ({}, 99, ["folds", "part"]),
        ({"n_members": 1}, 5, ["part"]),
        ({"monitor": len}, 5, ["part"]),
        ({"early_stopping": True}, 5, ["part"]),
        ({"early_stopping": False}, 500, []),
    ],
)
def test_few_groups_are_held_out_in_folds_however_many_rows_they_have(options, n_groups, ways):
    assert ways_to_hold_out(MMoERegressor(**options), 5000, 5000, n_groups) == ways


@pytest.mark.parametrize(("n_groups", "distinct"), [(2, 2), (3, 3)])
def test_members_take_turns_where_there_are_fewer_groups(n_groups, distinct):
    group = np.arange(60) % n_groups
    X, y = make_features(), make_targets("regressor")
    _, held_out = roles_in(make_model("regressor", n_members=4), X, y, groups=group)
    assert len({tuple(rows) for rows in held_out}) == distinct
    assert [len(set(group[rows])) for rows in held_out] == [1] * 4


def test_one_group_cannot_be_held_out_and_learned_from():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", n_members=2).fit(X, y, groups=["a"] * 60)
    assert model.validation_scores_ is None
    with pytest.raises(ValueError, match="but the groups with a label, 1 in all, are too few for that"):
        make_model("regressor", early_stopping=True).fit(X, y, groups=["a"] * 60)


@pytest.mark.parametrize("options", [{"n_members": 3}, {"early_stopping": True}])
def test_groups_without_a_label_are_as_if_they_were_not_there(options):
    X, y, group = make_features(), make_targets("regressor"), np.arange(60) % 10
    many, sparse = np.repeat(X, 2, axis=0), np.repeat(y, 2, axis=0)
    sparse[1::2] = np.nan
    groups = np.repeat(group, 2)
    groups[1::2] += 100
    found = roles_in(make_model("regressor", **options), many, sparse, groups=groups)
    alone = roles_in(make_model("regressor", **options), X, y, groups=group)
    np.testing.assert_equal(found, [[2 * rows for rows in own] for own in alone])


# --------------------------------------------------------------------------------------------------------------------
# Where they change nothing, and where they are the same again


@pytest.mark.parametrize("watched", [False, True])
@all_three
def test_groups_change_nothing_where_no_row_is_held_out(name, watched):
    X, y = make_features(), make_targets(name)
    validation = {"X_val": X[:20], "y_val": y[:20]} if watched else {}
    options = {} if watched else {"early_stopping": False}
    with_groups = make_model(name, **options).fit(X, y, groups=NUMBERS, **validation)
    assert_same_model(with_groups, make_model(name, **options).fit(X, y, **validation))


@pytest.mark.parametrize("options", [{"n_members": 2}, {"early_stopping": True}])
def test_a_fit_that_goes_on_holds_out_the_same_rows(options):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", warm_start=True, random_state=None, **options)
    for groups in (None, NUMBERS):
        first, second = (roles_in(model, X, y, groups=groups)[1] for _ in range(2))
        for mine, others in zip(first, second, strict=True):
            np.testing.assert_array_equal(mine, others)
