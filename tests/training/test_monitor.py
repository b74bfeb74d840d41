"""Which task, or which score, decides when to stop."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    KINDS,
    all_three,
    assert_fit_refuses,
    assert_same_model,
    fitted,
    make_features,
    make_model,
    make_targets,
    pickles,
    task_name,
)
from sklearn.base import clone
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.metrics import make_task_scorer, transfer_report


@pytest.fixture(scope="module")
def slow_and_fast():
    """A task that is learned slowly, and one that begins to be learned by heart at once."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    y = np.column_stack([np.sin(3 * X[:, 0]) + X[:, 1], X[:, 2] + 3 * rng.normal(size=300)])
    return X[:150], y[:150], X[150:], y[150:]


def regressor(**parameters):
    small = {"n_members": 1, "n_experts": 4, "learning_rate_schedule": "constant", "random_state": 0}
    small["numeric_embeddings"] = None
    return MMoERegressor(
        **{**small, "max_epochs": 60, "learning_rate": 0.01, "batch_size": 150, "n_iter_no_change": 10, **parameters}
    )


def watched(data, monitor, **parameters):
    X, y, X_val, y_val = data
    return regressor(monitor=monitor, early_stopping=True, **parameters).fit(X, y, X_val=X_val, y_val=y_val)


def losses_of(model):
    return np.array([list(row["valid_losses"].values()) for row in model.history_])


@pytest.mark.parametrize(
    ("monitor", "shares"),
    [
        ("mean", [0.5, 0.5]),
        ("y0", [1, 0]),
        ("y1", [0, 1]),
        ({"y0": 3, "y1": 1}, [0.75, 0.25]),
        ({"y1": 0.1}, [0, 1]),
    ],
)
def test_what_is_watched(slow_and_fast, monitor, shares):
    model = watched(slow_and_fast, monitor)
    assert model.validation_scores_ == pytest.approx((-losses_of(model) @ shares).tolist())
    assert [row["valid_loss"] for row in model.history_] == pytest.approx(losses_of(model).mean(axis=1).tolist())


def test_each_task_has_its_own_best_epoch(slow_and_fast):
    _, _, X_val, y_val = slow_and_fast
    models = {monitor: watched(slow_and_fast, monitor) for monitor in ("y0", "y1")}
    best = {monitor: int(np.argmax(model.validation_scores_)) for monitor, model in models.items()}
    assert best["y1"] < best["y0"]
    for t, monitor in enumerate(models):
        errors = {m: np.square(model.predict(X_val)[:, t] - y_val[:, t]).mean() for m, model in models.items()}
        assert errors[monitor] == min(errors.values())
        again = watched(slow_and_fast, monitor, n_iter_no_change=60)
        assert np.argmax(again.validation_scores_) == best[monitor]


def test_a_scorer_decides(slow_and_fast):
    _, _, X_val, y_val = slow_and_fast
    scorer = make_task_scorer(mean_absolute_error, task="y1", greater_is_better=False)
    model = watched(slow_and_fast, scorer)
    assert scorer(model, X_val, y_val) == max(model.validation_scores_)
    assert model.validation_scores_[-1] < max(model.validation_scores_)
    assert model.n_iter_ < 60


def test_a_function_is_a_scorer(slow_and_fast):
    asked = []

    def later_is_better(estimator, X, y):
        asked.append((estimator, X, y))
        return len(asked)

    model = watched(slow_and_fast, later_is_better, max_epochs=4)
    assert model.validation_scores_ == [1, 2, 3, 4]
    assert all(X is slow_and_fast[2] and y is slow_and_fast[3] for _, X, y in asked)


def test_a_scorer_sees_the_rows_that_were_set_aside_as_they_were_given():
    X = pd.DataFrame(make_features(), columns=list("abcd"))
    y = pd.DataFrame(make_targets("regressor"), columns=["sum", "third"])
    seen = []

    def scorer(estimator, X_val, y_val, sample_weight):
        seen.append((X_val, y_val, sample_weight))
        return estimator.score(X_val, y_val)

    weights = np.arange(60.0)
    model = MMoERegressor(monitor=scorer, early_stopping=True, max_epochs=2, random_state=0).fit(X, y, weights)
    assert len(seen) == model.n_iter_
    X_val, y_val, weights_val = seen[0]
    assert len(X_val) == 6
    pd.testing.assert_frame_equal(X_val, X.loc[X_val.index])
    pd.testing.assert_frame_equal(y_val, y.loc[X_val.index])
    assert weights_val.tolist() == X_val.index.tolist()


def test_weights_of_the_validation_data_go_to_the_scorer(slow_and_fast):
    X, y, X_val, y_val = slow_and_fast
    weights = np.arange(150.0)
    scorer = make_task_scorer("r2", task="y0")
    model = regressor(monitor=scorer, early_stopping=True, max_epochs=3)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    assert max(model.validation_scores_) == scorer(model, X_val, y_val, weights) != scorer(model, X_val, y_val)


def test_to_ask_a_scorer_does_not_change_the_training(slow_and_fast):
    X, y, X_val, y_val = slow_and_fast
    scorer = make_task_scorer("r2")
    plain, asked = (regressor(monitor=monitor, max_epochs=5, dropout=0.3) for monitor in ("mean", scorer))
    for model in (plain, asked):
        model.set_params(early_stopping=False).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(plain.predict(X), asked.predict(X))


def test_without_a_validation_part_the_training_loss_of_the_task_is_watched(slow_and_fast):
    X, y, *_ = slow_and_fast
    y = np.column_stack([y[:, 0], np.full(len(y), 7.0)])  # nothing to learn, so nothing improves
    options = {"early_stopping": False, "n_iter_no_change": 3, "tol": 1e-2, "max_epochs": 40}
    assert regressor(monitor="y1", **options).fit(X, y).n_iter_ < 20
    assert regressor(monitor="y0", **options).fit(X, y).n_iter_ > 20


def test_weights_of_the_tasks_have_no_say(slow_and_fast):
    """`task_weights` steer the training; what is watched is the same."""
    X, y, *_ = slow_and_fast
    options = {"early_stopping": False, "max_epochs": 1, "learning_rate": 1e-12, "tol": 0.0}
    model = regressor(task_weights=[1e-3, 1], **options).fit(X, y)
    assert model.loss_curve_[0] == pytest.approx(
        np.average(list(model.history_[0]["train_losses"].values()), weights=[1e-3, 1]), rel=1e-5
    )
    model = watched(slow_and_fast, "y0", task_weights=[1e-3, 1], max_epochs=3)
    assert model.validation_scores_ == pytest.approx((-losses_of(model)[:, 0]).tolist())


@all_three
def test_a_chunk_without_labels_of_the_watched_task(name):
    X, y = make_features(), make_targets(name)
    model = fitted(name, monitor=task_name(name, 0))
    y[:, 0] = np.nan
    assert np.isfinite(model.partial_fit(X, y).loss_curve_[-1])


@all_three
@pickles
def test_a_model_with_a_scorer_is_saved(name, there_and_back):
    scorer = make_task_scorer("r2" if name == "regressor" else "accuracy", task=0)
    model = fitted(name, monitor=scorer, early_stopping=True)
    assert_same_model(there_and_back(model), model)
    assert repr(clone(model).monitor) == repr(scorer)


def test_in_a_search():
    X, y = make_features(), make_targets("multitask")
    search = GridSearchCV(make_model("multitask", early_stopping=True), {"monitor": ["mean", *KINDS]}, cv=KFold(2))
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_in_a_report_of_transfer_each_single_model_watches_its_own_task():
    X, y = make_features(), make_targets("multitask")
    report = transfer_report(make_model("multitask", monitor="up"), X, y, cv=KFold(2))
    assert report["task"] == list(KINDS)
    assert np.isfinite(report["gain"]).all()


# --------------------------------------------------------------------------------------------------------------------
# What cannot be


@pytest.mark.parametrize(
    ("monitor", "words"),
    [
        ("y2", r"monitor='y2' is no task. Allowed are 'mean' and the tasks \['y0', 'y1'\]"),
        ({"y0": 1, "late": 2}, r"monitor must name each task once. Unknown: \['late'\]"),
        ({"y0": -1}, "monitor must be finite, 0 or more, and not all 0"),
        ({"y0": 0, "y1": 0}, "monitor must be finite, 0 or more, and not all 0"),
        ({"y0": "much"}, "monitor must be numbers"),
        (lambda *args: 1.0, "monitor is a scorer, which needs a validation part: set early_stopping=True"),
    ],
)
def test_monitors_that_do_not_go(monitor, words):
    assert_fit_refuses("regressor", words, monitor=monitor)


def test_a_score_that_is_not_finite():
    assert_fit_refuses("regressor", "score of nan by monitor", monitor=lambda *args: np.nan, early_stopping=True)


NO_NUMBERS = [True, np.True_, 1j, None, "0.5", np.array([0.5]), [0.5], {"score": 0.5}, torch.tensor([1.0, 2.0])]


@pytest.mark.parametrize("score", NO_NUMBERS, ids=lambda score: type(score).__name__)
def test_a_score_that_is_no_real_number(score):
    match = (
        rf"monitor must return a real number, greater is better, but it has returned .* of type {type(score).__name__}"
    )
    assert_fit_refuses("regressor", match, monitor=lambda *args: score, early_stopping=True)


@pytest.mark.parametrize("score", [1, 0.5, np.float32(0.5), np.int64(3), Fraction(1, 2)], ids=repr)
def test_real_numbers_of_any_type_are_scores(score):
    model = fitted("regressor", monitor=lambda *args: score, early_stopping=True)
    assert model.validation_scores_ == [float(score)] * model.n_iter_


def test_no_label_of_the_watched_task_in_the_validation_data(slow_and_fast):
    X, y, X_val, y_val = slow_and_fast
    y_val = np.column_stack([y_val[:, 0], np.full(len(y_val), np.nan)])
    with pytest.raises(ValueError, match=r"score of nan by monitor.*Give X_val and y_val that have some"):
        watched((X, y, X_val, y_val), "y1", max_epochs=2)
    assert watched((X, y, X_val, y_val), "y0", max_epochs=2).n_iter_ == 2
