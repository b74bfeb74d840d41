"""Data, and saved models, whose arrays may not be written to."""

import warnings

import joblib
import numpy as np
import pytest
from helpers import assert_same_answers, fitted_on_data, make_data, make_model


def memory_mapped_by_joblib(array, path):
    joblib.dump(array, path)
    return joblib.load(path, mmap_mode="r")


def memory_mapped_by_numpy(array, path):
    file = np.memmap(path, dtype=array.dtype, mode="w+", shape=array.shape)
    file[:] = array
    file.flush()
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


def locked(array, path):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make_read_only", [memory_mapped_by_joblib, memory_mapped_by_numpy, locked])
def test_read_only_arrays_give_no_warning_and_the_same_model(make_read_only, dtype, tmp_path):
    X, y = (array.astype(dtype) for array in make_data("regressor"))
    weights = np.linspace(1, 2, len(X))
    options = {"dtype": dtype, "learning_rate_schedule": "cosine"}  # which ends with the few epochs that there are
    expected = make_model("regressor", **options).fit(X, y, weights)
    X_kept, y_kept, weights_kept = (make_read_only(array, tmp_path / f"{i}") for i, array in enumerate((X, y, weights)))
    assert not X_kept.flags.writeable
    model = make_model("regressor", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X_kept, y_kept, weights_kept, X_val=X_kept, y_val=y_kept)
        model.fit(X_kept, y_kept, weights_kept).score(X_kept, y_kept)
        model.partial_fit(X_kept, y_kept)
        model.fit(X_kept, y_kept, weights_kept)
        np.testing.assert_array_equal(model.predict(X_kept), expected.predict(X))
        np.testing.assert_array_equal(model.gate_weights(X_kept), expected.gate_weights(X))


def test_read_only_labels_of_a_classifier(tmp_path):
    X, y = make_data("classifier")
    y = (y == "yes").astype(np.int64)[:, 1]
    model = make_model("classifier").fit(locked(X, None), memory_mapped_by_numpy(y, tmp_path / "y"))
    expected = make_model("classifier").fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(locked(X, None)), expected.predict_proba(X))


def test_a_memory_mapped_model_predicts_and_goes_on(tmp_path):
    """joblib maps the arrays of a model that is sent to a worker: they may not be written to."""
    X, y = make_data("regressor")
    model = fitted_on_data("regressor")
    joblib.dump(model, tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = joblib.load(tmp_path / "model", mmap_mode="r")
        assert_same_answers(model, other, X)
        assert_same_answers(model.partial_fit(X, y), other.partial_fit(X, y), X)
