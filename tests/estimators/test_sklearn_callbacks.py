"""scikit-learn's callbacks: what they are told of a fit and its epochs, and that nothing of them stays."""

import copy
import pickle

import numpy as np
import pytest
from helpers import (
    TWO_FOLDS,
    all_three,
    assert_same_model,
    assert_unfitted,
    fitted,
    make_features,
    make_model,
    make_targets,
    make_weights,
    outputs_of,
    with_missing,
)
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe.exceptions import DivergenceError
from sklearn_mmoe.metrics import make_task_scorer

callback = pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
CallbackSupportMixin, ProgressBar, ScoringMonitor = (
    callback.CallbackSupportMixin,
    callback.ProgressBar,
    callback.ScoringMonitor,
)

INNER = {"_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx"}


class Recorder:
    """Writes down what it is told, and may fail or ask to stop at the end of an epoch."""

    def __init__(self, stop_at=None, fail_at=None):
        self.stop_at, self.fail_at = stop_at, fail_at
        self.seen = []

    def _note(self, event, estimator, context, **told):
        self.seen.append((event, context.task_name, context.task_id))
        self.estimator, self.context, self.told = estimator, context, told
        if self.fail_at == self.seen[-1]:
            raise RuntimeError("from the callback")
        return self.stop_at == self.seen[-1]

    def setup(self, estimator, context):
        self._note("setup", estimator, context)

    def on_fit_task_begin(self, estimator, context):
        self._note("begin", estimator, context)

    def on_fit_task_end(self, estimator, context):
        return self._note("end", estimator, context)

    def teardown(self, estimator, context):
        self._note("teardown", estimator, context)

    def count(self, event, task):
        return sum(seen[:2] == (event, task) for seen in self.seen)


class Propagated(Recorder):
    """Goes from a search to the estimators in it."""

    max_propagation_depth = None


class Curious(Recorder):
    """Also asks for all that there is, and keeps it."""

    def __init__(self):
        super().__init__()
        self.kept = {}

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self._keep("begin", context, X, y, metadata, fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self._keep("end", context, X, y, metadata, fitted_estimator)

    def _keep(self, event, context, X, y, metadata, fitted_estimator):
        self.kept[event, context.task_name, context.task_id] = X, y, metadata, fitted_estimator


@all_three
def test_a_fit_is_a_task_and_every_epoch_a_sub_task(name):
    recorder = Recorder()
    model = make_model(name).set_callbacks(recorder)
    model.fit(make_features(), make_targets(name))
    epochs = [(event, "epoch", i) for i in range(3) for event in ("begin", "end")]
    expected = [("setup", "fit", 0), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown", "fit", 0)]
    assert recorder.seen == expected
    assert isinstance(model, CallbackSupportMixin)
    assert recorder.estimator is model
    assert recorder.context.max_subtasks == 3


def test_the_most_epochs_there_can_be_are_told():
    recorder = Recorder()
    make_model("regressor", net_params={"max_epochs": 5}).set_callbacks(recorder).fit(make_features(), np.arange(60))
    assert recorder.context.max_subtasks == recorder.count("end", "epoch") == 5


def test_training_that_stops_early_has_fewer_sub_tasks():
    recorder = Recorder()
    options = {"early_stopping": True, "max_epochs": 60, "learning_rate": 0.1, "n_iter_no_change": 1}
    model = make_model("regressor", **options, numeric_embeddings=None)
    model.set_callbacks(recorder).fit(make_features(), make_targets("regressor"))
    assert recorder.context.max_subtasks == 60
    assert recorder.count("begin", "epoch") == recorder.count("end", "epoch") == model.n_iter_ < 60


@all_three
def test_partial_fit_is_a_task_without_sub_tasks(name):
    recorder = Recorder()
    model = make_model(name).set_callbacks(recorder)
    for _ in range(2):
        model.partial_fit(make_features(), make_targets(name))
    assert recorder.seen == [(event, "partial_fit", 0) for event in ("setup", "begin", "end", "teardown")] * 2


@all_three
def test_callbacks_change_nothing_in_the_model(name):
    options = {"dropout": 0.2, "early_stopping": True}
    listened = make_model(name, **options).set_callbacks(Curious(), ScoringMonitor(scoring=make_task_scorer("r2")))
    if name == "classifier":
        listened.set_callbacks(Curious())
    assert_same_model(listened.fit(make_features(), make_targets(name)), fitted(name, **options))


@all_three
def test_the_fitted_estimator_of_an_epoch_is_that_of_a_fit_that_long(name):
    curious = Curious()
    options = {"early_stopping": False, "task_weights": "uncertainty", "learning_rate_schedule": "constant"}
    model = make_model(name, **options).set_callbacks(curious)
    model.fit(make_features(), make_targets(name))
    for epoch in range(3):
        *_, then = curious.kept["end", "epoch", epoch]
        alone = fitted(name, **options, max_epochs=epoch + 1)
        assert_same_model(then, alone)
        assert then.n_iter_ == epoch + 1
        np.testing.assert_array_equal(then.task_weights_, alone.task_weights_)
        np.testing.assert_array_equal(then.expert_usage_, alone.expert_usage_)
        if epoch:
            assert_same_model(curious.kept["begin", "epoch", epoch][-1], curious.kept["end", "epoch", epoch - 1][-1])
    assert_same_model(curious.kept["end", "fit", 0][-1], model)
    assert curious.kept["begin", "fit", 0][-1] is None


def test_epochs_are_told_the_rows_that_are_trained_on():
    X, y, weights = make_features(), make_targets("regressor"), make_weights()
    curious = Curious()
    model = make_model("regressor", early_stopping=True).set_callbacks(curious).fit(X, y, weights)
    whole, part = curious.kept["end", "fit", 0], curious.kept["end", "epoch", 2]
    assert whole[0] is X
    assert whole[1] is y
    assert whole[2]["sample_weight"] is weights
    assert len(part[0]) == 54  # a tenth is the validation part
    where = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in part[0]]
    np.testing.assert_array_equal(part[1], y[where])
    np.testing.assert_array_equal(part[2]["sample_weight"], weights[where])
    model.set_params(early_stopping=False).fit(X, y)
    assert curious.kept["end", "epoch", 2][0] is X
    assert curious.kept["end", "epoch", 2][2] is None


def test_a_callback_may_end_training():
    recorder = Recorder(stop_at=("end", "epoch", 1))
    constant = {"learning_rate_schedule": "constant"}
    model = make_model("regressor", **constant).set_callbacks(recorder).fit(make_features(), make_targets("regressor"))
    assert model.n_iter_ == recorder.count("end", "epoch") == 2
    assert_same_model(model, fitted("regressor", **constant, max_epochs=2))
    assert recorder.seen[-1] == ("teardown", "fit", 0)


# --------------------------------------------------------------------------------------------------------------------
# Fits that fail, and what stays


@pytest.mark.parametrize("event", [("setup", "fit", 0), ("begin", "fit", 0), ("end", "epoch", 1), ("end", "fit", 0)])
@all_three
def test_a_callback_that_fails_leaves_the_estimator_as_it_was(name, event):
    X, y = make_features(), make_targets(name)
    recorder = Recorder(fail_at=event)
    model = make_model(name).set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="from the callback"):
        model.fit(X, y)
    assert recorder.seen[-1] == ("teardown", "fit", 0)
    assert_unfitted(model.set_callbacks())
    model = fitted(name).set_callbacks(recorder)
    outputs, attributes = outputs_of(model, X), set(vars(model))
    with pytest.raises(RuntimeError, match="from the callback"):
        model.fit(X, y)
    assert set(vars(model)) == attributes
    np.testing.assert_array_equal(outputs_of(model, X), outputs)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_callbacks_are_torn_down_after_a_fit_that_fails(method):
    recorder = Recorder()
    model = make_model("regressor", learning_rate=1e30).set_callbacks(recorder)
    with pytest.raises(DivergenceError):
        getattr(model, method)(make_features(), make_targets("regressor"))
    assert recorder.seen[-1] == ("teardown", method, 0)
    assert recorder.count("end", method) == 0
    assert not INNER & set(vars(model))


@all_three
def test_nothing_of_a_fit_stays_in_the_net_the_estimator_or_a_pickle(name):
    recorder = Recorder()
    model = make_model(name).set_callbacks(recorder).fit(make_features(), make_targets(name))
    assert [name for name, _ in model.net_.callbacks_] == ["epoch_timer"]
    assert not INNER & set(vars(model))
    plain = len(pickle.dumps(fitted(name)))
    assert len(pickle.dumps(copy.copy(model).set_callbacks())) == pytest.approx(plain, abs=200)  # the seconds differ
    assert_same_model(model.set_callbacks(), pickle.loads(pickle.dumps(model)))


def test_a_clone_has_the_same_callbacks():
    recorder = Recorder()
    other = clone(fitted("regressor").set_callbacks(recorder))
    other.fit(make_features(), make_targets("regressor"))
    assert recorder.estimator is other


def test_without_callbacks_nothing_is_asked_of_an_epoch(monkeypatch):
    monkeypatch.setattr("sklearn_mmoe._training.sklearn_callbacks.FitTask.__init__", None)
    fitted("regressor").partial_fit(make_features(), make_targets("regressor"))


# --------------------------------------------------------------------------------------------------------------------
# scikit-learn's own callbacks

slow_loky = pytest.param(2, "loky", marks=pytest.mark.slow)  # its processes import torch first, for many seconds
in_many_ways = pytest.mark.parametrize(("n_jobs", "backend"), [(None, "loky"), (2, "threading"), slow_loky])


@pytest.mark.parametrize("columns", [[0], slice(None)], ids=["1-D", "2-D"])
@pytest.mark.parametrize("scoring", ["r2", "neg_mean_absolute_error", make_task_scorer("r2")])
def test_scoring_monitor_scores_every_epoch(scoring, columns):
    X, y = make_features(), make_targets("regressor")[:, columns]
    y = y.ravel() if y.shape[1] == 1 else y
    monitor = ScoringMonitor(scoring=scoring)
    constant = {"learning_rate_schedule": "constant"}
    model = make_model("regressor", **constant).set_callbacks(monitor).fit(X, y)
    column = scoring if isinstance(scoring, str) else "score"
    scores = {(row["task_name"], row["task_id"]): row[column] for row in monitor.get_logs().data}
    scorer = make_task_scorer("r2") if column == "score" else None
    for epoch in range(3):
        alone = make_model("regressor", **constant, max_epochs=epoch + 1).fit(X, y)
        if scorer is not None:
            assert scores["epoch", epoch] == scorer(alone, X, y)
        elif scoring == "r2":
            assert scores["epoch", epoch] == pytest.approx(alone.score(X, y))
    assert scores["fit", 0] == scores["epoch", 2]
    assert model.n_iter_ == len(scores) - 1


@all_three
def test_scoring_monitor_with_missing_labels(name):
    X, y = make_features(), with_missing(make_targets(name))
    metric = "accuracy" if name == "classifier" else "r2"
    scorers = {"first": make_task_scorer("accuracy" if name == "multitask" else metric, task=0)}
    monitor = ScoringMonitor(scoring=scorers)
    model = make_model(name).set_callbacks(monitor).fit(X, y)
    last = monitor.get_logs().data[-1]
    assert last["first"] == scorers["first"](model, X, y)


def test_scoring_monitor_weighs_as_the_fit_does():
    X, y, weights = make_features(), make_targets("regressor"), make_weights()
    monitor = ScoringMonitor(scoring="r2")
    model = make_model("regressor").set_callbacks(monitor).fit(X, y, weights)
    assert monitor.get_logs().data[-1]["r2"] == pytest.approx(model.score(X, y, weights))


@in_many_ways
def test_scoring_monitor_within_a_search(n_jobs, backend):
    monitor = ScoringMonitor(scoring="r2")
    model = make_model("regressor").set_callbacks(monitor)
    search = GridSearchCV(model, {"n_experts": [1, 2]}, cv=TWO_FOLDS, n_jobs=n_jobs)
    with parallel_config(backend):
        search.fit(make_features(), make_targets("regressor"))
    tasks = [row["task_name"] for row in monitor.get_logs().data if row["estimator_name"] == "MMoERegressor"]
    assert tasks.count("epoch") == 3 * (2 * 2 + 1)  # epochs * (candidates * folds + the last fit)
    assert tasks.count("fit") == 2 * 2 + 1


def test_a_search_hands_its_callbacks_on_and_takes_them_back():
    recorder = Propagated()
    search = GridSearchCV(make_model("regressor"), {"n_experts": [1, 2]}, cv=TWO_FOLDS).set_callbacks(recorder)
    search.fit(make_features(), make_targets("regressor"))
    assert recorder.count("begin", "epoch") == recorder.count("end", "epoch") == 3 * (2 * 2 + 1)
    assert recorder.count("setup", "fit") == recorder.count("teardown", "fit") == 1
    assert not {*INNER, "_skl_callbacks"} & set(vars(search.best_estimator_))


@in_many_ways
def test_nested_progress_of_a_search(n_jobs, backend, capsys):
    pytest.importorskip("rich")
    search = GridSearchCV(make_model("regressor"), {"n_experts": [1, 2]}, cv=TWO_FOLDS, n_jobs=n_jobs)
    with parallel_config(backend):
        search.set_callbacks(ProgressBar()).fit(make_features(), make_targets("regressor"))
    shown = capsys.readouterr().out
    assert shown.count("MMoERegressor - fit") == 2 * 2 + 1
    assert shown.count("100%") == 2 * 2 + 1 + 2  # and those of the search itself


def test_nested_progress_of_a_pipeline(capsys):
    pytest.importorskip("rich")
    model = make_pipeline(StandardScaler(), make_model("regressor")).set_callbacks(ProgressBar())
    model.fit(make_features(), make_targets("regressor"))
    assert "MMoERegressor - fit" in capsys.readouterr().out
