"""`save` and `load`: the model that is opened is the one that was saved, and what a file cannot hold is refused."""

import os
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import (
    Counter,
    all_three,
    answers_of,
    assert_identical,
    assert_same_answers,
    by_file,
    by_pickle,
    fit_a_part,
    fit_again,
    fitted_on_data,
    make_data,
    make_features,
    make_model,
    make_weights,
)
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping
from torchjd.aggregation import UPGrad

import sklearn_mmoe
from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._estimators import parameters
from sklearn_mmoe._files.model_file import read_model_file, write_model_file
from sklearn_mmoe._training.net import MMoENet
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.tasks import Binary, Count, Multiclass, Ordinal, Positive, Regression


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def state_of(model):
    """All that a pickle would hold, by name."""
    state = model.__getstate__()
    return dict(sorted({**state, "net_": state["net_"].__getstate__()}.items()))


def without_seconds(model):
    return [{key: value for key, value in row.items() if key != "dur"} for row in model.history_]


def assert_comes_back(model, X, y):
    """The same state, answers and further training."""
    other = by_file(model)
    assert_identical(state_of(other), state_of(model))
    assert_same_answers(model, other, X)
    for go_on in (fit_a_part, fit_again, fit_a_part):
        go_on(model, X, y)
        other = by_file(go_on(other, X, y))
        assert_identical(without_seconds(other), without_seconds(model))
        assert_same_answers(model, other, X)


# --------------------------------------------------------------------------------------------------------------------
# What comes back


@all_three
def test_a_model_comes_back_and_goes_on(name):
    X, y = make_data(name)
    assert_comes_back(fitted_on_data(name, early_stopping=True), X, y)


@pytest.mark.parametrize(
    "options",
    [
        {"n_members": 3},
        {"n_members": 3, "early_stopping": True, "gating": "shared"},
        *[{"task_weights": scheme} for scheme in ("uncertainty", "dwa", "upgrad", {"y0": 1, "y1": 3.5}, (1, 2))],
        {"task_weights": np.array([1.0, 2.0])},
        {"dtype": "float64", "optimizer": "rmsprop"},
        {"precision": "bf16"},
        {"dropout": 0.3, "gate_dropout": 0.2, "gate_balance": 0.01, "gate_layer_sizes": [3], "batch_size": 7},
        {"activation": torch.nn.Mish, "optimizer": torch.optim.Adagrad, "device": torch.device("cpu")},
        {"expert_layer_sizes": np.array([8, 4]), "learning_rate": np.float32(0.01), "random_state": np.int64(3)},
        {"random_state": None},
        {"monitor": {"y0": 0.3, "y1": 0.7}, "early_stopping": True},
        {"net_params": {"optimizer": torch.optim.NAdam, "lr": 0.02, "module__activation": torch.nn.ELU}},
        {"net_params": {"callbacks__epoch_timer": None}},
        {"loss": ["huber", "absolute_error"]},
    ],
    ids=str,
)
def test_a_model_comes_back_whatever_its_parameters(options):
    X, y = make_data("regressor")
    model = fitted_on_data("regressor", **options)
    assert_comes_back(model, X, y)
    assert_identical(by_file(model).get_params(), model.get_params())


def test_all_kinds_of_task_come_back():
    X = make_features()
    grades = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    tasks = {
        "value": Regression(loss="huber"),
        "upper": Regression(loss="quantile", quantile=0.9),
        "visits": Count(),
        "price": Positive(),
        "up": Binary(positive_weight=3.0, focal_gamma=1.0),
        "kind": Multiclass(focal_gamma=2.0),
        "grade": Ordinal(categories=["low", "middle", "high"]),
        "also": "ordinal",
        "number": "multiclass",
    }
    y = pd.DataFrame(
        {
            "value": X[:, 0],
            "upper": X[:, 1],
            "visits": np.floor(np.exp(X[:, 2])),
            "price": np.exp(X[:, 3]),
            "up": X[:, 1] > 0,
            "kind": grades,
            "grade": grades,
            "also": pd.Categorical(grades, categories=["high", "middle", "low"], ordered=True),
            "number": pd.Series(np.digitize(X[:, 3], [0]) * 10).astype("Int64"),
        }
    )
    y.loc[::7, "kind"] = None
    model = make_model("multitask", tasks=tasks).fit(X, y)
    assert_comes_back(model, X, y)
    pd.testing.assert_frame_equal(by_file(model).predict_frame(X), model.predict_frame(X))


@pytest.mark.parametrize(
    "labels",
    [
        *[np.array([False, True]), np.array([-1, 5]), np.array([0, 1], dtype=np.uint8), np.array([1.0, 2.0])],
        *[np.array(["a", "b"]), np.array(["a", "b"], dtype=object), np.array([1, 2], dtype=object)],
        *[np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"), np.array(["ü\n", '"'], dtype=object)],
    ],
    ids=repr,
)
def test_labels_of_any_type_come_back(labels):
    X = make_features()
    y = labels[(X[:, 0] > 0).astype(int)]
    y = pd.Series(y) if labels.dtype.kind == "M" else y
    model = make_model("classifier").fit(X, y)
    other = by_file(model)
    assert_identical(other.classes_, model.classes_)
    assert_comes_back(model, X, y)


@pytest.mark.parametrize("limits", [{}, {"KEPT_GRADIENT_BYTES": 0}, {"SPARSE_UPDATE_FEATURES": 1}], ids=str)
def test_a_model_of_sparse_rows_comes_back(limits, monkeypatch):
    for limit, value in limits.items():
        monkeypatch.setattr(parameters, limit, value)
    X, y = make_data("regressor")
    X = csr_array(X * (X > 0.5))
    assert_comes_back(make_model("regressor").fit(X, y), X, y)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_model_of_categories_comes_back(library):
    X, y = make_data("regressor")
    letters = np.array(["p", "q", "ü"])[np.digitize(X[:, 0], [-0.5, 0.5])].tolist()
    X = library.DataFrame({"a": X[:, 1], "b": letters, "c": [None, *letters[1:]]})
    model = make_model("regressor").fit(X, y)
    other = by_file(model)
    assert_identical(other.categories_, model.categories_)
    assert_identical(other.feature_names_in_, model.feature_names_in_)
    assert_comes_back(model, X, y)


@pytest.mark.parametrize("codes", [np.array([1.5, 2.5, 9.0]), np.array([10, 20, 30])])
def test_categories_that_are_numbers_come_back(codes):
    X, y = make_data("regressor")
    X = np.column_stack([X[:, 1:], codes[np.digitize(X[:, 0], [-0.5, 0.5])]])
    assert_comes_back(make_model("regressor", categorical_features=[3]).fit(X, y), X, y)


def test_only_a_fit_by_parts_comes_back():
    X, y = make_data("classifier")
    model = make_model("classifier", random_state=None)
    model.partial_fit(X[:20], y[:20], classes=[["high", "low", "middle"], ["no", "yes"]])
    assert_comes_back(model, X, y)


def test_a_model_with_requests_for_metadata_comes_back():
    X, y = make_data("regressor")
    with config_context(enable_metadata_routing=True):
        model = fitted_on_data("regressor").set_fit_request(sample_weight=True).set_score_request(sample_weight="w")
        other = by_file(model)
        assert other.get_metadata_routing().fit.requests == model.get_metadata_routing().fit.requests
        assert other.get_metadata_routing().score.requests == {"sample_weight": "w"}
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, clone(other)).fit(X, y, sample_weight=make_weights())
        unweighted = make_pipeline(scaler, make_model("regressor")).fit(X, y)
    assert not np.array_equal(pipeline.predict(X), unweighted.predict(X))


@all_three
def test_a_model_that_was_opened_is_like_any_other(name):
    X, y = make_data(name)
    model = fitted_on_data(name)
    other = by_file(model)
    assert_same_answers(by_pickle(other), model, X)
    assert_same_answers(by_file(other), model, X)
    assert_same_answers(clone(other).fit(X, y), model, X)
    assert other.describe() == model.describe()
    assert not any(module.training for module in other.module_.modules())
    other.n_labels_seen_ += 1  # its arrays are its own, and may be written to


def test_saving_leaves_the_model_alone(path):
    X, y = make_data("regressor")
    model, undisturbed = fitted_on_data("regressor"), fitted_on_data("regressor")
    before = pickle.dumps(model)
    model.save(path)
    assert pickle.dumps(model) == before
    assert_same_answers(fit_a_part(model, X, y), fit_a_part(undisturbed, X, y), X)
    assert_same_answers(sklearn_mmoe.load(path), fitted_on_data("regressor"), X)


# --------------------------------------------------------------------------------------------------------------------
# What is refused


class OwnModule(sklearn_mmoe.nn.MMoE):
    pass


class OwnActivation(torch.nn.ReLU):
    pass


class OwnRegressor(MMoERegressor):
    pass


@pytest.mark.parametrize(
    ("options", "parameter", "kind"),
    [
        ({"callbacks": [Counter()]}, "callbacks", r"callbacks\.0 is of type helpers\.Counter"),
        (
            {"callbacks": [("stop", EarlyStopping("train_loss"))]},
            "callbacks",
            r"callbacks\.0\.1 is of type skorch\.",
        ),
        ({"monitor": make_task_scorer("r2"), "early_stopping": True}, "monitor", r"monitor is of type .*TaskScorer"),
        ({"activation": OwnActivation}, "activation", r"activation is the class test_saving\.OwnActivation"),
        ({"net_params": {"module": OwnModule}}, "net_params", r"net_params\.module is the class .*OwnModule"),
        ({"task_weights": UPGrad()}, "task_weights", r"task_weights is of type torchjd\..*UPGrad"),
        ({"random_state": np.random.RandomState(0)}, "random_state", r"is of type numpy\.random\.mtrand\.RandomState"),
        ({"categorical_features": pd.Index([], dtype=int)}, "categorical_features", r"is of type pandas\."),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_a_file_cannot_hold_is_refused_before_it_is_written(options, parameter, kind, path):
    model = fitted_on_data("regressor", **options)
    answers = answers_of(model, make_features())
    words = rf"save cannot write the parameter '{parameter}' of this MMoERegressor: .*{kind}.* Save the model with "
    with pytest.raises(ValueError, match=words + r"joblib\.dump or skops\.io\.dump, or set the parameter to something"):
        model.save(path)
    assert not os.listdir(path.parent)
    for key, own in answers_of(model, make_features()).items():
        np.testing.assert_array_equal(own, answers[key])


def test_callbacks_of_scikit_learn_are_refused(path):
    model = fitted_on_data("regressor")
    model._skl_callbacks = [Counter()]  # as `set_callbacks` leaves it, where scikit-learn has that
    with pytest.raises(ValueError, match=r"the attribute '_skl_callbacks' of this .*: _skl_callbacks\.0 is of type"):
        model.save(path)
    assert not os.listdir(path.parent)


def test_it_is_saved_once_the_parameter_is_another(path):
    model = fitted_on_data("regressor", callbacks=[Counter()])
    model.set_params(callbacks=None).save(path)
    assert_same_answers(sklearn_mmoe.load(path), model, make_features())


def test_a_module_of_the_users_own_is_refused_however_it_got_there(path):
    model = fitted_on_data("regressor", net_params={"module": OwnModule}).set_params(net_params=None)
    with pytest.raises(ValueError, match=r"the attribute 'net_' of this .*: net_\.params\.module is the class"):
        model.save(path)
    assert not os.listdir(path.parent)


def test_what_a_callback_wrote_into_the_history_may_be_refused(path):
    model = fitted_on_data("regressor")
    model.net_.history[-1]["note"] = {1, 2}
    with pytest.raises(ValueError, match=r"the attribute 'net_'.*net_\.history\.2\.note is of type set"):
        model.save(path)


def test_a_class_of_the_users_own_is_refused(path):
    model = OwnRegressor(n_members=1, max_epochs=1).fit(*make_data("regressor"))
    with pytest.raises(ValueError, match=r"OwnRegressor is a class of test_saving, .*joblib\.dump or skops\.io\.dump"):
        model.save(path)
    assert not os.listdir(path.parent)


@all_three
def test_a_model_that_is_not_fitted_is_refused(name, path):
    with pytest.raises(NotFittedError):
        make_model(name).save(path)
    assert not os.listdir(path.parent)


# --------------------------------------------------------------------------------------------------------------------
# Files that are as they were saved, and still make no model


def saved_otherwise(path, change):
    """Save a model, and write the file anew, with a checksum that is right, after a change of what it says."""
    fitted_on_data("regressor").save(path)
    document, arrays = read_model_file(path)
    change(document, arrays)
    write_model_file(path, document, arrays)


@pytest.mark.parametrize("name", ["MMoERanker", "Pipeline", "sklearn_mmoe.MMoERegressor", 3, None])
def test_an_unknown_class_is_refused(path, name):
    saved_otherwise(path, lambda document, _: document.update({"class": name}))
    words = (
        rf"holds a '{name}', which sklearn_mmoe .* does not know: it has \['MMoERegressor', .*versions that saved it"
    )
    with pytest.raises(ValueError, match=words):
        sklearn_mmoe.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda document, arrays: document.pop("net"),
        lambda document, arrays: document.pop("parameters"),
        lambda document, arrays: document.update(net=[]),
        lambda document, arrays: document["attributes"].update(n_iter_={"code": "1 + 1"}),
        lambda document, arrays: document["attributes"].update(n_iter_={"object": ["Popen", {"args": "ls"}]}),
        lambda document, arrays: document["net"]["params"]["dict"].update(
            module={"object": ["Named", {"kind": "torch.nn", "name": "functional"}]}
        ),
        lambda document, arrays: document["net"]["params"]["dict"].update(module__n_experts=3),
        lambda document, arrays: document["net"]["params"]["dict"].update(unknown__parameter=3),
        lambda document, arrays: arrays.pop("module.heads.weight"),
        lambda document, arrays: arrays.update({"module.heads.weight": np.zeros(3)}),
    ],
)
def test_a_state_that_makes_no_model_is_refused_with_the_versions_that_saved_it(path, change):
    saved_otherwise(path, change)
    words = (
        rf"{path} is as it was saved, but sklearn_mmoe .* can make no MMoERegressor of it .*versions that saved it: "
    )
    with pytest.raises(ValueError, match=words):
        sklearn_mmoe.load(path)


# --------------------------------------------------------------------------------------------------------------------
# Other versions, other devices


def test_a_file_of_another_version_warns_once_and_names_both(path):
    saved_otherwise(path, lambda document, _: document["versions"].update(sklearn_mmoe="0.0.1"))
    with pytest.warns(UserWarning, match=r"saved by sklearn_mmoe 0\.0\.1 and is opened by") as caught:
        other = sklearn_mmoe.load(path)
    assert len(caught) == 1
    assert_same_answers(other, fitted_on_data("regressor"), make_features())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_file(other)


@pytest.mark.parametrize("device", ["cuda:3", "mps"])
def test_a_model_from_a_device_that_is_not_here_opens_on_the_cpu(device, path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    X, y = make_data("regressor")
    plain = MMoENet.__getstate__

    def elsewhere(net):
        state = plain(net)
        return {**state, "params": {**state["params"], "device": device}}

    model = fitted_on_data("regressor", device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(MMoENet, "__getstate__", elsewhere)
        model.save(path)
    with pytest.warns(UserWarning, match=device) as caught:
        other = sklearn_mmoe.load(path)
    assert len(caught) == 1
    assert other.net_.device == "cpu"
    assert_same_answers(fit_a_part(other, X, y), fit_a_part(model, X, y), X)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_model_comes_back_to_its_gpu(path):
    X, y = make_data("regressor")
    model = fitted_on_data("regressor", device="cuda")
    model.save(path)
    other = sklearn_mmoe.load(path)
    assert next(other.module_.parameters()).is_cuda
    assert_same_answers(model, other, X)
    assert_same_answers(fit_a_part(other, X, y), fit_a_part(model, X, y), X)
