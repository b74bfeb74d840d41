"""A fitted estimator as a file that runs no code, and back: the state of its pickles, said in JSON and arrays."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn
import skorch
import torch
from numpy.typing import NDArray

from sklearn_mmoe._model_file import read_model_file, write_model_file
from sklearn_mmoe._net import MMoENet
from sklearn_mmoe._plain_values import Encoder, NotPlainError, decode
from sklearn_mmoe._version import __version__


def save_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator of this package."""
    name = type(model).__name__
    if not type(model).__module__.startswith("sklearn_mmoe."):
        raise ValueError(
            f"save writes the estimators of sklearn_mmoe, and {name} is a class of {type(model).__module__}, which no "
            "file without code can bring along. Save it with joblib.dump or skops.io.dump."
        )
    state = model.__getstate__()
    version, net = state.pop("_version"), state.pop("net_").__getstate__()
    names = model.get_params(deep=False).keys()
    encoder = Encoder()
    try:
        document = {
            "class": name,
            "versions": {"sklearn_mmoe": version, **_other_versions()},
            "parameters": {key: encoder.encode(state.pop(key), key) for key in names},
            "attributes": {key: encoder.encode(value, key) for key, value in state.items()},
            "net": {key: encoder.encode(value, "" if key == "parts" else f"net_.{key}") for key, value in net.items()},
        }
    except NotPlainError as error:
        raise ValueError(_refusal(error, name, names)) from error
    write_model_file(path, document, encoder.arrays)


def load_model(path: str | os.PathLike[str], classes: Mapping[str, type]) -> Any:
    """Read a file of `save_model`; `classes` are the estimators that it may hold, by name."""
    document, arrays = read_model_file(path)
    name, versions = str(document.get("class")), document.get("versions")
    if name not in classes:
        raise ValueError(
            f"{path} holds a {name!r}, which sklearn_mmoe {__version__} does not know: it has {list(classes)}. Open it "
            f"with the versions that saved it: {versions}."
        )
    try:
        return _rebuilt(classes[name], document, arrays)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise ValueError(
            f"{path} is as it was saved, but sklearn_mmoe {__version__} can make no {name} of it ({what}). Open it "
            f"with the versions that saved it: {versions}."
        ) from error


def _rebuilt(cls: Any, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    net, model = MMoENet.__new__(MMoENet), cls.__new__(cls)
    net.__setstate__({key: decode(value, arrays) for key, value in document["net"].items()})
    said = {**document["parameters"], **document["attributes"]}
    own = {key: decode(value, arrays) for key, value in said.items()}
    model.__setstate__({**own, "net_": net, "_version": document["versions"]["sklearn_mmoe"]})
    return model


def _other_versions() -> dict[str, str]:
    return {
        "scikit-learn": sklearn.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "skorch": skorch.__version__,
        "python": platform.python_version(),
    }


def _refusal(error: NotPlainError, name: str, parameters: Any) -> str:
    top = error.place.partition(".")[0]
    what = "parameter" if top in parameters else "attribute"
    return (
        f"save cannot write the {what} {top!r} of this {name}: {error}. It writes numbers, strings, arrays, and lists "
        "and dicts of them, torch's own classes by their names, and never code. Save the model with joblib.dump or "
        f"skops.io.dump{', or set the parameter to something else first' if what == 'parameter' else ''}."
    )
