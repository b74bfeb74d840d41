"""No NaN and no infinity leaves a model: where the network overflows, an error names rows and tasks."""

import functools

import numpy as np
import pandas as pd
import pytest
from helpers import SMALL, all_three, fitted, make_features, make_model, make_targets, steep, task_name
from scipy.sparse import csr_array

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.tasks._answers import check_answers, check_gates
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedOrdinal, FittedRegression

LARGEST = {"float32": 3e38, "float64": 1.7e308}
ANSWERS = ["predict", "predict_proba", "predict_frame", "gate_weights"]


@functools.cache
def cached(name, **parameters):
    return steep(fitted(name, numeric_embeddings=None, **parameters))  # embeddings clip what is large


def with_large(value, rows=(1, 4)):
    X = make_features()[:6]
    X[list(rows)] = value
    return X


def some(estimator):
    return [getattr(estimator, name) for name in ANSWERS if hasattr(estimator, name)]


@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize("n_members", [1, 3])
@all_three
def test_an_overflow_is_an_error_that_names_rows_and_tasks(name, n_members, dtype):
    model, X = cached(name, n_members=n_members, dtype=dtype), with_large(LARGEST[dtype])
    for ask in some(model):
        match = f"{type(model).__name__} has no answer for rows 1, 4 of X, in task.*'{task_name(name, 0)}'"
        with pytest.raises(ValueError, match=match):
            ask(X)
        ask(X[[0, 2, 3, 5]])
    with pytest.raises(ValueError, match="no answer for rows 1, 4 of X"):
        model.score(X, make_targets(name)[:6])
    with pytest.raises(ValueError, match="no answer for rows 1, 4 of X"):
        make_task_scorer("accuracy" if name == "classifier" else "r2", task=1)(model, X, make_targets(name)[:6])


@all_three
def test_a_single_row_and_many_rows(name):
    model = cached(name)
    with pytest.raises(ValueError, match="no answer for row 0 of X"):
        model.predict(with_large(3e38)[[1]])
    many = np.tile(make_features(), (300, 1))
    many[-40:] = 3e38
    with pytest.raises(ValueError, match=r"no answer for rows 17960, 17961, .*\.\.\. \(40 in all\) of X"):
        model.predict(many)


def with_categories(X):
    return pd.DataFrame(X, columns=list("abcd")).assign(kind=pd.Categorical(["a", "b"] * (len(X) // 2)))


@pytest.mark.parametrize("form", [csr_array, pd.DataFrame, with_categories])
def test_other_forms_of_X(form):
    X, y = make_features(), make_targets("regressor")
    model = steep(make_model("regressor", numeric_embeddings=None).fit(form(X), y))
    with pytest.raises(ValueError, match="no answer for rows 1, 4 of X, in tasks 'y0', 'y1'"):
        model.predict(form(with_large(3e38)))


@pytest.mark.parametrize("kind", ["positive", "count"])
def test_a_logarithmic_link_beyond_the_largest_float(kind):
    """The network's own output is finite, its exponential is not; of the other sign it is 0, which is an answer."""
    X = make_features()
    y = np.column_stack([X[:, 0], np.ceil(np.exp(X[:, 1]))])
    tasks = {"level": "regression", "amount": kind}
    options = {"max_epochs": 20, "learning_rate": 0.02, "numeric_embeddings": None}
    model = MMoEMultiTask(tasks=tasks, **{**SMALL, **options}).fit(X, y)
    far = np.array([[0.0, 1e6, 0, 0], [0, 0, 0, 0], [0, -1e6, 0, 0]])
    with pytest.raises(ValueError, match="no answer for row 0 of X, in task 'amount'"):
        model.predict(far)
    assert np.isfinite(model.predict(far[1:])).all()


def test_far_is_not_too_far():
    """Large outputs that are finite numbers are answers."""
    model = cached("regressor")
    found = model.predict(with_large(1e6))
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 1e4
    chances = cached("classifier").predict_proba(with_large(1e6))
    assert all(np.isfinite(own).all() for own in chances)


# --------------------------------------------------------------------------------------------------------------------
# The checks themselves

TASKS = {
    "regression": FittedRegression("y0", "squared_error", 1.0, 2.0),
    "binary": FittedClassification("y0", "log_loss", np.arange(2)),
    "multiclass": FittedClassification("y0", "cross_entropy", np.arange(3)),
    "ordinal": FittedOrdinal("y0", "ordinal", np.arange(3)),
}


@pytest.mark.parametrize(
    ("kind", "value", "is_answer"),
    [
        *[(kind, np.nan, False) for kind in TASKS],
        *[("regression", value, False) for value in (np.inf, -np.inf, 1e308)],
        *[("binary", value, True) for value in (np.inf, -np.inf, 1e308)],  # it is sure of a class
        *[("multiclass", np.inf, False), ("multiclass", -np.inf, True), ("multiclass", 1e308, True)],
        *[("ordinal", value, True) for value in (np.inf, -np.inf, 1e308)],
    ],
)
def test_what_is_an_answer(kind, value, is_answer):
    task = TASKS[kind]
    outputs = np.zeros((4, 2 * task.width))
    outputs[2, -1] = value
    if is_answer:
        check_answers((task, task), outputs, "It")
        return
    with pytest.raises(ValueError, match="It has no answer for row 2 of X, in task 'y0'"):
        check_answers((task, task), outputs, "It")


@pytest.mark.parametrize("value", [99.0, 700.0, -800.0, -1e300])
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_exponentials_that_are_floats(loss, value):
    task = FittedRegression("y0", loss, 0.0, 2.0)
    check_answers((task,), np.array([[value]]), "It")
    assert np.isfinite(task.decode(np.array([[value]]))).all()
    with pytest.raises(ValueError, match="It has no answer for row 0"):
        check_answers((task,), np.array([[710.0]]), "It")


def test_gates_that_are_no_weights_name_rows_and_tasks():
    gates = np.full((3, 2, 4), 0.25)
    check_gates(["a", "b"], gates, "It")
    gates[1, 1, 2] = np.nan
    with pytest.raises(ValueError, match="It has no answer for row 1 of X, in task 'b'"):
        check_gates(["a", "b"], gates, "It")
