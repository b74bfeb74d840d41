"""Models that are saved and copied: the same answers, no side effects, and training goes on."""

import copy
import json
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    DATA_KINDS,
    NAMES,
    all_three,
    answers_of,
    assert_same_answers,
    by_joblib,
    by_pickle,
    fit_a_part,
    fit_again,
    fitted_on_data,
    make_data,
    make_model,
    pickles,
    round_trips,
)
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@round_trips
@all_three
def test_answers_are_bit_identical(name, there_and_back):
    model, (X, _) = fitted_on_data(name), make_data(name)
    assert_same_answers(model, there_and_back(model), X)


@round_trips
@all_three
def test_what_was_learned_comes_back(name, there_and_back):
    model, (X, y) = fitted_on_data(name, early_stopping=True), make_data(name)
    other = there_and_back(model)
    for attribute in ("task_names_", "n_outputs_", "n_features_in_", "n_iter_", "loss_curve_", "validation_scores_"):
        assert getattr(other, attribute) == getattr(model, attribute)
    np.testing.assert_array_equal(other.task_weights_, model.task_weights_)
    assert repr(other.history_) == repr(model.history_)
    assert repr(other.get_params()) == repr(model.get_params())
    assert other.score(X, y) == model.score(X, y)


def test_a_frame_of_predictions_keeps_its_types():
    model, (X, _) = fitted_on_data("multitask"), make_data("multitask")
    pd.testing.assert_frame_equal(by_pickle(model).predict_frame(X), model.predict_frame(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@all_three
def test_dtype_comes_back(name, dtype):
    model, (X, _) = fitted_on_data(name, dtype=dtype), make_data(name)
    other = by_pickle(model)
    assert {parameter.dtype for parameter in other.module_.parameters()} == {getattr(torch, dtype)}
    assert_same_answers(model, other, X)


@pickles
@all_three
def test_an_unfitted_estimator(name, there_and_back):
    model = make_model(name)
    other = there_and_back(model)
    assert vars(other).keys() == vars(model).keys()
    assert repr(other) == repr(model)


def test_a_deep_copy_and_its_original_do_not_train_each_other():
    X, y = make_data("regressor")
    model = fitted_on_data("regressor")
    other = copy.deepcopy(model)
    before = answers_of(other, X)
    model.partial_fit(X, y)
    for key, own in answers_of(other, X).items():
        np.testing.assert_array_equal(own, before[key])


def test_a_loaded_pipeline_predicts_and_can_be_cloned():
    X, y = make_data("multitask")
    model = make_pipeline(StandardScaler(), make_model("multitask", tasks=DATA_KINDS)).fit(X, y)
    other = by_joblib(model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(other).fit(X, y).predict(X), model.predict(X))


# --------------------------------------------------------------------------------------------------------------------
# A fresh process


LOAD_AND_ANSWER = """
import json, pickle, sys
import joblib
import numpy as np
import sklearn_mmoe
import torch

folder = sys.argv[1]
torch.manual_seed(3)
state = torch.get_rng_state()
inputs = np.load(f"{folder}/inputs.npz")
for name in json.load(open(f"{folder}/names.json")):
    with open(f"{folder}/{name}.pickle", "rb") as file:
        models = {"pickle": pickle.load(file), "joblib": joblib.load(f"{folder}/{name}.joblib")}
    models["file"] = sklearn_mmoe.load(f"{folder}/{name}.safetensors")
    for way, model in models.items():
        outputs = {"predict": model.predict(inputs[name]), "gates": model.gate_weights(inputs[name])}
        np.savez(f"{folder}/{name}.{way}.npz", **{key: np.asarray(own) for key, own in outputs.items()})
assert torch.equal(torch.get_rng_state(), state)
print("threads", torch.get_num_threads(), "dtype", torch.get_default_dtype())
"""


@pytest.fixture(scope="module")
def answered_elsewhere(tmp_path_factory):
    """All three estimators, saved here and asked in a process where a warning is an error."""
    folder = tmp_path_factory.mktemp("models")
    models = {name: fitted_on_data(name, early_stopping=True) for name in NAMES}
    for name, model in models.items():
        with open(folder / f"{name}.pickle", "wb") as file:
            pickle.dump(model, file)
        joblib.dump(model, folder / f"{name}.joblib")
        model.save(folder / f"{name}.safetensors")
    np.savez(folder / "inputs.npz", **{name: make_data(name)[0] for name in NAMES})
    (folder / "names.json").write_text(json.dumps(NAMES))
    command = [sys.executable, "-W", "error::UserWarning", "-c", LOAD_AND_ANSWER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder, models, done.stdout


@pytest.mark.parametrize("way", ["pickle", "joblib", "file"])
@all_three
def test_answers_are_bit_identical_in_a_fresh_process(answered_elsewhere, name, way):
    folder, models, _ = answered_elsewhere
    X = make_data(name)[0]
    found = np.load(folder / f"{name}.{way}.npz", allow_pickle=True)
    np.testing.assert_array_equal(found["predict"], models[name].predict(X))
    np.testing.assert_array_equal(found["gates"], models[name].gate_weights(X))


def test_loading_in_a_fresh_process_changes_no_default(answered_elsewhere):
    assert f"dtype {torch.float32}" in answered_elsewhere[2]


# --------------------------------------------------------------------------------------------------------------------
# Side effects


@round_trips
@all_three
def test_a_round_trip_leaves_the_global_generators_alone(name, there_and_back):
    model = fitted_on_data(name)
    torch.manual_seed(7)
    of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()
    there_and_back(model)
    assert torch.equal(torch.get_rng_state(), of_torch)
    np.testing.assert_array_equal(np.random.get_state()[1], of_numpy[1])


def test_saving_leaves_the_model_alone():
    X, y = make_data("regressor")
    model, undisturbed = fitted_on_data("regressor"), fitted_on_data("regressor")
    file = pickle.dumps(model)
    assert_same_answers(model.partial_fit(X, y), undisturbed.partial_fit(X, y), X)
    assert_same_answers(pickle.loads(file), fitted_on_data("regressor"), X)


def test_a_loaded_model_is_in_evaluation_mode():
    model = by_pickle(fitted_on_data("regressor", dropout=0.5))
    assert not any(module.training for module in model.module_.modules())


# --------------------------------------------------------------------------------------------------------------------
# Going on after loading


def assert_goes_on(name, go_on, there_and_back, **options):
    X, y = make_data(name)
    options = {"learning_rate": 0.01, "batch_size": 32, **options}
    expected = go_on(go_on(fitted_on_data(name, **options), X, y), X, y)
    found = go_on(there_and_back(go_on(fitted_on_data(name, **options), X, y)), X, y)
    assert found.loss_curve_ == expected.loss_curve_
    assert_same_answers(expected, found, X)


@pytest.mark.parametrize("go_on", [fit_again, fit_a_part])
@all_three
@round_trips
def test_training_goes_on_as_without_the_round_trip(name, go_on, there_and_back):
    assert_goes_on(name, go_on, there_and_back)


@pytest.mark.parametrize("go_on", [fit_again, fit_a_part])
@pytest.mark.parametrize(
    "options", [{"optimizer": "rmsprop"}, {"dropout": 0.3, "gate_dropout": 0.2}, {"dtype": "float64"}]
)
def test_training_goes_on_whatever_the_parameters(options, go_on):
    assert_goes_on("regressor", go_on, by_pickle, **options)


@all_three
def test_the_state_of_the_optimizer_matters_when_training_goes_on(name):
    """Else the tests above could not see that it is saved."""
    X, y = make_data(name)
    model, forgetful = fitted_on_data(name, learning_rate=0.01), fitted_on_data(name, learning_rate=0.01)
    forgetful.net_.optimizer_.state.clear()
    fit_a_part(model, X, y)
    fit_a_part(forgetful, X, y)
    assert not np.array_equal(model.gate_weights(X), forgetful.gate_weights(X))


def test_partial_fit_goes_on_with_no_random_state():
    X, y = make_data("regressor")
    model = make_model("regressor", random_state=None).partial_fit(X, y)
    other = by_pickle(model)
    assert_same_answers(model.partial_fit(X, y), other.partial_fit(X, y), X)
