"""The shared model against one model per task."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import KINDS, TWO_FOLDS, all_three, make_features, make_model, make_targets, task_name, with_missing
from joblib import parallel_config
from sklearn import metrics
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, transfer_report

COLUMNS = ["task", "n_labels", "shared", "single", "gain", "gain_std_error"]


def single_model(name, t):
    """The model of one task, written out."""
    if name != "multitask":
        return make_model(name)
    task = task_name(name, t)
    return make_model(name, tasks={task: KINDS[task]})


def slow_report(name, X, y, folds, scorers, single_scorers):
    """Fold by fold, fit by fit: scores of shape (n_folds, n_tasks) of the shared and the single models."""
    shared, single = np.full((2, len(folds), y.shape[1]), np.nan)
    for f, (train, test) in enumerate(folds):
        together = make_model(name).fit(X[train], y[train])
        for t in range(y.shape[1]):
            rows, tested = (part[~np.isnan(y[part, t])] for part in (train, test))
            alone = single_model(name, t).fit(X[rows], y[rows, t])
            shared[f, t] = scorers[t](together, X[test], y[test])
            single[f, t] = single_scorers[t](alone, X[tested], y[tested, t])
    return shared, single


@all_three
@pytest.mark.parametrize("scoring", [None, "r2"])
def test_report_equals_fits_one_by_one(name, scoring):
    X, y = make_features(), with_missing(make_targets(name))
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    tasks = [task_name(name, t) for t in range(y.shape[1])]
    scorers = [make_task_scorer("r2", task=t) if scoring else multi_task_scoring(tasks)[t] for t in tasks]
    alone = [make_task_scorer("r2", task=0) if scoring else multi_task_scoring([t])["mean"] for t in tasks]
    shared, single = slow_report(name, X, y, folds, scorers, alone)
    report = transfer_report(make_model(name), X, y, cv=folds, scoring=scoring)
    assert list(report) == COLUMNS
    assert report["task"] == tasks
    assert report["n_labels"] == (~np.isnan(y)).sum(axis=0).tolist()
    np.testing.assert_allclose(report["shared"], shared.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(report["single"], single.mean(axis=0), rtol=1e-12)
    gains = shared - single
    np.testing.assert_allclose(report["gain"], gains.mean(axis=0), rtol=1e-9, atol=1e-12)
    errors = [np.sqrt(sum((g - own.mean()) ** 2 for g in own) / 2 / 3) for own in gains.T]
    np.testing.assert_allclose(report["gain_std_error"], errors, rtol=1e-9, atol=1e-12)


def test_report_is_a_frame_with_a_row_per_task():
    frame = pd.DataFrame(transfer_report(make_model("multitask"), make_features(), make_targets("multitask"), cv=2))
    assert frame.shape == (3, 6)
    assert frame["task"].tolist() == list(KINDS)
    assert np.isfinite(frame.drop(columns="task").to_numpy(dtype=float)).all()


def test_folds_as_masks_and_in_parallel():
    X, y = make_features(), with_missing(make_targets("multitask"))
    folds = list(TWO_FOLDS.split(X))
    masks = [tuple(np.isin(np.arange(len(X)), part) for part in fold) for fold in folds]
    expected = transfer_report(make_model("multitask"), X, y, cv=TWO_FOLDS)
    # sorted rows are other batches, so the masks are compared with the sorted folds
    ordered = [tuple(np.sort(part) for part in fold) for fold in folds]
    assert transfer_report(make_model("multitask"), X, y, cv=masks) == transfer_report(
        make_model("multitask"), X, y, cv=ordered
    )
    with parallel_config("multiprocessing"):  # whose processes need not import torch again
        assert transfer_report(make_model("multitask"), X, y, cv=TWO_FOLDS, n_jobs=2) == expected


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_and_declarations_that_are_found_in_the_types(frame):
    X = make_features()
    columns = {"up": np.where(X[:, 0] > 0, "yes", "no").tolist(), "level": (X[:, 0] + X[:, 1]).tolist()}
    columns["up"][::7] = [None] * len(columns["up"][::7])
    kinds = {"up": "binary", "level": "regression"}
    automatic = transfer_report(make_model("multitask", tasks="auto"), X, frame(columns), cv=TWO_FOLDS)
    assert automatic == transfer_report(make_model("multitask", tasks=kinds), X, frame(columns), cv=TWO_FOLDS)
    assert automatic["task"] == ["up", "level"]
    ordered = make_model("multitask", tasks=["binary", "regression"])
    assert transfer_report(ordered, X, frame(columns), cv=TWO_FOLDS) == automatic
    lists = [list(row) for row in zip(*columns.values(), strict=True)]
    assert transfer_report(make_model("multitask", tasks=kinds), X, lists, cv=TWO_FOLDS) == automatic


def test_what_is_said_task_by_task_is_cut_down():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", loss=["huber", "absolute_error"], task_weights=[1.0, 3.0])
    report = transfer_report(model, X, y, cv=TWO_FOLDS)
    for t, loss in enumerate(["huber", "absolute_error"]):
        own = [
            make_model("regressor", loss=loss).fit(X[train], y[train, t]).score(X[test], y[test, t])
            for train, test in TWO_FOLDS.split(X)
        ]
        assert report["single"][t] == pytest.approx(np.mean(own), rel=1e-12)
    X, y = make_features(), make_targets("classifier")
    weights = [{0: 1.0, 1: 5.0}, {0: 1.0, 1: 1.0, 2: 9.0}]
    model = make_model("classifier", class_weight=weights, task_weights={"y0": 1.0, "y1": 2.0})
    report = transfer_report(model, X, y, cv=TWO_FOLDS, scoring="neg_log_loss")
    for t, class_weight in enumerate(weights):
        own = []
        for train, test in TWO_FOLDS.split(X):
            single = make_model("classifier", class_weight=class_weight).fit(X[train], y[train, t])
            own.append(-metrics.log_loss(y[test, t], single.predict_proba(X[test])))
        assert report["single"][t] == pytest.approx(np.mean(own), rel=1e-12)


def test_estimator_is_left_alone():
    model = make_model("regressor", loss=["huber", "absolute_error"], task_weights=[1.0, 3.0])
    before = repr(model)
    transfer_report(make_pipeline(StandardScaler(), model), make_features(), make_targets("regressor"), cv=2)
    assert repr(model) == before
    assert not hasattr(model, "net_")


@pytest.mark.parametrize("per_task", [False, True])
def test_weights_reach_the_last_step_of_a_pipeline_and_the_scores(per_task):
    X, y, weights = make_features(), make_targets("regressor"), np.arange(1.0, 61.0)
    cells = np.column_stack([weights, weights[::-1] if per_task else weights])
    pipeline = make_pipeline(StandardScaler(), make_model("regressor"))
    given = cells if per_task else weights
    report = transfer_report(pipeline, X, y, cv=TWO_FOLDS, sample_weight=given)
    shared, single = np.zeros((2, 2, 2))
    for f, (train, test) in enumerate(TWO_FOLDS.split(X)):
        scaler = StandardScaler().fit(X[train])
        A, B = scaler.transform(X[train]), scaler.transform(X[test])
        together = make_model("regressor").fit(A, y[train], cells[train]).predict(B)
        for t in range(2):
            alone = make_model("regressor").fit(A, y[train, t], cells[train, t]).predict(B)
            shared[f, t] = metrics.r2_score(y[test, t], together[:, t], sample_weight=cells[test, t])
            single[f, t] = metrics.r2_score(y[test, t], alone, sample_weight=cells[test, t])
    np.testing.assert_allclose(report["shared"], shared.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(report["single"], single.mean(axis=0), rtol=1e-9)


def test_a_metric_of_each_task():
    X, y = make_features(), make_targets("multitask")
    scoring = {"up": "roc_auc", "level": "neg_mean_absolute_error"}
    report = transfer_report(make_model("multitask"), X, y, cv=TWO_FOLDS, scoring=scoring)
    for t, metric in enumerate([*scoring.values(), None]):
        own = [
            (make_task_scorer(metric, task=t) if metric else multi_task_scoring(KINDS)["visits"])(
                make_model("multitask").fit(X[train], y[train]), X[test], y[test]
            )
            for train, test in TWO_FOLDS.split(X)
        ]
        assert report["shared"][t] == pytest.approx(np.mean(own), rel=1e-12)


def test_a_fold_without_labels_of_a_task_is_left_out_of_its_row():
    X, y = make_features(), make_targets("regressor")
    y[40:, 1] = np.nan
    folds = list(KFold(3).split(X))
    report = transfer_report(make_model("regressor"), X, y, cv=folds)
    two = transfer_report(make_model("regressor"), X, y, cv=folds[:2])
    for column in ("shared", "single", "gain", "gain_std_error"):
        assert report[column][1] == two[column][1]
    one = transfer_report(make_model("regressor"), X, y, cv=[folds[2]])
    assert np.isfinite(one["gain"][0])
    assert np.isnan([one["gain_std_error"][0], one["gain"][1], one["shared"][1], one["gain_std_error"][1]]).all()


def test_tasks_that_are_the_same_help_and_tasks_that_fight_for_two_units_hurt():
    small = {"expert_layer_sizes": (8,), "learning_rate": 0.01, "batch_size": 256, "max_epochs": 30}
    small["numeric_embeddings"] = None
    X, y = make_related_tasks(400, 20, correlation=1.0, noise=0.5, random_state=0)
    same = transfer_report(make_model("regressor", **small), X, y, cv=4)
    assert min(same["gain"]) > 0.05
    X, y = make_related_tasks(400, 20, correlation=0.0, noise=0.5, random_state=0)
    narrow = make_model("regressor", **{**small, "n_experts": 1, "expert_layer_sizes": (2,)})
    fight = transfer_report(narrow, X, y, cv=4)
    worst = int(np.argmin(fight["gain"]))
    assert fight["gain"][worst] < -5 * fight["gain_std_error"][worst] < 0


@pytest.mark.parametrize(
    ("estimator", "y", "options", "words"),
    [
        (RandomForestRegressor(), make_targets("regressor"), {}, "must be an MMoERegressor, MMoEClassifier or"),
        (
            GridSearchCV(make_model("regressor"), {}),
            make_targets("regressor"),
            {},
            "a pipeline that ends in one; got GridSearchCV",
        ),
        (make_model("regressor"), make_targets("regressor")[:, 0], {}, "y must have two or more, got"),
        (make_model("regressor"), make_targets("regressor")[:, :1], {}, "y must have two or more, got"),
        (make_model("regressor"), make_targets("regressor"), {"scoring": "auc"}, "'auc' is not the name of a scorer"),
        (make_model("regressor"), make_targets("regressor"), {"scoring": {"a": "r2"}}, "does not have: .'a'.; the"),
        (
            make_model("multitask"),
            make_targets("multitask"),
            {"scoring": "roc_auc"},
            "task 'level' has none",
        ),
    ],
)
def test_bad_input(estimator, y, options, words):
    with pytest.raises(ValueError, match=words):
        transfer_report(estimator, make_features(), y, cv=2, **options)
