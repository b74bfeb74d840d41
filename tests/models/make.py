"""Write the models of this release in every format, which the tests of all later ones open.

    python tests/models/make.py

Run it before a release, and again where what a model consists of has changed before that. The folders of releases that
are out stay as they are, since such files are in other people's hands.
"""

import json
import pickle
import platform
import shutil
from pathlib import Path
from zipfile import ZIP_DEFLATED

import joblib
import numpy as np
import onnx
import pandas as pd
import sklearn
import skops.io
import skorch
import torch

import sklearn_mmoe
from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.tasks import Binary, Regression

FOLDER = Path(__file__).parent
N_ROWS = 60


def make_data():
    random = np.random.default_rng(0)
    X = pd.DataFrame({"size": random.normal(size=N_ROWS), "rooms": random.integers(1, 6, N_ROWS).astype(float)})
    X["town"] = random.choice(["Kiel", "Ulm"], N_ROWS)
    level = X["size"] + (X["town"] == "Ulm")
    y = pd.DataFrame({"rent": 100 * level, "quick": level > 0, "visits": np.floor(np.exp(level)), "area": X["size"]})
    y["grade"] = pd.Categorical(np.where(level > 0.5, "high", "low"), categories=["low", "high"], ordered=True)
    y.loc[::7, "area"] = np.nan
    return X, y


def make_model():
    """A small model that has something of all that a model may have."""
    tasks = {
        "rent": "regression",
        "quick": Binary(positive_weight=2.0),
        "visits": "count",
        "area": Regression(loss="quantile", quantile=0.8),
        "grade": "ordinal",
    }
    small = {"n_members": 2, "n_experts": 2, "expert_layer_sizes": (4,), "tower_layer_sizes": (3,), "max_epochs": 2}
    return MMoEMultiTask(tasks=tasks, **small, learning_rate=0.05, random_state=0).fit(*make_data())


def asked_rows():
    """Rows of both towns, of one that is unknown, and of none."""
    return make_data()[0][10:16].assign(town=["Ulm", "Kiel", "Oslo", None, "Kiel", "Ulm"])


def answers_of(model, X):
    """What a model answers, as JSON has it."""
    return {
        "predictions": model.predict_frame(X).to_dict("list"),
        "probabilities": {name: own.tolist() for name, own in model.predict_proba(X).items()},
        "gates": model.gate_weights(X).tolist(),
    }


def write_models(folder):
    model, X = make_model(), asked_rows()
    model.save(folder / "model.safetensors")
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    joblib.dump(model, folder / "model.joblib", compress=3)
    skops.io.dump(model, folder / "model.skops", compression=ZIP_DEFLATED)
    to_onnx(model, folder / "model.onnx", example=X, gate_weights=True)
    modules = (sklearn_mmoe, sklearn, skorch, torch, np, joblib, skops, onnx, pd)
    versions = {module.__name__: str(module.__version__) for module in modules} | {"python": platform.python_version()}
    said = {"versions": versions, "rows": X.to_dict("list"), "answers": answers_of(model, X)}
    (folder / "answers.json").write_text(json.dumps(said) + "\n")


if __name__ == "__main__":
    own = FOLDER / sklearn_mmoe.__version__
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    write_models(own)
    print(*(f"{file.relative_to(FOLDER)}: {file.stat().st_size:,} bytes" for file in sorted(own.iterdir())), sep="\n")
