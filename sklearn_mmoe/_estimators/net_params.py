"""What `net_params` may hold: checked as the constructor's own parameters are, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.parameters import PARAMETER_CONSTRAINTS
from sklearn_mmoe.weighting._schemes import Weighting

_POSITIVE_INT = Interval(Integral, 1, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_OWN_NAMES = (
    *("max_epochs", "tol", "learning_rate_schedule", "gate_balance"),
    *("precision", "device", "verbose", "callbacks"),
)
_OF_THE_MODULE = (
    *("n_members", "n_experts", "n_task_experts", "n_levels"),
    *("expert_layer_sizes", "gate_layer_sizes", "tower_layer_sizes", "gating", "activation"),
    *("dropout", "gate_dropout", "numeric_embeddings", "linear_part"),
)

NET_CONSTRAINTS: dict[str, list[Any]] = {
    **{name: PARAMETER_CONSTRAINTS[name] for name in _OWN_NAMES},
    "lr": [_POSITIVE],
    "batch_size": [_POSITIVE_INT],
    "n_iter_no_change": [_POSITIVE_INT],
    "keep_gradients": ["boolean"],
    "restore_best": ["boolean"],
    "module": [type, torch.nn.Module],
    "criterion": [type, torch.nn.Module],
    "weighting": [type],
    "optimizer": [type],
    "dataset": [type],
    "iterator_train": [type],
    "iterator_valid": [type],
    "train_split": [None],  # parts are set aside by the estimator
    "predict_nonlinearity": [StrOptions({"auto"}), callable, None],
    "compile": ["boolean"],
    "use_caching": [StrOptions({"auto"}), "boolean"],
    "torch_load_kwargs": [dict, None],
    "iterator_train__batch_size": [_POSITIVE_INT],
    "iterator_train__shuffle": ["boolean"],
    "iterator_valid__batch_size": [_POSITIVE_INT],
    "iterator_valid__shuffle": ["boolean"],
    "optimizer__lr": [_POSITIVE],
    **{f"module__{name}": PARAMETER_CONSTRAINTS[name] for name in _OF_THE_MODULE},
    "module__final_expert_activation": ["boolean"],
}
PREFIXES = ("module", "criterion", "weighting", "optimizer", "iterator_train", "iterator_valid", "dataset", "callbacks")
_BASES = {"module": torch.nn.Module, "criterion": torch.nn.Module, "weighting": Weighting}
# What data and parameters of the estimator say, and many things have to agree on
TAKEN = {
    "task_names": "the columns of y",
    "dtype": "dtype",
    "monitor": "monitor",
    "warm_start": "warm_start",
    "module__n_features": "X",
    "module__n_categories": "X and categorical_features",
    "module__task_outputs": "y",
    "module__sparse_gradients": "X",
    "criterion__tasks": "y",
    "criterion__dtype": "dtype",
    "weighting__dtype": "dtype",
    "weighting__n_tasks": "y",
}


def check_net_params(caller: str, net_params: Mapping[Any, Any]) -> None:
    """Refuse keys that mean nothing to the net, and values that cannot be meant.

    Parameters
    ----------
    caller : str
        Whose `net_params` they are.
    """
    for key in net_params:
        if not isinstance(key, str):
            raise InvalidParameterError(f"net_params must have strings as keys, got {shown(key)}.")
        prefix, _, name = key.partition("__")
        if key in TAKEN:
            raise InvalidParameterError(
                f"net_params[{key!r}] cannot be set: {TAKEN[key]} of {caller} says what it is. Leave it out."
            )
        if key not in NET_CONSTRAINTS and not (name and prefix in PREFIXES):
            raise InvalidParameterError(
                f"net_params[{shown(key)}] is no parameter of the net of {caller}. Allowed are "
                f"{sorted(key for key in NET_CONSTRAINTS if '__' not in key)}, and parameters of its parts, such as "
                f"'optimizer__momentum', after one of {list(PREFIXES)}."
            )
    for key, base in _BASES.items():
        value = net_params.get(key)
        if isinstance(value, type) and not issubclass(value, base):
            raise InvalidParameterError(
                f"net_params[{key!r}] must be a subclass of {base.__module__}.{base.__name__}, got {value!r}."
            )
    allowed = {f"net_params[{key!r}]": constraint for key, constraint in NET_CONSTRAINTS.items()}
    check_parameters(caller, allowed, {f"net_params[{key!r}]": value for key, value in net_params.items()})
