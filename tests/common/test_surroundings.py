"""What is set in torch around a call changes nothing, neither what it does nor what is set afterwards."""

import copy
import pickle
from contextlib import contextmanager, nullcontext

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from helpers import (
    NAMES,
    answers_of,
    assert_same_answers,
    by_file,
    by_pickle,
    fitted,
    make_features,
    make_model,
    make_targets,
)
from scipy.sparse import csr_array
from shared_state import shared_state
from torch.overrides import TorchFunctionMode

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._common.surroundings import undisturbed, undisturbed_answer, usual_dtype
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.nn import MMoE
from sklearn_mmoe.plot import TaskAffinityDisplay


@contextmanager
def setting(change, value, usual):
    change(value)
    try:
        yield
    finally:
        change(usual)


@contextmanager
def all_at_once():
    float64 = setting(torch.set_default_dtype, torch.float64, torch.float32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), torch.device("meta"), float64:
        yield


class Watching(TorchFunctionMode):
    """A mode of a user who looks on."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to half": lambda: torch.autocast("cpu", torch.float16),
    "autocast without a cache": lambda: torch.autocast("cpu", torch.bfloat16, cache_enabled=False),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients off": lambda: setting(torch.set_grad_enabled, False, True),
    "float64": lambda: setting(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: setting(torch.set_default_dtype, torch.float16, torch.float32),
    "bfloat16": lambda: setting(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "meta by default": lambda: setting(torch.set_default_device, "meta", None),
    "with meta": lambda: torch.device("meta"),
    "deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "flushed denormals": lambda: setting(torch.set_flush_denormal, True, False),
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "a mode that watches": Watching,
    "all at once": all_at_once,
}
surroundings = pytest.mark.parametrize("around", SURROUNDINGS)
each_and_all = pytest.mark.parametrize(  # what is trained is the same code for all three
    ("name", "around"),
    [*(("multitask", around) for around in SURROUNDINGS), *((name, "all at once") for name in NAMES[:2])],
)
pytestmark = pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
OPTIONS = {"dropout": 0.1, "n_members": 2, "batch_size": 16, "early_stopping": True}
X = make_features()


def within(around, function, *args):
    """Call a function within surroundings, and see that these are the same afterwards."""
    with SURROUNDINGS[around]():
        before = shared_state()
        result = function(*args)
        assert shared_state() == before
    return result


def assert_identical_models(model, other):
    """The same answers, bit by bit, and what training goes on from."""
    assert_same_answers(model, other, X)
    assert model.loss_curve_ == other.loss_curve_
    for name, state in model.net_.__getstate__()["parts"].items():
        found = other.net_.__getstate__()["parts"][name]
        assert pickle.dumps(found) == pickle.dumps(state), name


@pytest.fixture(scope="module")
def usual():
    """The three estimators as they are without anything set around them, after a fit and after a further chunk."""
    fits = {name: fitted(name, **OPTIONS) for name in NAMES}
    return {name: (model, copy.deepcopy(model).partial_fit(X, make_targets(name))) for name, model in fits.items()}


@each_and_all
def test_fits(usual, name, around):
    model = within(around, lambda: make_model(name, **OPTIONS).fit(X, make_targets(name)))
    assert_identical_models(model, usual[name][0])
    within(around, model.partial_fit, X, make_targets(name))
    assert_identical_models(model, usual[name][1])


@each_and_all
def test_answers(usual, name, around):
    model, y = usual[name][0], make_targets(name)
    expected = {**answers_of(model, X), "score": model.score(X, y), "text": model.describe()}
    asked = within(around, lambda: {**answers_of(model, X), "score": model.score(X, y), "text": model.describe()})
    assert asked.keys() == expected.keys()
    for key, value in expected.items():
        assert np.asarray(asked[key]).dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(asked[key], value, err_msg=key)


@pytest.mark.parametrize("there_and_back", [by_pickle, by_file])
@surroundings
def test_models_that_are_saved_and_opened_there(usual, around, there_and_back):
    model, further = usual["multitask"]
    again = within(around, there_and_back, model)
    assert_identical_models(again, model)
    assert_identical_models(again.partial_fit(X, make_targets("multitask")), further)


KINDS_OF_ROWS = {
    "sparse": csr_array(np.where(np.abs(X) > 1, X, 0)),
    "categories": pd.DataFrame(X).assign(town=np.where(X[:, 0] > 0, "Ulm", "Kiel")).rename(columns=str),
    "tensors": torch.tensor(X),
}


@pytest.mark.parametrize("kind", KINDS_OF_ROWS)
@pytest.mark.parametrize("around", ["all at once", "with meta", "inference mode"])
def test_rows_that_are_more_than_an_array(around, kind):
    rows, y = KINDS_OF_ROWS[kind], make_targets("regressor")
    expected = make_model("regressor").fit(rows, y)
    model = within(around, make_model("regressor").fit, rows, y)
    np.testing.assert_array_equal(within(around, model.predict, rows), expected.predict(rows))
    np.testing.assert_array_equal(within(around, model.gate_weights, rows), expected.gate_weights(rows))


@pytest.mark.parametrize(
    "parameters",
    [
        {"optimizer": "sgd"},
        {"optimizer": "rmsprop"},
        {"optimizer": torch.optim.Adagrad, "weight_decay": 0.0},
        {"optimizer": torch.optim.Adamax},
        {"task_weights": "uncertainty"},
        {"task_weights": "dwa"},
        {"task_weights": "upgrad"},
        {"precision": "bf16"},
        {"dtype": "float64"},
        {"gate_balance": 0.1},
        {"activation": torch.nn.PReLU},
        {"loss": ["quantile", "huber"]},
        {"monitor": lambda model, X, y: model.score(X, y), "early_stopping": True},
    ],
)
def test_ways_of_training(parameters):
    y = make_targets("regressor")
    expected = make_model("regressor", **parameters).fit(X, y)
    model = within("all at once", make_model("regressor", **parameters).fit, X, y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_steps_in_bfloat16_see_the_weights_of_today():
    """An autocast around all of them would keep the weights of the first step in its cache."""
    options = {"precision": "bf16", "max_epochs": 4, "batch_size": 8, "learning_rate": 0.05}
    losses = [fitted("regressor", **options).loss_curve_]
    losses.append(within("autocast", lambda: fitted("regressor", **options).loss_curve_))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("around", ["all at once", "inference mode", "float64"])
def test_affinities(usual, around):
    model, y = usual["regressor"][0], make_targets("regressor")

    def affinity():
        return TaskAffinityDisplay.from_estimator(model, X, y, kind="gradients", random_state=0).affinity

    expected = affinity()
    np.testing.assert_array_equal(within(around, affinity), expected)


@pytest.mark.slow  # torch's exporter takes long
def test_a_graph_which_is_tried_out_as_it_is_written(usual):
    graph = within("all at once", lambda: to_onnx(usual["regressor"][0], example=X[:3].astype(np.float32))).graph
    assert [own.type.tensor_type.elem_type for own in graph.input] == [onnx.TensorProto.FLOAT]


def test_what_is_set_in_a_fit_ends_with_it():
    """By a callback, say, which an error has kept from putting it back."""

    def set_much(*args):
        torch.set_grad_enabled(False)
        torch.set_autocast_enabled("cpu", True)
        torch.device("meta").__enter__()
        raise RuntimeError("in the midst of it")

    before = shared_state()
    with pytest.raises(RuntimeError, match="in the midst of it"):
        undisturbed(set_much)
    assert shared_state() == before


@pytest.mark.parametrize("call", [undisturbed, undisturbed_answer])
def test_modes_of_others_stay(call):
    """Only a default device is set aside, whatever stands above it."""
    with Watching() as below, torch.device("meta"), Watching() as above:
        stack = [torch._C._get_function_stack_at(i) for i in range(3)]
        assert call(torch.ones, 3).device.type == "cpu"
        assert min(below.seen, above.seen) >= 1
        assert [torch._C._get_function_stack_at(i) for i in range(3)] == stack
        assert torch.ones(3).device.type == "meta"


def test_the_bare_module_is_plain_torch():
    with all_at_once():
        module = MMoE(4, [1, 2])
    assert {(own.device.type, own.dtype) for own in module.parameters()} == {("meta", torch.float64)}


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda: torch.empty(2), torch.float32),
        (lambda: torch.ones(2, dtype=None), torch.float32),
        (lambda: torch.tensor([1.0, 2]), torch.float32),
        (lambda: torch.full((2,), 1.5), torch.float32),
        (lambda: torch.arange(0.0, 2.0), torch.float32),
        (lambda: torch.tensor([1, 2]), torch.int64),
        (lambda: torch.arange(2), torch.int64),
        (lambda: torch.full((2,), 1), torch.int64),
        (lambda: torch.tensor(np.ones(2)), torch.float64),
        (lambda: torch.ones(2, dtype=torch.float64), torch.float64),
        (lambda: torch.full_like(torch.ones(2, dtype=torch.float16), 1.0), torch.float16),
        (lambda: torch.nn.Linear(2, 3).weight, torch.float32),
        (lambda: torch.nn.BatchNorm1d(3).running_var, torch.float32),
        (lambda: torch.nn.Embedding(3, 2).weight, torch.float32),
    ],
)
@pytest.mark.parametrize("default", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_are_of_the_usual_type_whatever_the_default(make, dtype, default):
    with setting(torch.set_default_dtype, default, torch.float32), usual_dtype():
        assert make().dtype == dtype


@pytest.mark.parametrize("make", [torch.tensor, torch.scalar_tensor, lambda value: torch.full((), value)])
def test_what_is_given_is_not_rounded_to_a_smaller_default_type_before(make):
    with setting(torch.set_default_dtype, torch.float16, torch.float32), usual_dtype():
        assert make(1 / 3).item() == np.float32(1 / 3)


def test_a_default_type_of_torch_draws_the_same_weights():
    torch.manual_seed(0)
    expected = torch.nn.Linear(5, 3).weight
    with setting(torch.set_default_dtype, torch.float64, torch.float32), usual_dtype():
        torch.manual_seed(0)
        assert torch.equal(torch.nn.Linear(5, 3).weight, expected)


def test_an_epoch_of_chunks_within_inference_mode():
    y = make_targets("regressor")
    expected, model = MMoERegressor(n_members=1, random_state=0), MMoERegressor(n_members=1, random_state=0)
    for rows in (slice(0, 30), slice(30, 60)):
        expected.partial_fit(X[rows], y[rows])
        with torch.inference_mode() if rows.start == 0 else nullcontext():
            model.partial_fit(X[rows], y[rows])
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
