"""Scores that the labels of a task do not define take no other task's with them."""

import re

import numpy as np
import pandas as pd
import pytest
from helpers import KINDS, SMALL, Fixed, make_features, make_model, make_targets
from sklearn import metrics
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_scores, transfer_report
from sklearn_mmoe.tasks import Ordinal

NAN = np.nan
X = make_features()
PAIR = (X[:, :2] > 0).astype(float)  # of two tasks of two classes
NUMBERS = np.column_stack([X[:, 0] + X[:, 1], 100 * X[:, 2]])
SMALLEST = {**SMALL, "max_epochs": 1}


def first_column(y, values):
    y = y.copy()
    y[:, 0] = values
    return y


UNSEEN = first_column(PAIR, np.where(np.arange(60) == 3, 7.0, PAIR[:, 0]))
ONE_CLASS = first_column(PAIR, 1.0)
ONE_ROW = first_column(PAIR, np.where(np.arange(60) == 3, PAIR[:, 0], NAN))
NO_LABEL = first_column(PAIR, NAN)


def of_seen_classes(y_true, y_pred):
    """A metric of the user's that raises instead of giving NaN."""
    if len(np.unique(y_true)) < 2:
        raise ValueError("one class only")
    return metrics.accuracy_score(y_true, y_pred)


@pytest.fixture(scope="module")
def models():
    search = GridSearchCV(MMoEClassifier(**SMALLEST), {"n_experts": [2]}, cv=KFold(2))
    return {
        "ours": MMoEClassifier(**SMALLEST).fit(X, PAIR),
        "several kinds": MMoEMultiTask(**SMALLEST, tasks=["binary", "ordinal"]).fit(X, PAIR),
        "pipeline": make_pipeline(StandardScaler(), MMoEClassifier(**SMALLEST)).fit(X, PAIR),
        "search": search.fit(X, PAIR),
        "forest": RandomForestClassifier(3, random_state=0).fit(X, PAIR),
    }


every_model = pytest.mark.parametrize("model", ["ours", "several kinds", "pipeline", "search", "forest"])


@every_model
@pytest.mark.parametrize(
    ("metric", "y", "why"),
    [
        ("d2", UNSEEN, "the model has no class 7.0"),
        ("d2", ONE_ROW, "it has a single label"),
        ("neg_log_loss", UNSEEN, "the model has no class 7.0"),
        ("neg_brier_score", UNSEEN, "the model has no class 7.0"),
        ("roc_auc", UNSEEN, "the model has no class 7.0"),
        ("roc_auc", ONE_CLASS, "it has no label of class 0.0"),
        ("roc_auc", ONE_ROW, "it has no label of class"),
        ("f1", UNSEEN, "f1_score of task 'y0' is not defined for its labels"),
        (of_seen_classes, ONE_CLASS, "is not defined for its labels (one class only)"),
    ],
)
@pytest.mark.parametrize("weights", [None, np.arange(1.0, 61.0), np.arange(1.0, 121.0).reshape(60, 2)])
def test_the_mean_leaves_out_a_task_whose_labels_define_no_score(models, model, metric, y, why, weights):
    mean, single = (
        (multi_task_scoring(["y0", "y1"])["mean"], multi_task_scoring(["y0", "y1"])["y1"])
        if metric == "d2"
        else (make_task_scorer(metric), make_task_scorer(metric, task="y1"))
    )
    given = () if weights is None or metric is of_seen_classes else (weights,)
    with pytest.warns(UndefinedMetricWarning) as caught:
        found = mean(models[model], X, y, *given)
    assert found == single(models[model], X, y, *given)
    (text,) = [str(warning.message) for warning in caught]
    assert text.startswith("No score of task 'y0': ")
    assert why in text
    assert text.endswith("The score is the mean of the other tasks.")
    assert "y1" not in text


@pytest.mark.parametrize(
    "scorer",
    [
        multi_task_scoring(["y0", "y1"])["y0"],
        make_task_scorer("roc_auc", task=0),
        make_task_scorer("neg_log_loss", task=0),
    ],
)
def test_a_single_task_whose_labels_define_no_score_has_nan(models, scorer):
    words = "No score of task 'y0': the model has no class 7.0. The score is NaN."
    with pytest.warns(UndefinedMetricWarning, match=re.escape(words)):
        assert np.isnan(scorer(models["ours"], X, UNSEEN))


@every_model
def test_a_label_of_no_class_is_never_right(models, model):
    predicted = np.asarray(models[model].predict(X))
    words_among_numbers = PAIR.astype(object)
    words_among_numbers[:9, 0] = "rare"
    for y in (UNSEEN, words_among_numbers):
        right = predicted == y
        if y.dtype == float:
            assert make_task_scorer("accuracy")(models[model], X, y) == right.mean()
        scores = task_scores(models[model], X, y)["y0"]
        assert scores["accuracy"] == right[:, 0].mean()
        assert np.isnan([scores["log_loss"], scores["roc_auc"], scores["average_precision"]]).all()


def test_score_leaves_out_what_the_mean_leaves_out(models):
    mean = multi_task_scoring(["y0", "y1"])["mean"]
    for y in (UNSEEN, ONE_ROW):
        with pytest.warns(UndefinedMetricWarning, match="No score of task 'y0'"):
            assert models["several kinds"].score(X, y) == mean(models["several kinds"], X, y)
    assert models["ours"].score(X, UNSEEN) == (models["ours"].predict(X) == UNSEEN).all(axis=1).mean()


def test_ranks_are_not_made_up_for_labels_without_one():
    grades = np.array(["low", "middle", "high"])
    codes = np.digitize(X[:, 0], [-0.5, 0.5])
    y = pd.DataFrame({"grade": grades[codes], "level": X[:, 1]})
    model = MMoEMultiTask(**SMALLEST, tasks={"grade": Ordinal(grades.tolist()), "level": "regression"}).fit(X, y)
    y.loc[:4, "grade"] = "zero"
    with pytest.warns(UndefinedMetricWarning, match="No score of task 'grade': the model has no class 'zero'"):
        found = make_task_scorer("neg_mean_absolute_error")(model, X, y)
    assert found == make_task_scorer("neg_mean_absolute_error", task="level")(model, X, y)
    scores = task_scores(model, X, y)["grade"]
    assert scores["accuracy"] == (model.predict_frame(X)["grade"] == y["grade"]).mean()
    assert np.isnan([scores["quadratic_kappa"], scores["log_loss"]]).all()


# --------------------------------------------------------------------------------------------------------------------
# R2


@pytest.fixture(scope="module")
def regressions():
    forest = RandomForestRegressor(3, random_state=0).fit(X, NUMBERS)
    return {"ours": MMoERegressor(**SMALLEST).fit(X, NUMBERS), "forest": forest}


HALF = np.where(np.arange(60)[:, None] < [30, 20], 0.0, 1.0)


@pytest.mark.parametrize("model", ["ours", "forest"])
@pytest.mark.parametrize("weights", [None, np.arange(60.0), HALF, HALF[:, 0]])
@pytest.mark.parametrize(
    ("y", "n_scored"),
    [
        (NUMBERS, 2),
        (first_column(NUMBERS, 0.1), 2),  # its mean is not 0.1
        (first_column(NUMBERS, np.where(np.arange(60) < 30, 5.0, 0.1)), 2),
        (first_column(NUMBERS, np.where(np.arange(60) > 40, X[:, 0], NAN)), 2),
        (first_column(NUMBERS, np.where(np.arange(60) == 50, 1.0, NAN)), 1),
        (first_column(NUMBERS, NAN), 1),
    ],
    ids=["all labels", "constant", "constant where it counts", "missing", "one label", "no label"],
)
@pytest.mark.filterwarnings("ignore:No score of task 'y0'. it has a single label")
def test_score_and_the_scorer_of_r2_agree(regressions, model, y, n_scored, weights):
    cells = np.ones((60, 2)) if weights is None else np.resize(weights.T, (2, 60)).T
    fitted, expected = regressions[model], []
    for t, predicted in enumerate(fitted.predict(X).T):
        counted = ~np.isnan(y[:, t]) & (cells[:, t] > 0)
        if counted.sum() > 1:
            labels, weight = y[counted, t], cells[counted, t]
            constant = (labels == labels[0]).all()
            r2 = 0.0 if constant else metrics.r2_score(labels, predicted[counted], sample_weight=weight)
            expected.append(r2)
    assert len(expected) == n_scored
    scorers = [make_task_scorer("r2"), multi_task_scoring(["y0", "y1"])["mean"]]
    found = [scorer(fitted, X, y, weights) for scorer in scorers]
    if model == "ours":
        found.append(fitted.score(X, y, weights))
    assert found == pytest.approx([np.mean(expected)] * len(found), rel=1e-9)


def test_constant_labels_that_are_met_are_explained():
    model = Fixed(np.full((4, 2), 0.1))
    y = np.array([[0.1, 1.0], [0.1, 1.0], [0.1, 1.0], [0.1, NAN]])
    for metric in ("r2", "explained_variance", metrics.d2_absolute_error_score):
        assert make_task_scorer(metric, task=0)(model, X[:4], y) == 1.0
    assert make_task_scorer("r2", task=1)(model, X[:4], y) == 0.0
    assert make_task_scorer("explained_variance", task=1)(model, X[:4], y) == 1.0  # but for an offset


def test_one_row_has_no_r2(regressions):
    for score in (regressions["ours"].score, lambda *data: make_task_scorer("r2")(regressions["ours"], *data)):
        with pytest.warns(UndefinedMetricWarning, match="of task 'y0': it has a single label.*; of task 'y1'.* is NaN"):
            assert np.isnan(score(X[:1], NUMBERS[:1]))


# --------------------------------------------------------------------------------------------------------------------
# The labels are not at fault


def correlation(y_true, y_pred):
    with np.errstate(invalid="ignore"):
        return float(np.mean((y_true - y_true.mean()) * (y_pred - y_pred.mean())) / (y_true.std() * y_pred.std()))


def test_a_model_gains_nothing_by_answers_that_have_no_score():
    y = abs(NUMBERS)
    words = "of task 'y0': it is NaN for what the model answers. The score is NaN"
    with pytest.warns(UndefinedMetricWarning, match=words):
        assert np.isnan(make_task_scorer(correlation)(Fixed(first_column(y, 0.0)), X, y))
    words = "mean_squared_log_error of task 'y0' is not defined for what the model answers: Mean Squared Log"
    with pytest.raises(ValueError, match=words):
        make_task_scorer("neg_mean_squared_log_error")(Fixed(first_column(y, -2.0)), X, y)


def test_labels_that_are_all_the_same_leave_a_task_out_whatever_a_model_answers():
    y = first_column(NUMBERS, 1.0)
    for answers in (y, NUMBERS, first_column(NUMBERS, 2.0)):
        with pytest.warns(UndefinedMetricWarning, match="correlation of task 'y0' is not defined for its labels"):
            found = make_task_scorer(correlation)(Fixed(answers), X, y)
        assert found == pytest.approx(1.0)


def test_a_metric_that_refuses_all_tasks_is_an_error_that_names_them():
    y = np.column_stack([np.digitize(X[:, 0], [-0.5, 0.5])] * 2)
    model = RandomForestClassifier(3, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"of task 'y0': roc_auc_score .*\(multi_class must be.*; of task 'y1'"):
        make_task_scorer("roc_auc")(model, X, y)
    with pytest.raises(TypeError, match="metric must give one number for a task, but confusion_matrix of task 'y0'"):
        make_task_scorer(metrics.confusion_matrix)(model, X, y)


def test_warnings_are_errors_for_those_who_want_them_to_be(models):
    with pytest.raises(UndefinedMetricWarning, match=re.escape("No score of task 'y0': it has no label of class 0.0")):
        make_task_scorer("roc_auc")(models["ours"], X, ONE_CLASS)


# --------------------------------------------------------------------------------------------------------------------
# In the tools of scikit-learn and of this package


@pytest.mark.filterwarnings("ignore:No score of task")
def test_a_search_ranks_by_the_tasks_that_have_a_score_in_a_fold():
    rare = np.zeros(60)
    rare[[25, 45]] = 1  # the first of three folds has none
    y = np.column_stack([PAIR[:, 0], rare])
    grid = {"learning_rate": [1e-6, 0.05]}
    model = make_model("classifier", max_epochs=20, early_stopping=False, numeric_embeddings=None)
    search = GridSearchCV(model, grid, cv=KFold(3), scoring=make_task_scorer("roc_auc")).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ == {"learning_rate": 0.05}


@pytest.mark.filterwarnings("ignore:No score of task")
def test_one_entry_of_several_scorers_takes_no_other_with_it(models):
    y = pd.DataFrame({"u": np.where(X[:, 0] > 0, "x", "y"), "v": np.where(X[:, 1] > 0, "p", "q")})
    y.loc[5, "u"] = "rare"
    scoring = multi_task_scoring(["u", "v"])
    found = cross_validate(MMoEClassifier(**SMALLEST), X, y, cv=KFold(3), scoring=scoring, error_score="raise")
    assert np.isnan(found["test_u"]).tolist() == [True, False, False]
    assert np.isfinite([found["test_v"], found["test_mean"]]).all()
    scoring = {task: make_task_scorer("roc_auc", task=task) for task in ("y0", "y1")}
    importance = permutation_importance(models["ours"], X, ONE_CLASS, scoring=scoring, n_repeats=1)
    assert np.isnan(importance["y0"].importances).all()
    assert np.isfinite(importance["y1"].importances).all()


@pytest.mark.filterwarnings("ignore:No score of task")
def test_a_report_leaves_a_fold_out_of_the_rows_of_tasks_that_have_no_score_there():
    y = PAIR.copy()
    y[20:40, 0] = 1.0
    folds = [(np.r_[:20, 40:60], np.arange(20, 40)), (np.arange(40), np.arange(40, 60))]
    report = transfer_report(make_model("classifier"), X, y, cv=folds, scoring="roc_auc")
    second = transfer_report(make_model("classifier"), X, y, cv=folds[1:], scoring="roc_auc")
    assert np.isnan(report["gain_std_error"]).tolist() == [True, False]
    assert (report["shared"][0], report["single"][0]) == (second["shared"][0], second["single"][0])
    assert np.isfinite(report["gain"]).all()


@pytest.mark.filterwarnings("ignore:No score of task")
def test_a_monitor_takes_the_tasks_that_have_a_score_and_refuses_none():
    y, y_val = PAIR, ONE_CLASS
    model = MMoEClassifier(**SMALLEST, monitor=make_task_scorer("roc_auc"))
    fitted = model.fit(X, y, X_val=X, y_val=y_val)
    assert fitted.validation_scores_ == [make_task_scorer("roc_auc", task=1)(fitted, X, y_val)]
    with pytest.raises(ValueError, match="The validation part has a score of nan by monitor"):
        MMoEClassifier(**SMALLEST, monitor=make_task_scorer("roc_auc", task=0)).fit(X, y, X_val=X, y_val=y_val)


def test_kinds_of_several_tasks_are_scored_each_alone():
    y = make_targets("multitask")
    model = make_model("multitask").fit(X, y)
    y[0, 0] = 2.0
    scoring = multi_task_scoring(KINDS)
    with pytest.warns(UndefinedMetricWarning, match="of task 'up': the model has no class 2.0"):
        mean = scoring["mean"](model, X, y)
    assert mean == pytest.approx(np.mean([scoring["level"](model, X, y), scoring["visits"](model, X, y)]))
