"""Models that every release has written, in each format: they open, answer as they did, and go on learning."""

import json
import pickle
from contextlib import nullcontext
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from models.make import answers_of, make_data
from onnxruntime import InferenceSession
from sklearn.base import clone

import sklearn_mmoe

FOLDERS = sorted(file.parent for file in (Path(__file__).parents[1] / "models").glob("*/answers.json"))

releases = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def from_pickle(path):
    return pickle.loads(path.read_bytes())


def from_skops(path):
    asked = skops.io.get_untrusted_types(file=path)
    assert all(name.startswith("sklearn_mmoe.") for name in asked)
    return skops.io.load(path, trusted=asked)


WAYS = {"safetensors": sklearn_mmoe.load, "pickle": from_pickle, "joblib": joblib.load, "skops": from_skops}


def said_by(folder):
    said = json.loads((folder / "answers.json").read_text())
    return said["versions"]["sklearn_mmoe"], pd.DataFrame(said["rows"]), said["answers"]


def assert_alike(found, expected):
    """The same labels; numbers may be rounded otherwise by another machine."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, own in expected.items():
            assert_alike(found[key], own)
    elif isinstance(np.ravel(expected)[0], float):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    else:
        assert list(found) == expected


def test_this_release_has_its_models():
    """Else run tests/models/make.py."""
    assert sklearn_mmoe.__version__ in [folder.name for folder in FOLDERS]


@releases
@pytest.mark.parametrize("way", WAYS)
def test_a_model_opens_answers_as_it_did_and_goes_on_learning(folder, way):
    version, X, answers = said_by(folder)
    is_other = version != sklearn_mmoe.__version__
    with pytest.warns(UserWarning, match=f"saved by sklearn_mmoe {version}") if is_other else nullcontext():
        model = WAYS[way](folder / f"model.{way}")
    assert_alike(answers_of(model, X), answers)
    losses = model.loss_curve_
    model.partial_fit(*make_data())
    assert model.loss_curve_[:-1] == losses
    assert model.loss_curve_[-1] < losses[0]
    assert repr(model) == repr(clone(model)), "it has all parameters, also those of later releases"


@releases
def test_a_graph_answers_as_it_did(folder):
    _, X, answers = said_by(folder)
    session = InferenceSession(folder / "model.onnx")
    types = {"tensor(string)": object, "tensor(float)": np.float32}
    feeds = {own.name: X[[own.name]].fillna("").to_numpy(dtype=types[own.type]) for own in session.get_inputs()}
    names = [own.name for own in session.get_outputs()]
    found = dict(zip(names, (own.tolist() for own in session.run(names, feeds)), strict=True))
    tasks = json.loads(session.get_modelmeta().custom_metadata_map["tasks"])
    assert_alike({name: found[own["prediction"]] for name, own in tasks.items()}, answers["predictions"])
    chances = {name: found[own["probabilities"]] for name, own in tasks.items() if "probabilities" in own}
    assert_alike(chances, answers["probabilities"])
    assert_alike(found["gate_weights"], answers["gates"])
