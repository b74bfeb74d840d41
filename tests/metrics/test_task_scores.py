"""The table of scores, task by task, and scorers of the kinds of task that have an order or are positive."""

import numpy as np
import pandas as pd
import pytest
from helpers import KINDS, QUICK, Fixed, fitted, make_features, make_model, make_targets, with_missing
from sklearn import metrics

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask
from sklearn_mmoe.metrics import make_task_scorer, task_scores
from sklearn_mmoe.tasks import Ordinal, Regression

NAN = np.nan


def test_table_of_regressions_on_paper():
    off = Fixed(np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [4.0, 10.0]]))  # errors of 1 and of 6, 6, NaN, 0
    y = np.array([[0.0, 4.0], [1.0, 4.0], [2.0, NAN], [3.0, 10.0]])
    scores = task_scores(off, np.zeros((4, 1)), y)
    assert scores["y0"]["mean_absolute_error"] == scores["y0"]["root_mean_squared_error"] == 1
    assert scores["y0"]["r2"] == pytest.approx(1 - 4 / 5)
    assert scores["y1"]["n_labels"] == 3
    assert scores["y1"]["root_mean_squared_error"] == pytest.approx(np.sqrt(72 / 3))
    assert np.isnan(scores["y0"]["roc_auc"])


def test_table_of_classifications_equals_scikit_learn():
    X, y = make_features(), with_missing(make_targets("classifier"))
    model = make_model("classifier", max_epochs=20, learning_rate=0.02, numeric_embeddings=None).fit(X, y)
    scores, weights = task_scores(model, X, y, np.arange(60.0)), np.arange(60.0)
    for t in range(2):
        rows = ~np.isnan(y[:, t])
        labels, proba = y[rows, t], model.predict_proba(X)[t][rows]
        own, w = model.predict(X)[rows, t], {"sample_weight": weights[rows]}
        expected = {
            "n_labels": rows.sum(),
            "accuracy": metrics.accuracy_score(labels, own, **w),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, own, **w),
            "log_loss": metrics.log_loss(labels, proba, **w),
        }
        if t == 0:
            expected["roc_auc"] = metrics.roc_auc_score(labels, proba[:, 1], **w)
            expected["average_precision"] = metrics.average_precision_score(labels, proba[:, 1], **w)
        else:
            expected["f1_macro"] = metrics.f1_score(labels, own, average="macro", **w)
        found = {metric: value for metric, value in scores[f"y{t}"].items() if not np.isnan(value)}
        assert found == pytest.approx(expected)


def test_table_of_counts_equals_scikit_learn():
    X, y = make_features(), make_targets("multitask")
    model = make_model("multitask").fit(X, y)
    scores, predicted = task_scores(model, X, y), model.predict(X)[:, 2]
    found = {metric: value for metric, value in scores["visits"].items() if not np.isnan(value)}
    assert found == pytest.approx(
        {
            "n_labels": 60,
            "mean_absolute_error": metrics.mean_absolute_error(y[:, 2], predicted),
            "d2_poisson": metrics.d2_tweedie_score(y[:, 2], predicted, power=1),
        }
    )
    frame = pd.DataFrame(scores)
    assert list(frame.columns) == list(KINDS)
    assert frame.loc["accuracy"].notna().tolist() == [True, False, False]


def test_what_cannot_be_computed_is_nan_without_a_warning():
    X, y = make_features(), make_targets("multitask")
    model = make_model("multitask").fit(X, y)
    few = np.flatnonzero(y[:, 0] == 1)[:3]
    y[few, 1] = NAN
    y[few, 2] = 2.0
    scores = task_scores(model, X[few], y[few])
    assert np.isnan([scores["up"]["roc_auc"], scores["up"]["average_precision"], scores["visits"]["d2_poisson"]]).all()
    assert np.isfinite([scores["up"]["log_loss"], scores["up"]["balanced_accuracy"]]).all()
    assert scores["level"].pop("n_labels") == 0
    assert np.isnan(list(scores["level"].values())).all()
    one = task_scores(fitted("regressor"), X[:1], make_targets("regressor")[:1])["y0"]
    assert np.isnan(one["r2"])
    assert one["mean_absolute_error"] == one["root_mean_squared_error"]


def test_words_and_numbers_side_by_side():
    X = make_features()
    y = pd.DataFrame({"size": np.where(X[:, 0] > 0, "big", "small"), "value": X[:, 1], "flag": X[:, 2] > 0})
    kinds = {"size": "binary", "value": Regression(), "flag": "binary"}
    model = MMoEMultiTask(**{**make_model("multitask").get_params(), "tasks": kinds}).fit(X, y)
    assert model.predict(X).dtype == object
    scores = task_scores(model, X, y)
    assert scores["value"]["r2"] == pytest.approx(metrics.r2_score(y["value"], model.predict_frame(X)["value"]))
    assert scores["flag"]["accuracy"] == (model.predict_frame(X)["flag"] == y["flag"]).mean()
    assert scores["size"]["accuracy"] == (model.predict_frame(X)["size"] == y["size"]).mean()
    mixed = MMoEClassifier(**make_model("classifier").get_params()).fit(X, y[["size", "flag"]])
    assert task_scores(mixed, X, y[["size", "flag"]])["flag"]["n_labels"] == 60


SIZES = ["small", "middle", "large"]  # in no alphabetical order


@pytest.fixture(scope="module")
def sizes_and_weights():
    X = make_features()
    size = pd.cut(X[:, 0], [-9, -0.5, 0.5, 9], labels=SIZES).astype(object)
    loud = np.where(X[:, 1] > 0, "loud", "silent")
    y = pd.DataFrame({"size": size, "noise": loud, "weight": np.exp(X[:, 2])})
    tasks = {"size": Ordinal(SIZES), "noise": Ordinal(["silent", "loud"]), "weight": "positive"}
    return MMoEMultiTask(tasks=tasks, **QUICK).fit(X, y), X, y


def test_table_of_ordered_classes_and_positive_values(sizes_and_weights):
    model, X, y = sizes_and_weights
    scores, proba = task_scores(model, X, y), model.predict_proba(X)
    ranks = np.array([SIZES.index(size) for size in y["size"]])
    loud, predicted = (y["noise"] == "loud").astype(int), model.predict_frame(X)
    hits = (predicted["noise"] == "loud").astype(int)
    own = np.array([SIZES.index(size) for size in predicted["size"]])
    kappa = metrics.cohen_kappa_score(ranks, own, weights="quadratic")
    assert scores["size"]["log_loss"] == pytest.approx(-np.log(proba["size"][np.arange(60), ranks]).mean())
    assert scores["size"]["quadratic_kappa"] == pytest.approx(kappa)
    assert scores["size"]["accuracy"] == (ranks == own).mean()
    assert scores["size"]["f1_macro"] == pytest.approx(metrics.f1_score(ranks, own, average="macro"))
    assert scores["noise"]["roc_auc"] == pytest.approx(metrics.roc_auc_score(loud, proba["noise"][:, 1]))
    assert scores["noise"]["average_precision"] == pytest.approx(
        metrics.average_precision_score(loud, proba["noise"][:, 1])
    )
    assert scores["noise"]["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(loud, hits))
    assert np.isnan(scores["noise"]["quadratic_kappa"])
    assert scores["weight"]["d2_gamma"] == pytest.approx(
        metrics.d2_tweedie_score(y["weight"], predicted["weight"], power=2)
    )
    assert np.isnan(scores["weight"]["r2"])


def test_metrics_see_ordered_classes_as_ranks(sizes_and_weights):
    model, X, y = sizes_and_weights
    own = model.predict_frame(X)["size"].map(SIZES.index)
    steps = (own - y["size"].map(SIZES.index)).abs().mean()
    error = make_task_scorer(metrics.mean_absolute_error, task="size", greater_is_better=False)
    assert error(model, X, y) == pytest.approx(-steps)
    probability = model.predict_proba(X)["noise"]
    for positive, column in ((None, 1), ("loud", 1), ("silent", 0)):
        options = {} if positive is None else {"pos_label": positive}
        scorer = make_task_scorer(
            metrics.average_precision_score, task="noise", response_method="predict_proba", **options
        )
        label = positive or "loud"
        expected = metrics.average_precision_score(y["noise"] == label, probability[:, column])
        assert scorer(model, X, y) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"pos_label='shrill' is no class of task 'noise': .*silent.*loud"):
        make_task_scorer(metrics.f1_score, task="noise", pos_label="shrill")(model, X, y)
