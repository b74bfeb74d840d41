"""A fitted estimator as a file that runs no code, and back: the state of its pickles, said in JSON and arrays."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sklearn
import skorch
import torch
from numpy.typing import NDArray

from sklearn_mmoe._common.words import in_one_line
from sklearn_mmoe._files.model_file import in_short, read_model_file, write_model_file
from sklearn_mmoe._files.plain_values import Decoder, Encoder, NotPlainError
from sklearn_mmoe._files.rules import Rule, Rules, check_entries
from sklearn_mmoe._files.saved_state import MEANT_BEFORE, SavedState
from sklearn_mmoe._files.saved_weights import check_optimizers, check_weights, try_out
from sklearn_mmoe._training.named_types import with_types
from sklearn_mmoe._training.net import MMoENet
from sklearn_mmoe._version import __version__

_STEPS = "steps of a pipeline"  # no place of an attribute has this name
_A_DICT = Rule("a dict", lambda value, _: type(value) is dict)
_DOCUMENT: Rules = {
    "class": Rule("a name", lambda value, _: type(value) is str),
    "versions": Rule(
        "a dict of versions",
        lambda value, _: (
            "sklearn_mmoe" in dict.keys(value)
            and all(type(version) is str and len(version) < 100 for version in value.values())
        ),
    ),
    "parameters": _A_DICT,
    "attributes": _A_DICT,
    "net": _A_DICT,
}
_NET: Rules = {
    "params": _A_DICT,
    "parts": _A_DICT,
    "history": Rule("a list", lambda value, _: type(value) is list),
}


def save_model(model: Any, path: str | os.PathLike[str], steps: bytes | None = None) -> None:
    """Write a fitted estimator of this package, and the packed steps of a pipeline before it."""
    name = type(model).__name__
    if type(model).__module__ != "sklearn_mmoe":
        raise ValueError(
            f"save writes the estimators of sklearn_mmoe, and {name} is a class of {type(model).__module__}, which no "
            "file without code can bring along. Save it with joblib.dump or skops.io.dump."
        )
    version, state = _state_of(model)
    encoder = Encoder()
    try:
        document = {
            "class": name,
            "versions": {"sklearn_mmoe": version, **_other_versions()},
            "parameters": {key: encoder.encode(value, key) for key, value in state.parameters.items()},
            "attributes": {key: encoder.encode(value, key) for key, value in state.attributes.items()},
            "net": {
                "params": encoder.encode({**state.net_params, "criterion__tasks": None}, "net_.params"),
                "parts": encoder.encode(state.parts, ""),
                "history": encoder.encode(state.history, "net_.history"),
            },
        }
    except NotPlainError as error:
        raise ValueError(_refusal(error, name, state.parameters)) from error
    model._validate_params()
    try:
        state.check()
        check_weights(state)
    except ValueError as error:
        raise ValueError(
            f"save cannot write this {name}, as load would refuse it: {error}. Save the model with joblib.dump or "
            "skops.io.dump."
        ) from error
    before = {} if steps is None else {_STEPS: np.frombuffer(steps, dtype=np.uint8)}
    write_model_file(path, document, encoder.arrays | before)


def load_model(path: str | os.PathLike[str], classes: Mapping[str, type], around: Callable[[Any, bytes], Any]) -> Any:
    """Read a file of `save_model`.

    Parameters
    ----------
    classes : mapping of str to type
        The estimators that it may hold, by name.
    around : callable
        What makes a pipeline of a model and packed steps.
    """
    document, arrays = read_model_file(path)
    name, versions = str(document.get("class")), document.get("versions")
    if name not in classes:
        raise ValueError(
            f"{path} holds a {in_short(name)}, which sklearn_mmoe {__version__} does not know: it has {list(classes)}. "
            f"Open it with the versions that saved it: {in_short(versions)}."
        )
    try:
        steps = arrays.pop(_STEPS, None)
        model = _rebuilt(classes[name], document, arrays)
        return model if steps is None else around(model, steps.tobytes())
    except (ImportError, Warning):  # the message says what to install, or a user has made errors of warnings
        raise
    except Exception as error:  # whoever wrote the file may have found something that none of the checks knows of
        what = in_one_line(error).rstrip(".")
        raise ValueError(
            f"{path} is as it was saved, but sklearn_mmoe {__version__} can make no {name} of it ({what}). Open "
            f"it with the versions that saved it: {in_short(versions)}."
        ) from error


def _state_of(model: Any) -> tuple[str, SavedState]:
    """The version that has fitted a model, and its state."""
    state = model.__getstate__()
    version, net = state.pop("_version"), state.pop("net_").__getstate__()
    parameters = {key: state.pop(key) for key in model.get_params(deep=False)}
    return version, SavedState(type(model), parameters, state, net["params"], net["parts"], net["history"])


def _rebuilt(cls: Any, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    check_entries("", document, _DOCUMENT, None)
    check_entries("net: ", document["net"], _NET, None)
    decoder = Decoder(arrays)
    parameters, attributes = (
        {key: decoder.decode(value) for key, value in document[part].items()} for part in ("parameters", "attributes")
    )
    net_params, parts, history = (decoder.decode(document["net"][part]) for part in _NET)
    if decoder.arrays:
        raise ValueError(f"nothing is said of its arrays {in_short(list(decoder.arrays))}")
    state = SavedState(cls, parameters, attributes, net_params, parts, history)
    if net_params["criterion__tasks"] is not None:
        raise ValueError("net_: criterion__tasks must be None, as the tasks stand among the attributes")
    net_params["criterion__tasks"] = attributes.get("_tasks")
    model, net = cls(**MEANT_BEFORE | with_types(parameters)), MMoENet.__new__(MMoENet)
    model._validate_params()
    state.check()
    check_weights(state)
    net.__setstate__({"params": net_params, "parts": parts, "history": history})
    try_out(net, state)
    check_optimizers(net)
    model.__setstate__({**attributes, "net_": net, "_version": document["versions"]["sklearn_mmoe"]})
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
