"""Small models, data for them, and ways to compare them, for the tests of the estimators from outside."""

import copy
import io
import pickle
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from torch import nn

import sklearn_mmoe
from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.nn import MMoE
from sklearn_mmoe.tasks import Count, Regression

N_ROWS = 60
KINDS = {"up": "binary", "level": "regression", "visits": Count()}
SMALL = {
    "n_members": 1,
    "n_experts": 2,
    "expert_layer_sizes": (8,),
    "tower_layer_sizes": (4,),
    "max_epochs": 3,
    "random_state": 0,
}
# Steps so large that gates which read embeddings would choose one expert at once
QUICK = {**SMALL, "max_epochs": 40, "learning_rate": 0.02, "early_stopping": False, "numeric_embeddings": None}
TWO_FOLDS = KFold(2, shuffle=True, random_state=0)  # an integer `cv` of a classifier wants to see complete classes
ESTIMATORS = {"regressor": MMoERegressor, "classifier": MMoEClassifier, "multitask": MMoEMultiTask}
NAMES = list(ESTIMATORS)
KEPT = "the estimator is as it was before"

all_three = pytest.mark.parametrize("name", NAMES)


def make_model(name, **parameters):
    kinds = {"tasks": KINDS} if name == "multitask" else {}
    return ESTIMATORS[name](**{**SMALL, **kinds, **parameters})


class OwnHeads(MMoE):
    """A module whose last layers are not where this package knows them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.last_layers, self.heads = self.heads, nn.Identity()

    def outputs_and_gates(self, x, codes=None):
        mixed, gates = super().outputs_and_gates(x, codes)
        return self.last_layers(mixed), gates


class OneLayer(nn.Module):
    """A network of the user's own: no experts, and no last layers that could be rescaled."""

    def __init__(self, n_features, task_outputs, **kwargs):
        super().__init__()
        self.layer = nn.Linear(n_features, sum(task_outputs))
        self.n_tasks = len(task_outputs)

    def forward(self, x):
        return self.layer(x)

    def gate_weights(self, x):
        return torch.ones(len(x), self.n_tasks, 1)


def make_features(n_rows=N_ROWS):
    return np.random.default_rng(0).normal(size=(n_rows, 4))


def make_targets(name):
    """A target of several columns for each estimator, all of them numbers, learnable from `make_features()`."""
    X = make_features()
    if name == "regressor":
        return np.column_stack([X[:, 0] + X[:, 1], 100 * X[:, 2]])
    if name == "classifier":
        return np.column_stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])]).astype(float)
    return np.column_stack([X[:, 0] > 0, X[:, 0] + X[:, 1], np.floor(np.exp(X[:, 2]))])


def fitted(name, **parameters):
    return make_model(name, **parameters).fit(make_features(), make_targets(name))


def steep(model):
    """The model with ten times the weights, whose sums leave the range of floats where features are large."""
    with torch.no_grad():
        for parameter in model.module_.parameters():
            parameter.mul_(10)
    return model


def task_name(name, t):
    """The name of a task of `make_targets`."""
    return list(KINDS)[t] if name == "multitask" else f"y{t}"


def make_labels():
    """Labels of one classification, as strings."""
    return np.where(make_features()[:, 0] > 0, "yes", "no")


def make_weights():
    """Weights that move the model: rows of one side count twenty times as much."""
    return np.where(make_features()[:, 0] > 0, 20.0, 1.0)


def with_missing(y):
    """Every column loses some of its labels, each its own."""
    y = y.astype(float)
    for column in range(y.shape[1]):
        y[column :: 7 + column, column] = np.nan
    return y


def changed(array, row, column, value):
    array = array.copy()
    array[row, column] = value
    return array


# --------------------------------------------------------------------------------------------------------------------
# Comparisons


def outputs_of(model, X):
    """All that a model answers, as one array of floats: probabilities where there are some, else predictions."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(X), dtype=float)
    probabilities = model.predict_proba(X)
    if isinstance(probabilities, dict):
        return np.column_stack([*probabilities.values(), model.predict(X)])
    return np.column_stack(probabilities) if isinstance(probabilities, list) else probabilities


def assert_same_model(model, other):
    np.testing.assert_array_equal(outputs_of(model, make_features()), outputs_of(other, make_features()))


def assert_identical(found, value):
    """Of the same types and values, however deep: arrays, tuples and dataclasses, with NaN equal to NaN."""
    assert type(found) is type(value)
    if is_dataclass(value):
        found, value = ({field.name: getattr(own, field.name) for field in fields(own)} for own in (found, value))
    if isinstance(value, np.ndarray):
        assert found.dtype == value.dtype
        assert found.shape == value.shape
        found, value = found.ravel().tolist(), value.ravel().tolist()
    if isinstance(value, dict):
        assert_identical(list(found), list(value))
        found, value = list(found.values()), list(value.values())
    if isinstance(value, list | tuple):
        assert len(found) == len(value)
        for new, old in zip(found, value, strict=True):
            assert_identical(new, old)
    else:
        assert found == value or (found != found and value != value)


def assert_other_model(model, other):
    assert not np.allclose(outputs_of(model, make_features()), outputs_of(other, make_features()))


def fine_score(model, X, y):
    """The default score, but of a classifier, whose share of right rows takes few values, the log-likelihood."""
    if not isinstance(model, MMoEClassifier):
        return model.score(X, y)
    chances = [own[np.arange(len(y)), y[:, t].astype(int)] for t, own in enumerate(model.predict_proba(X))]
    return float(np.log(chances).mean())


def fingerprint(model, X, y):
    """A score that tells any two models apart, as the accuracy of a few rows does not."""
    return float(np.square(outputs_of(model, X)).sum())


# --------------------------------------------------------------------------------------------------------------------
# Fits that fail


def assert_unfitted(model):
    assert set(vars(model)) == set(model.get_params(deep=False))
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


def assert_fit_refuses(name, match, X=None, y=None, weights=None, error=ValueError, **parameters):
    """`fit` raises, and leaves neither an unfitted estimator half-fitted nor a fitted one changed."""
    X = make_features() if X is None else X
    y = make_targets(name) if y is None else y
    model = make_model(name, **parameters)
    with pytest.raises(error, match=match):
        model.fit(X, y, weights)
    assert_unfitted(model)
    model = fitted(name)
    outputs, attributes = model.predict(make_features()), set(vars(model))
    model.set_params(**parameters)
    with pytest.raises(error, match=match):
        model.fit(X, y, weights)
    assert set(vars(model)) == attributes
    np.testing.assert_array_equal(model.predict(make_features()), outputs, err_msg=KEPT)


# --------------------------------------------------------------------------------------------------------------------
# Models that are saved

DATA_KINDS = {"label": "multiclass", "value": Regression(loss="quantile", quantile=0.8), "count": Count()}


def make_data(name, n_rows=N_ROWS):
    """Features and targets as varied as each estimator takes them: missing labels, words, a frame."""
    X = make_features(n_rows)
    if name == "regressor":
        y = np.column_stack([X[:, 0] + X[:, 1], 100 * X[:, 2]])
        y[::7, 1] = np.nan
        return X, y
    labels = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    if name == "classifier":
        return X, np.column_stack([labels, np.where(X[:, 1] > 0, "yes", "no")])
    return X, pd.DataFrame({"label": labels, "value": X[:, 1], "count": np.floor(np.exp(X[:, 2]))})


def fitted_on_data(name, n_rows=N_ROWS, **parameters):
    kinds = {"tasks": DATA_KINDS} if name == "multitask" else {}
    return make_model(name, **kinds, **parameters).fit(*make_data(name, n_rows))


def answers_of(model, X):
    """All that a model answers, by name, as arrays."""
    answers = {"predict": model.predict(X), "gates": model.gate_weights(X)}
    if isinstance(model, MMoEClassifier):
        answers |= {f"proba{t}": own for t, own in enumerate(model.predict_proba(X))}
    if isinstance(model, MMoEMultiTask):
        answers |= {f"proba of {task}": own for task, own in model.predict_proba(X).items()}
    return answers


def assert_same_answers(model, other, X):
    expected, found = answers_of(model, X), answers_of(other, X)
    assert expected.keys() == found.keys()
    for key in expected:
        assert found[key].dtype == expected[key].dtype
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key)


def fit_again(model, X, y):
    return model.set_params(warm_start=True).fit(X, y)


def fit_a_part(model, X, y):
    return model.partial_fit(X[:30], y[:30])


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def by_oldest_usable_protocol(model):
    return pickle.loads(pickle.dumps(model, protocol=2))


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file, compress=3)
    file.seek(0)
    return joblib.load(file)


def by_skops(model):
    file = skops.io.dumps(model)
    return skops.io.loads(file, trusted=skops.io.get_untrusted_types(data=file))


def by_file(model):
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.safetensors")
        return sklearn_mmoe.load(Path(folder) / "model.safetensors")


PICKLES = [by_pickle, by_oldest_usable_protocol, by_joblib, copy.deepcopy, by_skops]
pickles = pytest.mark.parametrize("there_and_back", PICKLES)  # of anything
round_trips = pytest.mark.parametrize("there_and_back", [*PICKLES, by_file])  # of fitted estimators without own code


class Counter(Callback):
    """A user's callback with a parameter and with something that it learns."""

    def __init__(self, step=1):
        self.step = step

    def initialize(self):
        self.epochs_ = 0
        return self

    def on_epoch_end(self, net, **kwargs):
        self.epochs_ += self.step

    def on_batch_end(self, net, **kwargs):
        """Listening to batches makes the net keep a history of them."""


class Fixed(BaseEstimator):
    """Answers what it is told to."""

    def __init__(self, predictions=None, probabilities=None, classes=None):
        self.predictions, self.probabilities = predictions, probabilities
        if classes is not None:
            self.classes_ = classes

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.predictions

    def predict_proba(self, X):
        return self.probabilities
