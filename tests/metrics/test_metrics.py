"""Scorers and scores, task by task."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import (
    KINDS,
    TWO_FOLDS,
    Fixed,
    all_three,
    fitted,
    make_features,
    make_model,
    make_targets,
    with_missing,
)
from sklearn import config_context, metrics
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_scores

X4 = np.zeros((4, 1))
NAN = np.nan


def error_scorer(**options):
    return make_task_scorer(metrics.mean_absolute_error, greater_is_better=False, **options)


# --------------------------------------------------------------------------------------------------------------------
# Right on paper

OFF = Fixed(np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [4.0, 10.0]]))  # errors of 1 and of 6, 6, NaN, 0
HALF = np.array([[0.0, 4.0], [1.0, 4.0], [2.0, NAN], [3.0, 10.0]])


def test_errors_of_tasks_and_their_averages_leave_missing_labels_out():
    assert error_scorer(task=0)(OFF, X4, HALF) == -1
    assert error_scorer(task="y1")(OFF, X4, HALF) == -4
    assert error_scorer()(OFF, X4, HALF) == -2.5
    assert error_scorer(average={"y0": 3, "y1": 1})(OFF, X4, HALF) == -1.75
    assert error_scorer(average={"y1": 2})(OFF, X4, HALF) == -4


def test_sign_of_a_metric():
    assert make_task_scorer(metrics.mean_absolute_error, task=0)(OFF, X4, HALF) == 1


def test_a_task_without_labels_is_left_out_of_the_average():
    y = np.column_stack([HALF[:, 0], [NAN] * 4])
    assert error_scorer()(OFF, X4, y) == -1
    assert error_scorer(average={"y0": 1, "y1": 9})(OFF, X4, y) == -1


@pytest.mark.parametrize("options", [{"task": 1}, {"average": {"y1": 1.0}}])
def test_nothing_to_score_is_an_error(options):
    y = np.column_stack([HALF[:, 0], [NAN] * 4])
    with pytest.raises(ValueError, match="y has no label of task 'y1' here: there is nothing to score"):
        error_scorer(**options)(OFF, X4, y)


def test_weights_of_rows_and_of_labels():
    y = np.column_stack([HALF[:, 0] + [0, 0, 0, 2], HALF[:, 1]])  # errors of y0: 1, 1, 1, -1
    y[3, 0] = 0.0  # error of 4
    rows = [1, 1, 1, 2]
    assert error_scorer(task=0)(OFF, X4, y, rows) == -(1 + 1 + 1 + 2 * 4) / 5
    assert error_scorer(task=1)(OFF, X4, y, rows) == -(6 + 6 + 0) / 4
    cells = np.column_stack([[0, 0, 0, 1], [1, 0, 0, 0]])
    assert error_scorer()(OFF, X4, y, cells) == -(4 + 6) / 2
    cells[:, 1] = 0  # labels that weigh nothing are as good as missing
    assert error_scorer()(OFF, X4, y, cells) == -4


def test_probabilities_of_two_classes_are_those_of_the_second():
    classes = [np.array(["no", "yes"]), np.array([0.0, 1.0, 2.0])]
    proba = [np.array([[0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]]), np.full((4, 3), 1 / 3)]
    model = Fixed(probabilities=proba, classes=classes)
    y = pd.DataFrame({"late": ["no", "yes", "no", "yes"], "size": [0.0, 1.0, NAN, 0.0]})
    assert make_task_scorer("roc_auc", task="late")(model, X4, y) == 0.75
    assert make_task_scorer("average_precision", task="late")(model, X4, y) == pytest.approx((1 + 2 / 3) / 2)
    found = make_task_scorer("neg_log_loss", task="late")(model, X4, y)
    assert found == pytest.approx(np.log([0.8, 0.6, 0.3, 0.9]).mean())
    # no label of class 2 is there: the classes of the model tell how wide the probabilities are
    assert make_task_scorer("neg_log_loss", task="size")(model, X4, y) == pytest.approx(np.log(1 / 3))
    expected = (np.log([0.8, 0.6, 0.3, 0.9]).mean() + np.log(1 / 3)) / 2
    assert make_task_scorer("neg_log_loss")(model, X4, y) == pytest.approx(expected)


def test_pos_label_turns_the_probabilities_round():
    proba = [np.array([[0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]])] * 2
    model = Fixed(probabilities=proba, classes=[np.array(["no", "yes"])] * 2)
    y = np.array([["no", "no"], ["yes", "yes"], ["no", "no"], ["yes", "yes"]], dtype=object)
    scorer = make_task_scorer(metrics.average_precision_score, task=0, response_method="predict_proba", pos_label="no")
    assert scorer(model, X4, y) == pytest.approx((1 + 2 / 3) / 2)
    wrong = make_task_scorer(metrics.brier_score_loss, task=0, response_method="predict_proba", pos_label="maybe")
    with pytest.raises(ValueError, match="pos_label='maybe' is no class of task 'y0'"):
        wrong(model, X4, y)


def test_f1_of_strings_takes_the_second_class_as_positive():
    classes = [np.array(["a", "b"]), np.array(["x", "y", "z"])]
    predictions = np.array([["a", "x"], ["b", "y"], ["b", "z"], ["b", "x"]], dtype=object)
    y = np.array([["a", "x"], ["b", "y"], ["a", "y"], ["b", None]], dtype=object)
    model = Fixed(predictions, classes=classes)
    assert make_task_scorer(metrics.f1_score, task=0)(model, X4, y) == pytest.approx(0.8)
    macro = make_task_scorer(partial(metrics.f1_score, average="macro"))
    expected = [metrics.f1_score(y[:, 0], predictions[:, 0], average="macro"), (1 + 2 / 3 + 0) / 3]
    assert macro(model, X4, y) == make_task_scorer("f1_macro")(model, X4, y) == pytest.approx(np.mean(expected))


# --------------------------------------------------------------------------------------------------------------------
# Equal to scikit-learn, on our estimators and on theirs


def columns_of(model, X):
    return model.predict(X).T


@all_three
def test_a_named_task_is_scored_as_scikit_learn_scores_its_rows(name):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name).fit(X, y)
    weights = np.arange(1.0, 1 + len(X))
    for t, task in enumerate(model.task_names_):
        rows = ~np.isnan(y[:, t])
        direct = metrics.r2_score(y[rows, t], columns_of(model, X)[t][rows], sample_weight=weights[rows])
        assert make_task_scorer("r2", task=task)(model, X, y, weights) == pytest.approx(direct, rel=1e-12)
        assert make_task_scorer(metrics.r2_score, task=t)(model, X, y, weights) == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames(frame):
    X, y = make_features(), make_targets("multitask")
    arrays = dict(zip(KINDS, y.T, strict=True))
    arrays["up"] = arrays["up"].astype(bool)
    missing = {name: [None if i % 5 == 0 else v for i, v in enumerate(own)] for name, own in arrays.items()}
    model = make_model("multitask").fit(X, frame(missing))
    rows = np.arange(len(X)) % 5 > 0
    direct = metrics.roc_auc_score(arrays["up"][rows], model.predict_proba(X)["up"][rows, 1])
    assert make_task_scorer("roc_auc", task="up")(model, X, frame(missing)) == direct
    scores = task_scores(model, X, frame(missing))
    assert scores["up"]["roc_auc"] == direct
    assert scores["level"]["n_labels"] == rows.sum()
    assert make_task_scorer("f1", task="up")(model, X, frame(missing)) == metrics.f1_score(
        arrays["up"][rows], model.predict(X)[rows, 0].astype(bool)
    )


def test_a_single_target():
    X, y = make_features(), np.where(make_features()[:, 0] > 0, "yes", "no")
    model = make_model("classifier").fit(X, y)
    expected = metrics.average_precision_score(y, model.predict_proba(X)[:, 1], pos_label="yes")
    for task in (None, 0, "y0"):
        assert make_task_scorer("average_precision", task=task)(model, X, y) == expected
    assert set(multi_task_scoring(model)) == {"y0", "mean"}


def test_estimators_of_scikit_learn():
    X, y = make_features(), make_targets("classifier")
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    proba = forest.predict_proba(X)
    assert make_task_scorer("roc_auc", task=0)(forest, X, y) == metrics.roc_auc_score(y[:, 0], proba[0][:, 1])
    assert make_task_scorer("roc_auc_ovr", task=1)(forest, X, y) == metrics.roc_auc_score(
        y[:, 1], proba[1], multi_class="ovr"
    )
    multilabel = MLPClassifier((4,), max_iter=500, tol=0.1, random_state=0).fit(X, y > 0)
    direct = metrics.log_loss(y[:, 1] > 0, multilabel.predict_proba(X)[:, 1])
    assert make_task_scorer("neg_log_loss", task=1)(multilabel, X, y > 0) == -direct
    d2 = multi_task_scoring(["y0", "y1"])
    assert d2["y1"](multilabel, X, y > 0) == pytest.approx(
        metrics.d2_log_loss_score(y[:, 1] > 0, multilabel.predict_proba(X)[:, 1])
    )
    regression = make_targets("regressor")
    other = RandomForestRegressor(5, random_state=0).fit(X, regression)
    assert d2["mean"](other, X, regression) == pytest.approx(metrics.r2_score(regression, other.predict(X)))
    assert task_scores(other, X, regression)["y1"]["r2"] == pytest.approx(
        metrics.r2_score(regression[:, 1], other.predict(X)[:, 1])
    )


@all_three
def test_in_a_pipeline_and_in_a_search(name):
    X, y = 3 * make_features() + 1, with_missing(make_targets(name))
    pipeline = make_pipeline(StandardScaler(), make_model(name)).fit(X, y)
    scaled, last = pipeline[:-1].transform(X), pipeline[-1]
    search = GridSearchCV(pipeline, {f"{pipeline.steps[-1][0]}__max_epochs": [3]}, cv=TWO_FOLDS).fit(X, y)
    for scorer in [make_task_scorer("r2"), *multi_task_scoring(last).values()]:
        assert scorer(pipeline, X, y) == scorer(last, scaled, y) == scorer(search, X, y)
    assert task_scores(pipeline, X, y).keys() == task_scores(search, X, y).keys() == set(last.task_names_)
    pd.testing.assert_frame_equal(pd.DataFrame(task_scores(pipeline, X, y)), pd.DataFrame(task_scores(search, X, y)))


# --------------------------------------------------------------------------------------------------------------------
# multi_task_scoring


@pytest.mark.parametrize("name", ["regressor", "multitask"])
def test_mean_is_the_score_of_the_estimator(name):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name).fit(X, y)
    scoring = multi_task_scoring(model)
    weights = np.arange(1.0, 1 + len(X))
    assert scoring["mean"](model, X, y, weights) == pytest.approx(model.score(X, y, weights), rel=1e-12)
    own = [scoring[task](model, X, y, weights) for task in model.task_names_]
    assert np.mean(own) == pytest.approx(model.score(X, y, weights), rel=1e-12)


def test_each_kind_of_task_has_its_own_d2():
    X, y = make_features(), make_targets("multitask")
    model = make_model("multitask").fit(X, y)
    predicted, scoring = model.predict(X), multi_task_scoring(model)
    expected = {
        "up": metrics.d2_log_loss_score(y[:, 0], model.predict_proba(X)["up"]),
        "level": metrics.r2_score(y[:, 1], predicted[:, 1]),
        "visits": metrics.d2_tweedie_score(y[:, 2], predicted[:, 2], power=1),
    }
    assert {task: scoring[task](model, X, y) for task in KINDS} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        (MMoEMultiTask(tasks=KINDS), list(KINDS)),
        (make_pipeline(StandardScaler(), MMoEMultiTask(tasks=KINDS)), list(KINDS)),
        (GridSearchCV(MMoEMultiTask(tasks=KINDS), {"n_experts": [1]}), list(KINDS)),
        (RandomizedSearchCV(make_pipeline(MMoEMultiTask(tasks=KINDS)), {}), list(KINDS)),
        (MMoEMultiTask(tasks=["binary", "count"]), ["y0", "y1"]),
        (KINDS, list(KINDS)),
        (("late", "delay"), ["late", "delay"]),
    ],
)
def test_who_knows_the_names_of_the_tasks(tasks, names):
    assert list(multi_task_scoring(tasks)) == [*names, "mean"]


def test_tasks_declared_in_order_are_found_in_a_frame_with_names():
    X, y = make_features(), make_targets("multitask")[:, :2]
    model = make_model("multitask", tasks=["binary", "regression"])
    scoring = multi_task_scoring(model)
    frame = pd.DataFrame(y, columns=["late", "delay"])
    model.fit(X, frame)
    assert scoring["y1"](model, X, frame) == pytest.approx(make_task_scorer("r2", task="delay")(model, X, frame))


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (MMoERegressor(), "MMoERegressor does not know the names of its tasks yet"),
        (DummyRegressor(), "DummyRegressor does not know the names"),
        (MMoEMultiTask(), "MMoEMultiTask does not know the names"),
        ([], "names of tasks, each once"),
        (["a", "a"], "names of tasks, each once"),
        ([0, 1], "names of tasks, each once"),
        (["mean", "late"], "A task is called 'mean'"),
    ],
)
def test_multi_task_scoring_refuses(tasks, words):
    with pytest.raises(ValueError, match=words):
        multi_task_scoring(tasks)


# --------------------------------------------------------------------------------------------------------------------
# In scikit-learn's tools


@all_three
def test_multi_metric_search(name):
    X, y = make_features(), with_missing(make_targets(name))
    scoring = multi_task_scoring(fitted(name))
    grid = {"learning_rate": [1e-4, 3e-2]}
    options = {"max_epochs": 20, "numeric_embeddings": None}
    search = GridSearchCV(
        make_model(name, **options), grid, scoring=scoring, refit="mean", cv=TWO_FOLDS, error_score="raise"
    ).fit(X, y)
    assert search.best_params_ == {"learning_rate": 3e-2}
    train, test = next(TWO_FOLDS.split(X))
    direct = make_model(name, learning_rate=3e-2, **options).fit(X[train], y[train])
    for entry, scorer in scoring.items():
        assert search.cv_results_[f"split0_test_{entry}"][1] == scorer(direct, X[test], y[test])


@all_three
def test_cross_validate_and_permutation_importance(name):
    X, y = make_features(), with_missing(make_targets(name))
    scorer = make_task_scorer("r2", task=0)
    found = cross_validate(make_model(name), X, y, cv=TWO_FOLDS, scoring=scorer, error_score="raise")
    assert np.isfinite(found["test_score"]).all()
    importance = permutation_importance(fitted(name), X, y, scoring=scorer, n_repeats=2, random_state=0)
    assert np.isfinite(importance.importances).all()


def test_a_fold_without_labels_of_the_task_fails_alone():
    X, y = make_features(), make_targets("regressor")
    y[30:, 1] = NAN
    folds = [(np.arange(30), np.arange(30, 60))]
    with pytest.warns(UserWarning, match="Scoring failed"):
        found = cross_validate(make_model("regressor"), X, y, cv=folds, scoring=make_task_scorer("r2", task=1))
    assert np.isnan(found["test_score"]).all()
    found = cross_validate(make_model("regressor"), X, y, cv=folds, scoring=make_task_scorer("r2"))
    assert np.isfinite(found["test_score"]).all()


def test_weights_are_routed_to_a_scorer_that_asks_for_them():
    X, y, weights = make_features(), make_targets("multitask"), np.arange(1.0, 61.0)
    with config_context(enable_metadata_routing=True):
        scorers = {
            "asks": make_task_scorer("roc_auc", task="up").set_score_request(sample_weight=True),
            "mean": multi_task_scoring(KINDS)["mean"].set_score_request(sample_weight=True),
            "not": make_task_scorer("roc_auc", task="up").set_score_request(sample_weight=False),
        }
        model = make_model("multitask").set_fit_request(sample_weight=False)
        found = cross_validate(
            model, X, y, cv=TWO_FOLDS, scoring=scorers, params={"sample_weight": weights}, error_score="raise"
        )
    train, test = next(TWO_FOLDS.split(X))
    direct = make_model("multitask").fit(X[train], y[train])
    auc = make_task_scorer("roc_auc", task="up")
    assert found["test_asks"][0] == auc(direct, X[test], y[test], weights[test])
    assert found["test_mean"][0] == pytest.approx(direct.score(X[test], y[test], weights[test]), rel=1e-12)
    assert found["test_not"][0] == auc(direct, X[test], y[test]) != found["test_asks"][0]


@pytest.mark.parametrize(
    "scorer",
    [
        make_task_scorer("roc_auc", task="up"),
        make_task_scorer(metrics.f1_score, average={"up": 2.0}, zero_division=0),
        multi_task_scoring(KINDS)["level"],
    ],
)
def test_pickle_and_clone(scorer):
    X, y, model = make_features(), make_targets("multitask"), fitted("multitask")
    expected = scorer(model, X, y)
    assert pickle.loads(pickle.dumps(scorer))(model, X, y) == expected
    copy = clone(GridSearchCV(model, {"n_experts": [1]}, scoring=scorer)).scoring
    assert copy(model, X, y) == expected
    assert repr(copy) == repr(scorer)


def test_reprs():
    assert repr(make_task_scorer(metrics.f1_score, task="late", zero_division=0)) == (
        "make_task_scorer(f1_score, task='late', response_method='predict', zero_division=0)"
    )
    assert repr(make_task_scorer("neg_log_loss")) == (
        "make_task_scorer(log_loss, average='macro', response_method='predict_proba', greater_is_better=False)"
    )
    assert repr(multi_task_scoring(KINDS)["up"]) == "ExplainedScorer(task='up')"
    html = GridSearchCV(MMoERegressor(), {}, scoring=make_task_scorer("r2", task="late"))._repr_html_()
    assert "make_task_scorer" in html


# --------------------------------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "auc"}, "metric 'auc' is not the name of a scorer"),
        ({"metric": 3}, "metric must be a function of labels and answers"),
        ({"metric": "r2", "task": 1.5}, "task must be the name of a task, a column of y or None; got 1.5"),
        ({"metric": "r2", "task": True}, "task must be the name of a task"),
        ({"metric": "r2", "average": "micro"}, "average must be 'macro' or a mapping"),
        ({"metric": "r2", "average": {"a": -1.0}}, "finite weights of 0 or more"),
        ({"metric": "r2", "average": {"a": NAN}}, "finite weights of 0 or more"),
        ({"metric": "r2", "average": {"a": "b"}}, "finite weights of 0 or more"),
        ({"metric": "r2", "average": {"a": 0.0}}, "some task a weight above 0"),
        ({"metric": "r2", "average": {}}, "some task a weight above 0"),
        ({"metric": "r2", "task": "a", "average": {"a": 1.0}}, "leave out average or task"),
        ({"metric": "r2", "greater_is_better": False}, "leave out response_method and greater_is_better"),
        ({"metric": "r2", "response_method": "predict"}, "leave out response_method and greater_is_better"),
    ],
)
def test_make_task_scorer_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        make_task_scorer(**options)


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        (make_task_scorer("r2", task="lat"), r"task='lat' is no task of y: the tasks are \['up', 'level', 'visits'\]"),
        (make_task_scorer("r2", task=3), "task=3 is no task of y"),
        (make_task_scorer("r2", task=-1), "task=-1 is no task of y"),
        (
            make_task_scorer("r2", average={"up": 1, "down": 1}),
            r"average weighs tasks that y does not have: \['down'\]",
        ),
        (make_task_scorer("roc_auc", task="level"), "roc_auc_score needs probabilities, and task 'level' has none"),
        (make_task_scorer("neg_log_loss"), "average as a mapping of the classifications"),
    ],
)
def test_what_a_scorer_refuses_of_a_model(scorer, words):
    with pytest.raises(ValueError, match=words):
        scorer(fitted("multitask"), make_features(), make_targets("multitask"))


def test_probabilities_of_an_estimator_without_any():
    with pytest.raises(AttributeError, match="predict_proba"):
        make_task_scorer("roc_auc", task=0)(fitted("regressor"), make_features(), make_targets("regressor"))


def test_weights_for_a_metric_that_takes_none():
    with pytest.raises(ValueError, match="sample_weight is given, but the metric max_error takes none"):
        make_task_scorer("neg_max_error", task=0)(OFF, X4, HALF, np.ones(4))


def test_other_tasks_than_the_model_has():
    model, X, y = fitted("multitask"), make_features(), make_targets("multitask")
    with pytest.raises(ValueError, match="fitted on a 2-D y of 3 tasks, got a 2-D y of 2"):
        make_task_scorer("r2", task=1)(model, X, y[:, :2])
    with pytest.raises(ValueError, match=r"y has 3 tasks .* predict of Fixed gives an array of shape \(4, 2\)"):
        make_task_scorer("r2", task=1)(OFF, X4, np.zeros((4, 3)))


def test_a_frame_of_y_has_the_names_that_the_model_knows():
    X, y = make_features(), make_targets("multitask")
    model = make_model("multitask").fit(X, y)  # of names that are declared
    known, others = pd.DataFrame(y, columns=list(KINDS)), pd.DataFrame(y, columns=list("abc"))
    for score in (make_task_scorer("r2"), multi_task_scoring(KINDS)["mean"], task_scores, type(model).score):
        score(model, X, known)
        for wrong in (others, known[known.columns[::-1]]):
            with pytest.raises(ValueError, match=r"fitted on the tasks \['up', 'level', 'visits'\], got y with"):
                score(model, X, wrong)


def test_a_frame_of_y_may_bring_names_to_a_model_that_knows_none():
    X, y = make_features(), make_targets("multitask")
    model = make_model("multitask", tasks=list(KINDS.values())).fit(X, y)
    frame = pd.DataFrame(y, columns=list(KINDS))
    for metric, task in (("roc_auc", "up"), ("accuracy", "up"), ("r2", "level")):
        scorer = make_task_scorer(metric, task=task)
        assert scorer(model, X, frame) == make_task_scorer(metric, task=list(KINDS).index(task))(model, X, y)
    assert list(task_scores(model, X, frame)) == list(KINDS)
    assert list(task_scores(model, X, y)["y0"].values()) == pytest.approx(
        list(task_scores(model, X, frame)["up"].values()), nan_ok=True
    )
