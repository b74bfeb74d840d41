"""Groups of tasks that should share a model, against fits one by one and all partitions."""

import numpy as np
import pandas as pd
import pytest
from helpers import KINDS, TWO_FOLDS, all_three, make_features, make_model, make_targets, task_name, with_missing
from sklearn.model_selection import KFold

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.metrics import _groups, make_task_scorer, task_groups, transfer_report
from sklearn_mmoe.metrics._groups import best_partition, group_gain

COLUMNS = ["task", "n_labels", "group", "shared", "single", "grouped", "gain", "gain_std_error"]


def partitions(tasks):
    """All of them, each group in the order of its tasks, and groups in that of their first ones."""
    if not tasks:
        yield ()
        return
    first, *rest = tasks
    for smaller in partitions(rest):
        yield ((first,), *smaller)
        for i, group in enumerate(smaller):
            yield tuple(sorted([*smaller[:i], (first, *group), *smaller[i + 1 :]]))


def random_gains(n_tasks, seed):
    gains = np.random.default_rng(seed).normal(size=(n_tasks, n_tasks))
    np.fill_diagonal(gains, 0.0)
    return gains


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", range(5))
def test_no_partition_gains_more(n_tasks, seed):
    gains = random_gains(n_tasks, seed)
    found = best_partition(gains)
    assert sorted(t for some in found for t in some) == list(range(n_tasks))
    best = max(sum(group_gain(gains, some) for some in own) for own in partitions(list(range(n_tasks))))
    assert sum(group_gain(gains, some) for some in found) == pytest.approx(best, abs=1e-12)


def test_what_a_group_gains_is_the_sum_of_mean_gains():
    gains = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 5.0], [7.0, 11.0, 0.0]])
    assert group_gain(gains, (0, 1, 2)) == pytest.approx(1.5 + 4 + 9)
    assert group_gain(gains, (0, 2)) == 9
    assert group_gain(gains, (1,)) == 0


@pytest.mark.parametrize("most", [12, 2])
def test_tasks_that_help_each_other_come_together(most, monkeypatch):
    monkeypatch.setattr(_groups, "MOST_TO_TRY", most)
    family = np.array([0, 1, 0, 2, 1, 0, 2])
    gains = np.where(family[:, None] == family, 0.1, -0.1)
    np.fill_diagonal(gains, 0.0)
    assert sorted(best_partition(gains)) == [(0, 2, 5), (1, 4), (3, 6)]


def test_tasks_that_only_hurt_stay_alone():
    assert best_partition(np.full((3, 3), -1.0) + np.eye(3)) == ((0,), (1,), (2,))
    assert _groups._merged(np.full((3, 3), -1.0) + np.eye(3)) == ((0,), (1,), (2,))


@all_three
def test_report_equals_fits_one_by_one(name):
    X, y = make_features(), with_missing(make_targets(name))
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    report = task_groups(make_model(name), X, y, cv=folds)
    assert list(report) == COLUMNS
    expected = transfer_report(make_model(name), X, y, cv=folds)
    for column in ("task", "n_labels", "shared", "single"):
        assert report[column] == expected[column]
    np.testing.assert_allclose(report["gain"], np.subtract(report["grouped"], report["shared"]), rtol=1e-9, atol=1e-12)
    assert report["task"] == [task_name(name, t) for t in range(y.shape[1])]
    assert sorted(set(report["group"])) == list(range(max(report["group"]) + 1))
    assert pd.DataFrame(report).notna().all(axis=None)


def test_the_score_of_a_pair_is_that_of_its_own_model():
    X, y = make_features(), make_targets("multitask")
    kinds = list(KINDS)
    fits = _groups.checked_fits("task_groups", make_model("multitask"), X, y, TWO_FOLDS, None, None, "r2", None)
    (found,) = fits.scores([(0, 2)])
    for f, (train, test) in enumerate(TWO_FOLDS.split(X)):
        model = make_model("multitask", tasks={kinds[t]: KINDS[kinds[t]] for t in (0, 2)})
        model.fit(X[train], y[train][:, [0, 2]])
        for column, t in enumerate((0, 2)):
            scorer = make_task_scorer("r2", task=column)
            assert found[f, t] == pytest.approx(scorer(model, X[test], y[test][:, [0, 2]]), rel=1e-12)
    assert np.isnan(found[:, 1]).all()


def test_what_is_said_task_by_task_is_cut_down_to_the_group():
    X, y = make_features(), np.column_stack([make_targets("regressor"), make_features()[:, 0]])
    options = {"loss": ["huber", "absolute_error", "squared_error"], "monitor": "y1"}
    for weights, own in (({"y2": 3.0, "y0": 1.0, "y1": 2.0}, [1.0, 3.0]), ("uncertainty", "uncertainty")):
        model = make_model("regressor", **options, task_weights=weights)
        fits = _groups.checked_fits("task_groups", model, X, y, TWO_FOLDS, None, None, "r2", None)
        cut = fits._of_tasks((0, 2))
        assert (cut.loss, cut.task_weights, cut.monitor) == (["huber", "squared_error"], own, "mean")
        (found,) = fits.scores([(0, 2)])
        assert np.isfinite(found[:, [0, 2]]).all()


def test_each_fold_is_scored_by_groups_that_others_chose():
    # by folds 1 and 2 the tasks should be apart, by fold 0 together
    both, alone = np.full((3, 2), 0.5), np.full((3, 2), np.nan)
    both[0] = 5.0
    first, second = alone.copy(), alone.copy()
    first[:, 0] = second[:, 1] = 1.0
    proposed, by_fold = _groups._chosen({(0,): first, (1,): second, (0, 1): both}, 3)
    assert proposed == ((0, 1),)
    assert by_fold == [((0,), (1,)), ((0, 1),), ((0, 1),)]


def test_families_of_tasks_are_found():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8))
    hidden = np.column_stack([X[:, 0] * X[:, 1], X[:, 2] * X[:, 3]])
    y = hidden[:, [0, 1, 0, 1]] + 0.3 * rng.normal(size=(300, 4))
    small = {"n_members": 1, "n_experts": 1, "expert_layer_sizes": (6,), "tower_layer_sizes": (), "linear_part": False}
    model = MMoERegressor(**small, numeric_embeddings=None, learning_rate=0.02, max_epochs=60, random_state=0)
    report = task_groups(model, X, y, cv=3)
    assert report["group"] == [0, 1, 0, 1]
    assert np.mean(report["grouped"]) > np.mean(report["shared"])


def test_two_tasks_are_together_or_apart():
    report = task_groups(make_model("regressor"), make_features(), make_targets("regressor"), cv=2)
    assert report["group"] in ([0, 0], [0, 1])


def test_one_task_has_nobody_to_share_with():
    with pytest.raises(ValueError, match="task_groups compares tasks: y must have two or more"):
        task_groups(make_model("regressor"), make_features(), make_targets("regressor")[:, :1])
