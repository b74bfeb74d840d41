"""Scorers and reports that are called with what cannot be meant say so by the name of the argument."""

import numpy as np
import pandas as pd
import pytest
from helpers import KINDS, SMALL, TWO_FOLDS, Fixed, fitted, make_features, make_targets
from sklearn import metrics
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_scores, transfer_report

SCORES = [make_task_scorer("r2"), multi_task_scoring(["y0", "y1"])["y0"], task_scores]

# --------------------------------------------------------------------------------------------------------------------
# Data

NO_FEATURES = [None, "x", 3, {}, object(), (row for row in [0]), np.array(1.0), MMoERegressor, slice(3)]


def test_what_is_no_features_is_said_so_by_all_that_scores():
    y = make_targets("regressor")
    forest = RandomForestRegressor(2, random_state=0)
    models = fitted("regressor"), make_pipeline(StandardScaler(), forest).fit(make_features(), y)
    for X in NO_FEATURES:
        for score in SCORES:
            for model in models:
                with pytest.raises(ValueError, match="X must be a data frame, an array or a sparse matrix"):
                    score(model, X, y)
        with pytest.raises(ValueError, match="X must be a data frame, an array or a sparse matrix"):
            transfer_report(MMoERegressor(**SMALL), X, y)


@pytest.mark.parametrize("score", SCORES)
def test_no_rows_one_number_and_words_where_numbers_are_due(score):
    X, y, model = make_features(), make_targets("regressor"), fitted("regressor")
    with pytest.raises((TypeError, ValueError), match="scalar"):
        score(model, X, 1.0)
    with pytest.raises(ValueError, match=r"0 sample|nothing to score"):
        score(model, X[:0], y[:0])
    with pytest.raises(ValueError, match="Task 'y0' is a regression but its labels are no numbers: found 'a'"):
        score(model, X, np.full((60, 2), "a", dtype=object))


def test_what_is_no_estimator_is_said_so():
    for estimator in (None, "x", MMoERegressor, RandomForestRegressor, object(), {}):
        for score in SCORES:
            with pytest.raises(TypeError, match="estimator must be a fitted estimator, got"):
                score(estimator, make_features(), make_targets("regressor"))


# --------------------------------------------------------------------------------------------------------------------
# What a scorer is made of

NO_FUNCTIONS = [None, [], np.zeros(3), lambda y_true: 1.0, max, dict, metrics.r2_score(range(2), range(2))]
NO_METHODS = [0, "", [], ["predict", 3], np.zeros(3), object()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *[({"metric": metric}, "metric must be a function") for metric in NO_FUNCTIONS],
        ({"metric": metrics.r2_score, "beta": 2}, "labels and answers and beta; r2_score cannot"),
        ({"metric": "f1", "beta": 2}, r"labels and answers and .*beta; f1_score cannot"),
        *[({"metric": metrics.r2_score, "response_method": own}, "response_method must be the") for own in NO_METHODS],
        *[
            ({"metric": metrics.r2_score, "greater_is_better": own}, "greater_is_better must be True or False")
            for own in (0, "no", [], np.zeros(3))
        ],
        *[
            ({"metric": "r2", "average": own}, "average must")
            for own in (None, np.zeros(3), pd.DataFrame(), {"a": 10**400}, {"a": np.timedelta64(1)}, [1.0])
        ],
        *[({"metric": "r2", "task": 0, "average": own}, "leave out average or task") for own in (np.zeros(3), None)],
        ({"metric": make_task_scorer("r2", task=1)}, "metric is a scorer of tasks of its own"),
        ({"metric": make_task_scorer("r2", average={"a": 1.0})}, "metric is a scorer of tasks of its own"),
    ],
)
def test_make_task_scorer_names_what_it_cannot_use(options, words):
    with pytest.raises(ValueError, match=words):
        make_task_scorer(**options)


class Error:
    """A metric that is no function."""

    def __call__(self, y_true, y_pred):
        return abs(y_true - y_pred).mean()

    def __repr__(self):
        return "Error()"


def test_a_metric_may_be_an_object_that_is_called():
    scorer = make_task_scorer(Error(), task=0, greater_is_better=np.bool_(False))
    assert scorer(Fixed(np.ones((4, 2))), np.zeros((4, 1)), np.zeros((4, 2))) == -1
    assert "Error()" in repr(scorer)


def test_only_ratios_of_an_average_matter():
    X, y, model = make_features(), make_targets("regressor"), fitted("regressor")
    expected = make_task_scorer("r2", average={"y0": 1.0, "y1": 3.0})(model, X, y)
    for scale in (1e-320, 1e-300, 1e300, 10**307 * 5):
        scorer = make_task_scorer("r2", average={"y0": scale, "y1": 3 * scale})
        assert scorer(model, X, y) == pytest.approx(expected, rel=1e-3 if scale == 1e-320 else 1e-12)


def test_the_explained_deviance_stays_what_it_is_as_a_metric():
    X, y, model = make_features(), make_targets("multitask"), fitted("multitask")
    scoring = multi_task_scoring(KINDS)
    assert make_task_scorer(scoring["mean"], task="up")(model, X, y) == scoring["up"](model, X, y)


def test_a_positive_label_is_one_class():
    X, y, model = make_features(), make_targets("classifier"), fitted("classifier")
    for label in ([0], np.zeros(2), np.zeros((2, 2)), pd.DataFrame(), (0, 1), 10**400, object(), {}):
        with pytest.raises(ValueError, match="is no class of task 'y0'"):
            make_task_scorer(metrics.f1_score, task=0, pos_label=label)(model, X, y)


def test_names_of_tasks_are_names():
    for tasks in (None, 3, 2.5, True, np.array(1.0), slice(2), MMoERegressor):
        with pytest.raises(ValueError, match=r"tasks must be an estimator, or names|does not know the names"):
            multi_task_scoring(tasks)


# --------------------------------------------------------------------------------------------------------------------
# Reports


def report(estimator=None, y=None, **options):
    estimator = MMoERegressor(**SMALL) if estimator is None else estimator
    y = make_targets("regressor") if y is None else y
    return transfer_report(estimator, make_features(), y, **{"cv": TWO_FOLDS, **options})


@pytest.mark.parametrize(
    "cv",
    [
        [([0, 1, 2], [60])],
        [([0, 1, 2], [-1])],
        [(np.ones(3, dtype=bool), [1])],
        [(range(30), np.ones(61, dtype=bool))],
        [([0.0, 1.0], [2.0])],
        [(["a"], ["b"])],
        [([], [1])],
        [([1], [])],
        [(np.zeros(60, dtype=bool), [1])],
        [([[0, 1]], [2])],
        [(None, [2])],
    ],
)
def test_a_report_takes_rows_that_are_there(cv):
    with pytest.raises(ValueError, match="cv must give row numbers from 0 to 59, or masks of 60 rows"):
        report(cv=cv)


@pytest.mark.parametrize(
    ("cv", "words"),
    [
        *[(cv, r"cv.* does not split the 60 rows") for cv in ([1, 2], [([0], [1], [2])], 1, 61, 10**400, "x", 2.5)],
        (KFold, "cv"),
        (StratifiedKFold(2), "cv"),
        ([], r"cv=\[\] makes no fold"),
    ],
)
def test_a_report_takes_folds(cv, words):
    with pytest.raises(ValueError, match=words):
        report(cv=cv)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (MMoERegressor(loss=["huber"]), "loss gives 1 losses for 2 tasks"),
        (MMoERegressor(loss=["huber"] * 3), "loss gives 3 losses for 2 tasks"),
        (MMoERegressor(loss=["huber", 3]), "must name losses"),
        (MMoERegressor(loss=3), "The 'loss' parameter"),
        (MMoEMultiTask(tasks={"y0": "regression"}), "tasks declares 1 tasks"),
        (MMoEMultiTask(tasks=["regression"]), "tasks declares 1 tasks"),
        (MMoEMultiTask(tasks={"regression"}), "The 'tasks' parameter"),
        (MMoEClassifier(class_weight=[{}]), "class_weight gives 1 dicts for 2 tasks"),
        (MMoEClassifier(class_weight={0: 1.0}), "class_weight must be 'balanced' or a list of 2 dicts"),
        (MMoERegressor(task_weights=[1.0], **SMALL), "task_weights must hold 2 numbers"),
    ],
)
def test_a_report_finds_what_does_not_suit_the_tasks_before_it_cuts_it_down_to_each(estimator, words):
    for n_jobs in (None, 1):
        with pytest.raises(ValueError, match=words):
            report(estimator, n_jobs=n_jobs)


def test_a_report_finds_columns_that_are_not_declared():
    y = pd.DataFrame(make_targets("regressor"), columns=["near", "far"])
    for tasks in ({"near": "regression", "wide": "regression"}, {"near": "regression"}):
        with pytest.raises(ValueError, match=r"tasks (and the columns of y do not match|declares 1 tasks)"):
            report(MMoEMultiTask(tasks=tasks, **SMALL), y)


@pytest.mark.parametrize("n_jobs", [0.5, 2.5, "2", [], 10**20, 10**400, np.inf, np.nan])
def test_a_report_takes_a_number_of_jobs(n_jobs):
    with pytest.raises(ValueError, match="The 'n_jobs' parameter of transfer_report"):
        report(n_jobs=n_jobs)


@pytest.mark.parametrize("scoring", [3, "auc", ["r2", "r2"], {"y0": 3}, {"y1": "auc"}, dict, max, np.zeros(2)])
def test_a_report_takes_a_scoring(scoring):
    with pytest.raises(ValueError, match="scoring takes what make_task_scorer takes as its metric: metric "):
        report(scoring=scoring)


@pytest.mark.parametrize(
    "y", [None, 1.0, "x", np.zeros(60), np.zeros((60, 1)), np.zeros((60, 2, 2)), np.zeros((59, 2))]
)
def test_a_report_takes_targets_of_several_tasks(y):
    with pytest.raises((TypeError, ValueError), match=r"\by\b|scalar|sequence"):
        transfer_report(MMoERegressor(**SMALL), make_features(), y)
