"""PredictionDisplay: a panel per task by its kind, missing labels left out, for estimators of any make."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import KINDS, N_ROWS, SMALL, Fixed, fitted, make_features, make_targets, with_missing
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
    accuracy_score,
    confusion_matrix,
    d2_pinball_score,
    r2_score,
    roc_auc_score,
    roc_curve,
)
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe.metrics import task_scores
from sklearn_mmoe.plot import PredictionDisplay
from sklearn_mmoe.tasks import Ordinal, Regression

X = make_features()
of_estimator, of_predictions = PredictionDisplay.from_estimator, PredictionDisplay.from_predictions


def kinds(display):
    return [type(own) for own in display.displays]


def points(ax):
    """Actual values by predicted ones, as they are drawn."""
    (scatter,) = ax.collections
    return np.asarray(scatter.get_offsets())


def titles(display):
    return [ax.get_title() for ax in display.axes_]


# --------------------------------------------------------------------------------------------------------------------
# A panel by the kind of the task


def test_mixed_tasks_by_hand():
    model, y = fitted("multitask"), with_missing(make_targets("multitask"))
    display = of_estimator(model, X, y)
    assert display.task_names == list(KINDS)
    assert kinds(display) == [RocCurveDisplay, PredictionErrorDisplay, PredictionErrorDisplay]
    assert display.axes_.shape == (3,)
    assert display.figure_ is display.axes_[0].figure
    has = np.isfinite(y)
    up = model.predict_proba(X)["up"][:, 1]
    fpr, tpr, _ = roc_curve(y[has[:, 0], 0], up[has[:, 0]])
    curve, chance = display.axes_[0].lines
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([fpr, tpr]))
    np.testing.assert_array_equal(chance.get_xydata(), [[0, 0], [1, 1]])
    predicted = model.predict(X)
    for t in (1, 2):
        drawn = np.column_stack([predicted[has[:, t], t], y[has[:, t], t]])
        np.testing.assert_allclose(points(display.axes_[t]), drawn)
    auc = roc_auc_score(y[has[:, 0], 0], up[has[:, 0]])
    r2 = r2_score(y[has[:, 1], 1], predicted[has[:, 1], 1])
    poisson = task_scores(model, X, y)["visits"]["d2_poisson"]
    assert display.scores == [{"AUC": auc}, {"R2": r2}, {"Poisson D2": poisson}]
    assert titles(display) == [f"up\nAUC = {auc:.2f}", f"level\nR2 = {r2:.2f}", f"visits\nPoisson D2 = {poisson:.2f}"]
    assert not any(ax.get_legend() for ax in display.axes_)


def test_calibration_curves():
    model, y = fitted("multitask"), with_missing(make_targets("multitask"))
    display = of_estimator(model, X, y, binary="calibration")
    assert kinds(display) == [CalibrationDisplay, PredictionErrorDisplay, PredictionErrorDisplay]
    has = np.isfinite(y[:, 0])
    p = model.predict_proba(X)["up"][has, 1]
    true, mean = calibration_curve(y[has, 0], p, n_bins=10, strategy="quantile")
    perfect, curve = display.axes_[0].lines
    np.testing.assert_array_equal(perfect.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([mean, true]))
    assert not display.axes_[0].get_legend()
    assert display.scores[0] == of_estimator(model, X, y).scores[0]


def test_confusion_matrix_of_more_than_two_classes():
    model, y = fitted("classifier"), with_missing(make_targets("classifier"))
    display = of_estimator(model, X, y)
    assert kinds(display) == [RocCurveDisplay, ConfusionMatrixDisplay]
    has = np.isfinite(y[:, 1])
    predicted = model.predict(X)[has, 1]
    matrix = confusion_matrix(y[has, 1], predicted, normalize="true")
    ax = display.axes_[1]
    np.testing.assert_array_equal(ax.images[0].get_array(), matrix)
    assert ax.images[0].get_clim() == (0, 1)
    assert [text.get_text() for text in ax.texts] == [f"{share:.2f}" for share in matrix.flat]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.0", "1.0", "2.0"]
    assert display.scores[1] == pytest.approx({"accuracy": accuracy_score(y[has, 1], predicted)})


def test_numbers_in_a_confusion_matrix_can_be_read_on_what_they_stand_on():
    display = of_predictions(np.array(list("aaabbb")), np.array(list("aabbbb")))
    assert [(text.get_text(), text.get_color()) for text in display.axes_[0].texts] == [
        *[("0.67", "white"), ("0.33", "black")],
        *[("0.00", "black"), ("1.00", "white")],
    ]


def test_many_classes_have_no_numbers_but_all_labels():
    y = np.array([f"category number {i:02d}" for i in range(20)])
    display = of_predictions(y, y[::-1])
    ax = display.axes_[0]
    assert not ax.texts
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels == [f"catego…er {i:02d}" for i in range(20)]
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {90}


def test_ordinal_classes_stand_in_their_order():
    levels = ["low", "middle", "high"]
    y = pd.DataFrame({"level": np.array(levels)[np.digitize(X[:, 0], [-0.5, 0.5])], "sum": X[:, 0]})
    model = MMoEMultiTask(tasks={"level": Ordinal(categories=levels), "sum": "regression"}, **SMALL).fit(X, y)
    display = of_estimator(model, X, y)
    assert [text.get_text() for text in display.axes_[0].get_yticklabels()] == levels
    predicted = model.predict_frame(X)["level"]
    expected = confusion_matrix(y["level"], predicted, labels=levels, normalize="true")
    np.testing.assert_array_equal(display.displays[0].confusion_matrix, expected)
    kappa = task_scores(model, X, y)["level"]["quadratic_kappa"]
    assert display.scores[0] == pytest.approx({"quadratic kappa": kappa})


def test_quantiles_say_how_many_labels_are_below():
    tasks = {"q10": Regression(loss="quantile", quantile=0.1), "q90": Regression(loss="quantile", quantile=0.9)}
    y = np.column_stack([X[:, 0], X[:, 0]])
    model = MMoEMultiTask(tasks=tasks, **SMALL).fit(X, y)
    display = of_estimator(model, X, y)
    for t, level in enumerate((0.1, 0.9)):
        predicted = model.predict(X)[:, t]
        assert display.scores[t] == pytest.approx(
            {
                "D2": d2_pinball_score(y[:, t], predicted, alpha=level),
                f"P(y ≤ q{level})": np.mean(y[:, t] <= predicted),
            }
        )
    same = of_estimator(model, X, np.ones_like(y))
    assert [list(scores) for scores in same.scores] == [["P(y ≤ q0.1)"], ["P(y ≤ q0.9)"]]


# --------------------------------------------------------------------------------------------------------------------
# Nothing to draw


def test_a_task_without_labels_says_so():
    y = make_targets("multitask")
    y[:, 1] = np.nan
    display = of_estimator(fitted("multitask"), X, y)
    assert display.displays[1] == "no label"
    (text,) = display.axes_[1].texts
    assert text.get_text() == "no label"
    assert titles(display)[1] == "level"
    assert display.scores[1] == {}
    assert len(display.axes_[1].get_xticks()) == 0


@pytest.mark.parametrize("binary", ["roc_curve", "calibration"])
def test_labels_of_one_class_have_no_curve(binary):
    y = make_targets("multitask")
    y[y[:, 0] == 0, 0] = np.nan
    display = of_estimator(fitted("multitask"), X, y, binary=binary)
    assert display.displays[0] == "labels of one class only"
    assert titles(display)[0] == "up"


@pytest.mark.parametrize("rare", [7.0, "rare"])
def test_labels_that_are_no_class_are_not_drawn_as_if_they_were(rare):
    y = make_targets("classifier").astype(object)
    y[3] = rare
    display = of_estimator(fitted("classifier"), X, y)
    assert display.displays == ["labels that are no class"] * 2
    assert titles(display)[0] == "y0"  # without an area under a curve


def test_one_label_is_drawn_without_a_score():
    y = make_targets("regressor")
    y[1:, 0] = np.nan
    display = of_estimator(fitted("regressor"), X, y)
    assert len(points(display.axes_[0])) == 1
    assert titles(display)[0] == "y0"


# --------------------------------------------------------------------------------------------------------------------
# Estimators of any make


def test_a_single_target():
    display = of_estimator(MMoERegressor(**SMALL).fit(X, X[:, 0]), X, X[:, 0])
    assert kinds(display) == [PredictionErrorDisplay]
    display = of_estimator(MMoEClassifier(**SMALL).fit(X, X[:, 0] > 0), X, X[:, 0] > 0)
    assert kinds(display) == [RocCurveDisplay]


def test_inside_a_search_over_a_pipeline():
    y = pd.DataFrame(make_targets("multitask"), columns=list(KINDS))
    pipeline = make_pipeline(StandardScaler(), MMoEMultiTask(tasks=KINDS, **SMALL))
    search = GridSearchCV(pipeline, {"mmoemultitask__n_experts": [2]}, cv=KFold(2)).fit(X, y)
    display = of_estimator(search, X, y)
    assert display.task_names == list(KINDS)
    np.testing.assert_allclose(points(display.axes_[1])[:, 0], search.predict(X)[:, 1])


def test_estimators_of_scikit_learn():
    regressions, classes = make_targets("regressor"), make_targets("classifier")
    binary = (classes > 0).astype(int)
    for estimator, y, expected in [
        (Ridge(), with_missing(regressions), [PredictionErrorDisplay] * 2),
        (RandomForestClassifier(5, random_state=0), with_missing(classes), [RocCurveDisplay, ConfusionMatrixDisplay]),
        (MultiOutputClassifier(LogisticRegression()), classes, [RocCurveDisplay, ConfusionMatrixDisplay]),
        (ClassifierChain(LogisticRegression()), binary, [RocCurveDisplay] * 2),
    ]:
        fit_on = regressions if isinstance(estimator, Ridge) else binary if expected[1] is RocCurveDisplay else classes
        assert kinds(of_estimator(estimator.fit(X, fit_on), X, y)) == expected


def test_two_classes_without_probabilities_are_a_confusion_matrix():
    y = X[:, 0] > 0
    display = of_estimator(RidgeClassifier().fit(X, y), X, y)
    assert kinds(display) == [ConfusionMatrixDisplay]
    assert list(display.scores[0]) == ["accuracy"]


# --------------------------------------------------------------------------------------------------------------------
# Predictions


def test_predictions_of_regressions():
    model, y = fitted("regressor"), with_missing(make_targets("regressor"))
    display, expected = of_predictions(y, model.predict(X)), of_estimator(model, X, y)
    assert display.scores == expected.scores
    for own, other in zip(display.axes_, expected.axes_, strict=True):
        np.testing.assert_array_equal(points(own), points(other))


def test_predictions_and_probabilities_by_name():
    model, y = fitted("multitask"), make_targets("multitask")
    frame = pd.DataFrame(y, columns=list(KINDS))
    answers = {**dict(zip(KINDS, model.predict(X).T, strict=True)), **model.predict_proba(X)}
    display = of_predictions(frame, answers, kinds={"visits": "count"})
    assert display.scores == of_estimator(model, X, y).scores
    answers["up"] = answers["up"][:, 1]
    again = of_predictions(frame, answers, kinds={"visits": "count", "up": "binary"})
    assert again.scores == display.scores


def test_lists_of_probabilities_and_unsorted_classes():
    model, y = fitted("classifier"), make_targets("classifier")
    display = of_predictions(y, model.predict_proba(X))
    assert display.scores == of_estimator(model, X, y).scores
    words = np.array(["low", "middle", "high"])
    named = of_predictions(
        words[y[:, 1].astype(int)],
        model.predict_proba(X)[1],
        kinds={"y0": "ordinal"},
        classes={"y0": words},
    )
    np.testing.assert_array_equal(named.displays[0].confusion_matrix, display.displays[1].confusion_matrix)
    assert [text.get_text() for text in named.axes_[0].get_yticklabels()] == list(words)


@pytest.mark.parametrize(
    ("y_pred", "options", "message"),
    [
        (np.zeros((4, 3)), {}, r"y has 2 tasks \['y0', 'y1'\], but y_pred gives an array of shape \(4, 3\)"),
        ([np.zeros(4)], {}, r"y_true has 2 tasks \['y0', 'y1'\], but y_pred has arrays for 1"),
        ({"y0": np.zeros(4)}, {}, r"y_pred of task 'y1' must be of shape \(4,\) or \(4, n_classes\); got nothing"),
        ([np.zeros(4), np.zeros(3)], {}, r"y_pred of task 'y1' must be of shape \(4,\) .* got \(3,\)"),
        (np.zeros((4, 2)), {"kinds": {"y2": "count"}}, r"kinds names tasks that y_true lacks: \['y2'\]"),
        (np.zeros((4, 2)), {"kinds": {"y1": "ratio"}}, r"kinds\['y1'\] must be one of \['regression'.*, got 'ratio'"),
        (np.zeros((4, 2)), {"classes": {"up": [0, 1]}}, r"classes names tasks that y_true lacks: \['up'\]"),
        ([np.zeros((4, 3)), np.zeros(4)], {}, r"'y0' has probabilities of 3 classes, but its classes are \[0.0, 1.0\]"),
        ([np.zeros((4, 3)), np.zeros(4)], {"kinds": {"y0": "count"}}, r"'y0', a count, must hold one number per row"),
        (np.zeros((4, 2)), {"classes": {"y1": [0, 1]}}, "classes gives classes for task 'y1', which is no classif"),
        ([np.zeros((4, 2)), np.zeros(4)], {"classes": {"y0": [0, 2]}}, r"not among its classes \[0, 2\]: 1.0\."),
        (np.zeros((4, 2)), {"binary": "roc"}, "The 'binary' parameter of PredictionDisplay.from_predictions must be"),
        (np.zeros((4, 2)), {"subsample": 0}, "The 'subsample' parameter of PredictionDisplay.from_predictions must be"),
    ],
)
def test_predictions_that_do_not_fit(y_pred, options, message):
    y = np.array([[0, 1], [1, 0], [1, 1], [0, 0.5]])
    with pytest.raises(ValueError, match=message):
        of_predictions(y, y_pred, **options)


def test_parameters_that_are_wrong():
    model, y = fitted("regressor"), make_targets("regressor")
    with pytest.raises(ValueError, match=r"The 'binary' parameter of PredictionDisplay.from_estimator must be"):
        of_estimator(model, X, y, binary="auc")
    with pytest.raises(ValueError, match=r"The 'n_cols' parameter of PredictionDisplay.plot must be"):
        of_estimator(model, X, y).plot(n_cols=0)


# --------------------------------------------------------------------------------------------------------------------
# The points and the panels


def test_points_are_a_seeded_sample_and_scores_are_of_all():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3000, 2))
    predicted = y + 0.5 * rng.normal(size=y.shape)
    display = of_predictions(y, predicted)
    assert [len(points(ax)) for ax in display.axes_] == [1000, 1000]
    assert len(np.unique(points(display.axes_[0]), axis=0)) == 1000
    np.testing.assert_array_equal(points(of_predictions(y, predicted).axes_[0]), points(display.axes_[0]))
    other = of_predictions(y, predicted, random_state=1, subsample=50)
    assert [len(points(ax)) for ax in other.axes_] == [50, 50]
    assert other.scores == display.scores
    assert display.scores[0] == pytest.approx({"R2": r2_score(y[:, 0], predicted[:, 0])})
    assert len(points(of_predictions(y, predicted, subsample=None).axes_[0])) == 3000


def test_drawn_again_in_given_axes():
    display = of_estimator(fitted("multitask"), X, make_targets("multitask"))
    before = points(display.axes_[1])
    _, (left, right) = plt.subplots(1, 2)
    assert display.plot(right) is display
    assert display.figure_ is left.figure
    assert not right.axison
    np.testing.assert_array_equal(points(display.axes_[1]), before)
    _, three = plt.subplots(3)
    display.plot(three)
    assert list(display.axes_) == list(three)


@pytest.mark.parametrize(("n_tasks", "n_cols", "shape"), [(2, 4, (1, 2)), (7, 4, (2, 4)), (30, 6, (5, 6))])
def test_grid_and_labels_of_outer_panels_only(n_tasks, n_cols, shape):
    y = np.random.default_rng(0).normal(size=(N_ROWS, n_tasks))
    display = of_predictions(y, y, n_cols=n_cols)
    assert display.axes_[0].get_subplotspec().get_gridspec().get_geometry() == shape
    for t, ax in enumerate(display.axes_):
        assert ax.get_ylabel() == ("Actual values" if t % shape[1] == 0 else "")
        assert ax.get_xlabel() == ("Predicted values" if t + shape[1] >= n_tasks else "")


def test_panels_keep_labels_that_differ_from_their_neighbours():
    display = of_estimator(fitted("multitask"), X, make_targets("multitask"))
    assert [ax.get_ylabel() for ax in display.axes_] == ["True positive rate", "Actual values", ""]
    assert [ax.get_xlabel() for ax in display.axes_] == ["False positive rate", *2 * ["Predicted values"]]


def test_axes_that_stand_alone_keep_their_labels():
    figure = plt.figure()
    axes = [figure.add_axes((0, 0, 0.4, 1)), figure.add_axes((0.5, 0, 0.4, 1))]
    display = of_estimator(fitted("regressor"), X, make_targets("regressor"), ax=axes)
    assert [ax.get_ylabel() for ax in display.axes_] == 2 * ["Actual values"]


def test_titles_of_long_names_are_cut_or_wrapped():
    long = "a_rather_long_name_of_the_first_task"
    alike = [f"{'x' * 20}{early}{'y' * 40}{late}{'z' * 20}" for early, late in ("11", "12", "21")]
    y = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 1)), columns=[long])
    assert titles(of_predictions(y, y)) == ["a_rather_lon…_first_task\nR2 = 1.00"]
    y = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=alike)
    for title, name in zip(titles(of_predictions(y, y.to_numpy())), short_names(alike), strict=True):
        *name_lines, score = title.split("\n")
        assert "".join(name_lines) == name
        assert max(map(len, name_lines)) <= 32
        assert score == "R2 = 1.00"


@pytest.mark.parametrize(("scale", "ticks"), [(1e6, "2M"), (1e-4, "200µ"), (1.0, "2")])
def test_ticks_are_short_whatever_the_scale(scale, ticks):
    y = scale * np.linspace(0, 4, N_ROWS)
    display = of_predictions(y, y)
    display.figure_.canvas.draw()
    ax = display.axes_[0]
    assert ticks in [text.get_text() for text in ax.get_yticklabels()]
    assert ax.yaxis.get_offset_text().get_text() == ""
    assert len(ax.get_yticks()) <= 6


def test_answers_are_asked_for_once():
    class Counting(Fixed):
        calls = 0

        def predict(self, X):
            type(self).calls += 1
            return self.predictions

    y = make_targets("regressor")
    of_estimator(Counting(predictions=y), X, y)
    assert Counting.calls == 1
