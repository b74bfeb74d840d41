"""The constructor parameters that all three estimators share: what is allowed, and the net that they describe."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options, StrOptions
from skorch.callbacks import Callback

from sklearn_mmoe._common.arguments import checked_sizes
from sklearn_mmoe._common.device import with_own_seed
from sklearn_mmoe._features.tensors import RowBatches, TensorRows, rows_at_once
from sklearn_mmoe._features.validation import Categories
from sklearn_mmoe._held_out.blending import may_be_blended
from sklearn_mmoe._ranks.group import Group
from sklearn_mmoe._training.losses import TaskLosses
from sklearn_mmoe._training.net import MMoENet
from sklearn_mmoe._training.stopping import SCHEDULES, monitored_tasks
from sklearn_mmoe.nn._arguments import ACTIVATIONS
from sklearn_mmoe.nn._level import MOST_LEVELS
from sklearn_mmoe.nn._missing import take_missing
from sklearn_mmoe.nn._mmoe import MMoE
from sklearn_mmoe.nn._numbers import NUMERIC_EMBEDDINGS, made_numeric_embeddings
from sklearn_mmoe.nn._rows import SparseRows
from sklearn_mmoe.tasks._encoding import Tasks
from sklearn_mmoe.weighting._balancing import GradientBalancing, refuse_lots, torchjd_weighting
from sklearn_mmoe.weighting._schemes import SCHEMES, FixedWeights, Weighting, check_task_weights

AUTO_BATCH_SIZES = (32, 256)  # fewer rows make steps that cost more than they are worth, more make too few steps
AUTO_STEPS = 32  # in an epoch, between these bounds
AUTO_MAX_EPOCHS = (4, 200)
AUTO_MAX_EPOCHS_ROWS = 1_000_000  # seen in all of them, between these bounds
AUTO_PATIENCE = (3, 8)  # epochs
AUTO_PATIENCE_OF_CONSTANT_RATES = 20  # at most: where nothing follows, there is more to wait for
AUTO_PATIENCE_ROWS = 200_000  # seen without an improvement, between these bounds
# From about this many features of a sparse X on, a step that goes over all weights of the first layers costs more than
# one that updates those which a batch of 256 rows with 30 non-zeros touches (one core, 8 experts: 130 ms each)
SPARSE_UPDATE_FEATURES = 100_000
# The C library takes blocks beyond this size from the system afresh, page by page: a gradient of the first layers that
# is as large is better kept from step to step, and what a batch touches added to it
KEPT_GRADIENT_BYTES = 2**25
AUTO_EMBEDDED_FEATURES = 100  # numbers; embeddings of more cost much and tell little
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

_POSITIVE_INT = Interval(Integral, 1, None, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "n_members": [_POSITIVE_INT],
    "n_experts": [_POSITIVE_INT],
    "n_task_experts": [Interval(Integral, 0, None, closed="left")],
    "n_levels": [Interval(Integral, 1, MOST_LEVELS, closed="both")],
    "expert_layer_sizes": ["array-like", _POSITIVE_INT],
    "gate_layer_sizes": ["array-like", _POSITIVE_INT],
    "tower_layer_sizes": ["array-like", _POSITIVE_INT],
    "numeric_embeddings": [StrOptions({"auto", *NUMERIC_EMBEDDINGS}), callable, None],
    "linear_part": ["boolean"],
    "gating": [StrOptions({"per_task", "shared"})],
    "activation": [StrOptions(set(ACTIVATIONS)), type],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "gate_dropout": [Interval(Real, 0, 1, closed="left")],
    "gate_balance": [_NON_NEGATIVE],
    "task_weights": ["array-like", Mapping, str, torch.nn.Module, None],
    "optimizer": [StrOptions(set(OPTIMIZERS)), type],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
    "weight_decay": [_NON_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), _POSITIVE_INT],
    "max_epochs": [StrOptions({"auto"}), _POSITIVE_INT],
    "shuffle": ["boolean"],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "validation_split": [object],  # check_validation_split tells what is meant by others
    "monitor": [str, Mapping, callable],
    "n_iter_no_change": [StrOptions({"auto"}), _POSITIVE_INT],
    "tol": [_NON_NEGATIVE],
    "dtype": [StrOptions({"float32", "float64"})],
    "precision": [StrOptions({"full", "bf16"})],
    "device": [str, torch.device],
    "distributed": [StrOptions({"auto"}), Options(bool, {False})],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "callbacks": [list, tuple, None],
    "net_params": [dict, None],
}


def make_net(
    estimator: Any,
    *,
    tasks: Tasks,
    n_features: int,
    categories: Categories | None,
    train: TensorRows,
    device: torch.device,
    restore_best: bool,
    group: Group,
    before: MMoENet | None = None,
) -> MMoENet:
    """The net that the parameters of an estimator describe; `net_params` wins over what they say.

    Where it is to go on from the net `before`, it reads what that has read.
    """
    names = [task.name for task in tasks]
    dtype = getattr(torch, estimator.dtype)
    own = dict(estimator.net_params or {})
    if own.get("precision", estimator.precision) == "bf16" and estimator.dtype == "float64":
        raise InvalidParameterError(
            "precision='bf16' needs dtype='float32', got dtype='float64': set dtype='float32', or precision='full'."
        )
    own.pop("device", None)  # it is the one that was found
    callbacks = own.pop("callbacks", estimator.callbacks) or []
    patience, batch_size = estimator.n_iter_no_change, own.pop("batch_size", estimator.batch_size)
    n_rows = sum(group.gather(len(train)))
    schedule = own.get("learning_rate_schedule", estimator.learning_rate_schedule)
    weighting, weighting_parameters = choose_weighting(estimator.task_weights, tasks)
    if group.size > 1:
        refuse_lots(weighting, weighting_parameters)
    parameters = {
        "task_names": tuple(map(str, names)),
        "dtype": dtype,
        "precision": estimator.precision,
        "module": MMoE,
        "module__n_features": n_features,
        **_input_parameters(estimator, n_features, len(tasks), categories, train.X, weighting, before),
        **_linear_parameters(estimator, tasks, train.X, restore_best, before),
        "module__task_outputs": [task.width for task in tasks],
        **({"module__n_members": estimator.n_members} if estimator.n_members > 1 else {}),
        "module__n_experts": estimator.n_experts,
        **({"module__n_task_experts": estimator.n_task_experts} if estimator.n_task_experts else {}),
        **({"module__n_levels": estimator.n_levels} if estimator.n_levels > 1 else {}),
        "module__expert_layer_sizes": _layer_sizes(estimator, "expert_layer_sizes", at_least=1),
        "module__gate_layer_sizes": _layer_sizes(estimator, "gate_layer_sizes"),
        "module__tower_layer_sizes": _layer_sizes(estimator, "tower_layer_sizes"),
        "module__gating": estimator.gating,
        "module__activation": _class_or_name(estimator, "activation", torch.nn.Module),
        "module__dropout": estimator.dropout,
        "module__gate_dropout": estimator.gate_dropout,
        "criterion": TaskLosses,
        "criterion__tasks": tasks,
        "criterion__dtype": dtype,
        "weighting": weighting,
        **{f"weighting__{name}": value for name, value in weighting_parameters.items()},
        "weighting__dtype": dtype,
        "monitor": None if callable(estimator.monitor) else monitored_tasks(estimator.monitor, names).tolist(),
        "gate_balance": float(estimator.gate_balance),
        **_optimizer_parameters(estimator, own.get("optimizer")),
        "max_epochs": auto_max_epochs(n_rows) if estimator.max_epochs == "auto" else estimator.max_epochs,
        "batch_size": group.share_of(auto_batch_size(n_rows) if batch_size == "auto" else batch_size),
        "dataset": TensorRows,
        "train_split": None,
        "iterator_train": RowBatches,
        "iterator_train__shuffle": estimator.shuffle,
        "iterator_valid": RowBatches,
        "iterator_valid__batch_size": rows_at_once(train.X),
        "n_iter_no_change": auto_patience(n_rows, schedule) if patience == "auto" else patience,
        "tol": estimator.tol,
        "learning_rate_schedule": schedule,
        "restore_best": restore_best,
        "callbacks": _copied(callbacks),
        "verbose": int(estimator.verbose) if group.rank == 0 else 0,
        "device": str(device),
    }
    return MMoENet(**{**parameters, **own})


def _input_parameters(
    estimator: Any,
    n_features: int,
    n_tasks: int,
    categories: Categories | None,
    X: Any,
    weighting: type[Weighting],
    before: MMoENet | None,
) -> dict[str, Any]:
    """What the module reads; only what it has is said, so that a module of the user's own needs to know no more."""
    has_embedded = before is not None and _embeddings_of(before) is not None
    if isinstance(X, SparseRows) and not has_embedded:
        if estimator.numeric_embeddings not in ("auto", None):
            raise InvalidParameterError(
                f"numeric_embeddings={estimator.numeric_embeddings!r} needs a dense X, got a sparse one: set 'auto', "
                "which embeds no numbers of it, or None."
            )
        if weighting is GradientBalancing:
            return {}  # it reads the gradients of all tasks side by side, which sparse ones cannot be
        n_experts = estimator.n_members * (estimator.n_experts + n_tasks * estimator.n_task_experts)
        n_units = n_experts * _layer_sizes(estimator, "expert_layer_sizes", at_least=1)[0]
        many = n_features > SPARSE_UPDATE_FEATURES
        large = n_features * n_units * X.values.element_size() > KEPT_GRADIENT_BYTES
        return {"module__sparse_gradients": True, "keep_gradients": not many} if many or large else {}
    n_numbers = n_features if categories is None else len(categories.numeric)
    embeddings = numeric_embeddings_for(estimator, n_numbers, before)
    parameters = {} if embeddings is None else {"module__numeric_embeddings": embeddings}
    if categories is not None:
        parameters |= {"module__n_features": n_numbers, "module__n_categories": categories.sizes}
    return parameters


def _linear_parameters(
    estimator: Any, tasks: Tasks, X: Any, restore_best: bool, before: MMoENet | None
) -> dict[str, Any]:
    """Whether the module has a linear part: where there are rows that say how large, and tasks that it is for."""
    if before is not None:
        return {name: value for name, value in vars(before).items() if name == "module__linear_part"}
    wished = restore_best and any(map(may_be_blended, tasks)) and estimator.linear_part
    possible = _has_module_of_ours(estimator) and not isinstance(X, SparseRows) and _has_common_scale(estimator)
    return {"module__linear_part": True} if wished and possible else {}


def _embeddings_of(net: MMoENet) -> Any:
    return vars(net).get("module__numeric_embeddings")


def numeric_embeddings_for(estimator: Any, n_numbers: int, before: MMoENet | None = None) -> Any:
    """Which embeddings "auto" stands for; none for a module of the user's own, which may know of none."""
    asked = estimator.numeric_embeddings
    if not isinstance(asked, str) or asked != "auto":
        return asked
    if before is not None:
        return _embeddings_of(before)
    if not n_numbers or not _has_module_of_ours(estimator):
        return None
    return "piecewise" if n_numbers <= AUTO_EMBEDDED_FEATURES else "linear"


def will_take_nan(estimator: Any, n_numbers: int) -> bool:
    """Whether the network that will be fitted to so many numbers takes missing ones."""
    own = estimator.net_params or {}
    asked = own.get("module__numeric_embeddings", estimator.numeric_embeddings)
    if asked is None or not _has_module_of_ours(estimator):
        return False
    if isinstance(asked, str):
        return True
    n_members = own.get("module__n_members", estimator.n_members)

    def takes(turn: Any) -> bool:
        return take_missing(made_numeric_embeddings(asked, n_numbers, n_members), n_numbers)

    return with_own_seed(0, torch.device("cpu"), takes)


def _has_common_scale(estimator: Any) -> bool:
    """Whether embeddings put numbers on one: those of a callable may not."""
    asked = (estimator.net_params or {}).get("module__numeric_embeddings", estimator.numeric_embeddings)
    return isinstance(asked, str)


def _has_module_of_ours(estimator: Any) -> bool:
    module = (estimator.net_params or {}).get("module", MMoE)
    return isinstance(module, type) and issubclass(module, MMoE)


def takes_nan(module: torch.nn.Module, n_numbers: int) -> bool:
    """Whether a network takes missing numbers among so many."""
    return take_missing(getattr(module, "numeric_embeddings", None), n_numbers)


def choose_weighting(task_weights: Any, tasks: Tasks) -> tuple[type[Weighting], dict[str, Any]]:
    """The weighting that `task_weights` describes, and its parameters."""
    if isinstance(task_weights, str) and task_weights in SCHEMES:
        scheme, parameters_for = SCHEMES[task_weights]
        return scheme, parameters_for(tasks)
    balancing = torchjd_weighting(task_weights, len(tasks))
    if balancing is not None:
        return balancing
    return FixedWeights, {"weights": check_task_weights(task_weights, [task.name for task in tasks]).tolist()}


def auto_batch_size(n_rows: int) -> int:
    """The power of two next to an epoch of 32 steps, from 32 to 256 rows: few rows are seen in smaller steps."""
    smallest, largest = AUTO_BATCH_SIZES
    wished = 2 ** round(math.log2(n_rows / AUTO_STEPS))
    return min(n_rows, max(smallest, min(largest, wished)))


def asked_max_epochs(estimator: Any) -> Any:
    """Those that an estimator is told to train for at most, or "auto"."""
    return (estimator.net_params or {}).get("max_epochs", estimator.max_epochs)


def auto_max_epochs(n_rows: int) -> int:
    """As many epochs as see a million rows, from 4 to 200: what many rows tell is learned in a few of them."""
    fewest, most = AUTO_MAX_EPOCHS
    return max(fewest, min(most, AUTO_MAX_EPOCHS_ROWS // n_rows))


def auto_patience(n_rows: int, schedule: str) -> int:
    """As many epochs as see 200,000 rows, from 3 to 8, to 20 if the rate is constant: many rows are many steps."""
    shortest, longest = AUTO_PATIENCE
    longest = AUTO_PATIENCE_OF_CONSTANT_RATES if schedule == "constant" else longest
    return max(shortest, min(longest, AUTO_PATIENCE_ROWS // n_rows))


def _layer_sizes(estimator: Any, name: str, at_least: int = 0) -> tuple[int, ...]:
    sizes = getattr(estimator, name)
    try:
        return checked_sizes([sizes] if isinstance(sizes, Integral) else sizes, name, n_at_least=at_least)
    except ValueError as error:
        raise InvalidParameterError(f"The {name!r} parameter of {type(estimator).__name__}: {error}") from None


def _class_or_name(estimator: Any, name: str, base: type) -> Any:
    value = getattr(estimator, name)
    if isinstance(value, type) and not issubclass(value, base):
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(estimator).__name__} must be a name or a subclass of torch's "
            f"{base.__name__}, got {value!r} instead."
        )
    return value


def _copied(callbacks: Sequence[Any]) -> list[Any]:
    """Callbacks of our own, since skorch changes those that it is given.

    What they hold of the user's (a trial of Optuna, a logger, an open file) stays the user's; what one holds of the
    others, as LoadInitState holds a checkpoint, becomes their copies.
    """
    copies: list[Any] = []
    own_of: dict[int, Any] = {}
    for item in callbacks:
        name, callback = item if isinstance(item, tuple | list) and len(item) == 2 else (None, item)
        if not (isinstance(callback, Callback) or (isinstance(callback, type) and issubclass(callback, Callback))):
            raise ValueError(f"callbacks must hold skorch callbacks, or pairs of a name and a callback; got {item!r}.")
        own_of[id(callback)] = own = copy.copy(callback)
        copies.append(own if item is callback else (name, own))
    for own in own_of.values():
        for name, held in [] if isinstance(own, type) else list(vars(own).items()):
            setattr(own, name, own_of.get(id(held), held))
    return copies


def _optimizer_parameters(estimator: Any, own: type[torch.optim.Optimizer] | None) -> dict[str, Any]:
    """Class and parameters of the optimizer; `own` is the class that `net_params` names, if it does."""
    optimizer = own or OPTIMIZERS.get(
        estimator.optimizer, _class_or_name(estimator, "optimizer", torch.optim.Optimizer)
    )
    if not issubclass(optimizer, torch.optim.Optimizer) or optimizer in (torch.optim.Optimizer, torch.optim.SparseAdam):
        raise InvalidParameterError(
            f"The 'optimizer' parameter of {type(estimator).__name__} must be one of {sorted(OPTIMIZERS)}, or a "
            f"subclass of torch's Optimizer that takes dense gradients, got {optimizer!r} instead."
        )
    takes: Sequence[str] = tuple(inspect.signature(optimizer).parameters)
    parameters = {"optimizer": optimizer, "lr": estimator.learning_rate}
    if "weight_decay" in takes:
        parameters["optimizer__weight_decay"] = estimator.weight_decay
    elif estimator.weight_decay:
        raise InvalidParameterError(
            f"The 'weight_decay' parameter of {type(estimator).__name__} must be 0 for the optimizer "
            f"{optimizer.__name__}, which knows no weight decay; got {estimator.weight_decay!r} instead."
        )
    if "fused" in takes and optimizer in OPTIMIZERS.values():
        parameters["optimizer__fused"] = True
    return parameters
