"""Whatever a call answers comes from one fit, though the estimator is fitted again while it answers."""

import pickle
import threading

import numpy as np
import pytest
from helpers import QUICK, all_three, make_features, make_model, make_targets
from onnx_graphs import answers_of_graph
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from versions import has

import sklearn_mmoe
from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.metrics import make_task_scorer, task_scores
from sklearn_mmoe.plot import GateDisplay

X = make_features()
ANSWERS = {
    "regressor": ["predict", "gate_weights", "score"],
    "classifier": ["predict", "predict_proba", "gate_weights", "score"],
    "multitask": ["predict", "predict_proba", "predict_frame", "gate_weights", "score"],
}


class Features:
    """Features that something happens before NumPy gets to see."""

    def __init__(self, happens):
        self.happens = happens
        self.shape = X.shape

    def __array__(self, dtype=None, copy=None):
        self.happens()
        return X if dtype is None else X.astype(dtype)


def quick(name):
    return make_model(name, max_epochs=8, learning_rate=0.03, numeric_embeddings=None)


def other_targets(name):
    """Targets on which another model comes out."""
    return make_targets(name)[::-1].copy()


def numbers_in(answer):
    """All numbers of an answer in one row."""
    parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else [answer]
    return np.concatenate([np.asarray(part, dtype=float).ravel() for part in parts])


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
@pytest.mark.parametrize(("name", "method"), [(name, method) for name, own in ANSWERS.items() for method in own])
def test_an_answer_that_is_overtaken_by_a_fit_is_that_of_the_fit_before(name, method, again):
    model = quick(name).fit(X, make_targets(name))
    y = [make_targets(name)] if method == "score" else []
    before = numbers_in(getattr(model, method)(X, *y))
    refitting = Features(lambda: [getattr(model, again)(X, other_targets(name)) for _ in range(3)])
    found = numbers_in(getattr(model, method)(refitting, *y))
    np.testing.assert_array_equal(found, before)
    assert (found != numbers_in(getattr(model, method)(X, *y))).any()


ASKED = {
    "a scorer": lambda model, X: make_task_scorer("r2", task=1)(model, X, make_targets("regressor")),
    "task_scores": lambda model, X: task_scores(model, X, make_targets("regressor"))["y1"]["r2"],
    "a display": lambda model, X: GateDisplay.from_estimator(model, X).gate_weights,
}
WITHIN = {
    "alone": lambda model: model,
    "a pipeline": lambda model: make_pipeline(FunctionTransformer(), model),
    "a search": lambda model: GridSearchCV(make_pipeline(FunctionTransformer(), model), {}, cv=2),
}


@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize("asked", ASKED)
def test_what_asks_an_estimator_several_times_sees_one_fit(asked, within):
    y = make_targets("regressor")
    whole = WITHIN[within](quick("regressor")).fit(X, y)
    model = getattr(whole, "best_estimator_", whole)
    model = model if within == "alone" else model[-1]
    before = ASKED[asked](whole, X)
    np.testing.assert_array_equal(ASKED[asked](whole, Features(lambda: model.fit(X, y[::-1]))), before)
    assert np.any(ASKED[asked](whole, X) != before)


@all_three
@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_files_descriptions_and_copies_during_a_fit_are_of_the_fit_before(name, again, tmp_path):
    model, copies = quick(name).fit(X, make_targets(name)), []
    before, text, losses = model.predict(X), model.describe(), model.loss_curve_

    def look():
        model.save(tmp_path / "model")
        copies.extend([sklearn_mmoe.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))])
        assert model.describe() == text
        assert ("<svg" in model._repr_html_()) == has("scikit-learn", "1.9")
        assert model.loss_curve_ == losses

    getattr(model, again)(Features(look), other_targets(name))
    assert copies
    for copy in copies:
        np.testing.assert_array_equal(copy.predict(X), before)
    assert len(model.loss_curve_) != len(losses) or model.loss_curve_ != losses


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_a_graph_made_during_a_fit_is_of_the_fit_before(again):
    model, graphs = quick("multitask").fit(X, make_targets("multitask")), []
    before = model.predict(X)

    def look():
        if not graphs:  # one takes a second
            graphs.append(to_onnx(model, example=X[:2]))

    getattr(model, again)(Features(look), other_targets("multitask"))
    found = answers_of_graph(graphs[0], X)
    for t, task in enumerate(model.task_names_):
        np.testing.assert_allclose(found[task], before[:, t], rtol=0, atol=1e-5 * max(1, np.abs(before[:, t]).max()))
    assert (model.predict(X) != before).any()


def test_readers_in_threads_get_the_answers_of_one_fit():
    """The same with no say in when it happens."""
    many = np.random.default_rng(0).normal(size=(20_000, 4))
    model = make_model("regressor").partial_fit(X, X[:, 0])
    answers, got, stop = [model.predict(many)], [], threading.Event()

    def read():
        while not stop.is_set():
            got.append(model.predict(many))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for k in range(5):
        model.partial_fit(X, 10.0**k + X[:, 0])
        answers.append(model.predict(many))
    stop.set()
    for reader in readers:
        reader.join()
    assert got
    for own in got:
        assert any((own == answer).all() for answer in answers)


def test_a_twin_keeps_what_its_estimator_replaces():
    model = MMoERegressor(**QUICK).fit(X, X[:, :2])
    twin = model._as_fitted()
    assert twin.__dict__ is model.__dict__
    model.fit(X, X[:, 1:3])
    assert twin.net_ is not model.net_
