"""A parameter that is set after `fit` waits for the next one: answers are of what the fit has left."""

import numpy as np
import onnx
import pytest
from helpers import (
    ESTIMATORS,
    NAMES,
    SMALL,
    all_three,
    answers_of,
    by_file,
    by_joblib,
    by_pickle,
    by_skops,
    fitted,
    make_data,
    make_features,
    make_model,
    make_targets,
)
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.plot import GateDisplay, LearningCurveDisplay, TaskAffinityDisplay

OTHERS = {  # values that the small models of these tests do not have
    "categorical_features": [0],
    "numeric_embeddings": "periodic",
    "n_members": 3,
    "n_experts": 5,
    "n_task_experts": 1,
    "n_levels": 2,
    "expert_layer_sizes": (3, 3, 3),
    "gate_layer_sizes": (3,),
    "tower_layer_sizes": (2, 2),
    "gating": "shared",
    "activation": "tanh",
    "dropout": 0.9,
    "gate_dropout": 0.9,
    "linear_part": False,
    "gate_balance": 7.0,
    "loss": "absolute_error",
    "class_weight": "balanced",
    "tasks": ["regression"],
    "task_weights": "dwa",
    "optimizer": "sgd",
    "learning_rate": 3.0,
    "learning_rate_schedule": "cosine",
    "weight_decay": 3.0,
    "batch_size": 2,
    "max_epochs": 7,
    "shuffle": False,
    "early_stopping": True,
    "validation_fraction": 0.5,
    "validation_split": GroupShuffleSplit(1, random_state=0),
    "monitor": "y1",
    "n_iter_no_change": 1,
    "tol": 9.0,
    "dtype": "float64",
    "precision": "bf16",
    "device": "cuda:7",
    "distributed": False,
    "random_state": 5,
    "warm_start": True,
    "verbose": 2,
    "callbacks": [],  # others cannot be saved
    "net_params": {"batch_size": 3},
}


def data_for(name):
    return make_features(), make_targets(name)


def said_by(model, X, y):
    """What is asked of a fitted model all the time."""
    return {
        **answers_of(model, X),
        "score": np.array(model.score(X, y)),
        "one row": model.predict(X[:1]),
        "text": np.array(model.describe()),
        "classes": np.array(str(getattr(model, "classes_", ""))),
        "attributes": np.array([model.n_iter_, *model.best_epochs_, *model.loss_curve_]),
    }


def everything(model, X, y):
    """All that is said of it, by others, too, and after there-and-backs."""
    metric = "r2" if isinstance(model, MMoERegressor) else "accuracy"
    said = {
        **said_by(model, X, y),
        "scorer": np.array(make_task_scorer(metric, task=0)(model, X, y)),
        "affinity": affinity(model, X, y),
        "gates shown": GateDisplay.from_estimator(model, X).gate_weights,
        "curves": np.array([own.get_title() for own in LearningCurveDisplay.from_estimator(model).axes_]),
    }
    for there_and_back in (by_pickle, by_joblib, by_skops, by_file):
        said |= {f"{there_and_back.__name__} {key}": own for key, own in answers_of(there_and_back(model), X).items()}
    return said


def affinity(model, X, y):
    return TaskAffinityDisplay.from_estimator(model, X, y, kind="gradients", random_state=0).affinity


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_there_is_another_value_for_every_parameter():
    defaults = {name: value for cls in ESTIMATORS.values() for name, value in cls().get_params().items()}
    assert defaults.keys() == OTHERS.keys()
    assert all(OTHERS[name] != {**defaults, **SMALL}[name] for name in OTHERS if name != "callbacks")


@pytest.fixture(scope="module")
def models():
    """The three estimators, fitted once."""
    return {name: fitted(name) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, own) for name, cls in ESTIMATORS.items() for own in sorted(cls().get_params())]
)
def test_answers_are_those_of_the_fit(models, name, parameter):
    model, data = models[name], data_for(name)
    expected, before = said_by(model, *data), model.get_params()
    assert_same(said_by(model.set_params(**{parameter: OTHERS[parameter]}), *data), expected)
    model.set_params(**before)


@all_three
def test_all_that_is_said_of_a_model_is_of_the_fit(name):
    model, data = fitted(name), data_for(name)
    expected = everything(model, *data)
    model.set_params(**{parameter: OTHERS[parameter] for parameter in model.get_params()})
    assert_same(everything(model, *data), expected)


@all_three
def test_answers_do_not_even_look_at_parameters(name):
    """Whatever stands there: a file cannot hold it, all else can."""
    model = fitted(name)
    X, y = data_for(name)
    expected, score = answers_of(model, X), model.score(X, y)
    model.set_params(**{parameter: object() for parameter in model.get_params()})
    assert_same(answers_of(model, X), expected)
    assert model.score(X, y) == score
    assert model.describe()


def test_an_exported_graph_is_that_of_the_fit():
    model = fitted("regressor").set_params(dtype="float64")
    (features,) = to_onnx(model, example=make_features().astype(np.float32)).graph.input
    assert features.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("weights", ["balanced", [{0: 1, 1: 5}, {0: 1, 1: 1, 2: 9}]], ids=["balanced", "numbers"])
def test_gradients_are_those_of_the_class_weights_of_the_fit(weights):
    X, y = data_for("classifier")
    model = make_model("classifier", class_weight=weights).fit(X, y)
    expected = affinity(model, X, y)
    if isinstance(weights, list):
        weights[1][2] = 1e-3  # a dict of the user's that changes is a parameter that changes
    np.testing.assert_array_equal(affinity(model, X, y), expected)
    np.testing.assert_array_equal(affinity(by_file(model.set_params(class_weight=None)), X, y), expected)
    assert not np.allclose(affinity(clone(model).fit(X, y), X, y), expected)


def test_curves_show_the_score_that_was_watched():
    X, y = data_for("regressor")
    panels = {}
    for monitor in ("mean", "y1", make_task_scorer("r2")):
        model = make_model("regressor", monitor=monitor, early_stopping=True).fit(X, y).set_params(monitor="mean")
        titles = [own.get_title() for own in LearningCurveDisplay.from_estimator(model).axes_]
        panels[str(monitor)] = "watched score" in titles
    assert list(panels.values()) == [False, True, True]


@pytest.mark.parametrize(("cls", "change"), [(MMoEClassifier, {}), (MMoEMultiTask, {"tasks": "auto"})])
def test_the_next_fit_takes_them(cls, change):
    X, y = make_data("classifier")
    model = cls(**SMALL).fit(X, y).set_params(n_experts=5, dtype="float64", **change)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.fit(X, y).gate_weights(X), again.gate_weights(X))
    assert model.gate_weights(X).shape[2] == 5
    assert model.gate_weights(X).dtype == np.float64


def test_members_that_net_params_ask_for_are_those_that_are_summed_up():
    model = fitted("regressor", net_params={"module__n_members": 2})
    assert len(model.best_epochs_) == 2
    assert (model.gate_entropy_ <= np.log(model.n_experts)).all()
