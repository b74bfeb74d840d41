"""Rules for the parameters of the net that a fit has left, and for the arrays of its parts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from skorch import NeuralNet

from sklearn_mmoe._files.rules import FLAG, NUMBER_FROM_0, Rule, Rules, is_number, is_whole, one_of, whole_from
from sklearn_mmoe._training.named_types import Named
from sklearn_mmoe._training.stopping import SCHEDULES
from sklearn_mmoe.nn._arguments import ACTIVATIONS
from sklearn_mmoe.nn._numbers import NUMERIC_EMBEDDINGS
from sklearn_mmoe.weighting._schemes import OWN_WEIGHTINGS


def _named(kind: str, *names: str) -> Rule:
    return Rule(f"one of {list(names)}", lambda value, _: value in [Named(kind, name) for name in names])


def _numbers_by_task(values: Any, state: Any) -> bool:
    return isinstance(values, list | tuple) and len(values) == state.n_tasks and all(map(is_number, values))


_SIZES = Rule(
    "whole numbers from 1 up",
    lambda value, _: isinstance(value, list | tuple) and all(is_whole(size, 1) for size in value),
).if_any()
_SHARE = Rule("a number from 0 to 1", lambda value, _: is_number(value) and 0 <= value <= 1).if_any()
_SAME_DTYPE = Rule("the dtype of the net", lambda value, state: value == state.net_params["dtype"])
_IF_ANY: Rules = {  # left out, they are what skorch, the net or its parts take by default
    "monitor": Rule("a number for each task", _numbers_by_task).or_none(),
    "precision": one_of("full", "bf16"),
    "gate_balance": NUMBER_FROM_0,
    "n_iter_no_change": whole_from(0),
    "tol": NUMBER_FROM_0,
    "learning_rate_schedule": one_of(*SCHEDULES),
    "keep_gradients": FLAG,
    "restore_best": FLAG,
    "lr": NUMBER_FROM_0,
    "max_epochs": whole_from(0),
    "batch_size": whole_from(-1),
    "predict_nonlinearity": one_of("auto", None),
    "warm_start": FLAG,
    "verbose": Rule("a whole number from 0 up, or a flag", lambda value, _: is_whole(int(value))),
    "compile": FLAG,
    "use_caching": one_of("auto", True, False),
    "torch_load_kwargs": Rule("a dict", lambda value, _: isinstance(value, dict)).or_none(),
    "module__n_experts": whole_from(1),
    "module__n_task_experts": whole_from(0),
    "module__n_levels": whole_from(1),
    "module__n_members": whole_from(1),
    "module__numeric_embeddings": one_of(*NUMERIC_EMBEDDINGS, None),
    "module__n_categories": Rule("the numbers of categories", lambda value, state: value == state.categories.sizes),
    "module__linear_part": FLAG,
    "module__expert_layer_sizes": _SIZES,
    "module__gate_layer_sizes": _SIZES,
    "module__tower_layer_sizes": _SIZES,
    "module__gating": one_of("per_task", "shared"),
    "module__activation": Rule(
        "an activation", lambda value, _: value in ACTIVATIONS or (value.kind == "torch.nn" and value.found())
    ),
    "module__dropout": _SHARE,
    "module__gate_dropout": _SHARE,
    "module__final_expert_activation": FLAG,
    "module__sparse_gradients": FLAG,
    "weighting__weights": Rule("a number for each task", _numbers_by_task),
    "weighting__likelihoods": Rule("a number for each task", _numbers_by_task),
    "weighting__n_tasks": Rule("the number of tasks", lambda value, state: is_whole(value) and value == state.n_tasks),
    "weighting__aggregator": Rule("the name of an aggregator", lambda value, _: re.fullmatch(r"\w{1,40}", value)),
    "optimizer__fused": FLAG.or_none(),
    "iterator_train__shuffle": FLAG,
    "iterator_train__batch_size": whole_from(1),
    "iterator_valid__batch_size": whole_from(1),
}
NET_PARAMS: Rules = {
    "task_names": Rule("the names of the tasks", lambda value, state: list(value) == state.attributes["task_names_"]),
    "dtype": Rule("a type of numbers", lambda value, _: value.kind == "dtype" and value.found().is_floating_point),
    "module": _named("part", "MMoE"),
    "criterion": _named("part", "TaskLosses"),
    "weighting": _named("part", *[weighting.__name__ for weighting in OWN_WEIGHTINGS], "GradientBalancing"),
    "dataset": _named("part", "TensorRows"),
    "iterator_train": _named("part", "RowBatches"),
    "iterator_valid": _named("part", "RowBatches"),
    "train_split": one_of(None),
    "optimizer": Rule("an optimizer", lambda value, _: value.kind == "torch.optim" and value.found()),
    "device": Rule("the name of a device", lambda value, _: re.fullmatch(r"[a-z]{1,20}(:\d{1,3})?", value)),
    "module__n_features": Rule("the number of numeric features", lambda value, state: value == state.n_numeric),
    "module__task_outputs": Rule("their widths", lambda value, state: value == [task.width for task in state.tasks]),
    "criterion__tasks": Rule("the tasks of the estimator", lambda value, state: value is state.attributes["_tasks"]),
    "criterion__dtype": _SAME_DTYPE,
    "weighting__dtype": _SAME_DTYPE,
    **{name: rule.if_any() for name, rule in _IF_ANY.items()},
}
_OF_SKORCH = frozenset(inspect.signature(NeuralNet).parameters)


def may_be_skorchs(name: str, value: Any) -> bool:
    """Whether it is left to the optimizer or the compiler, or a plain parameter that another skorch may have."""
    if name.startswith(("optimizer__", "compile__")):
        return True
    return name in _OF_SKORCH and (value is None or isinstance(value, bool | int | float | str))


# --------------------------------------------------------------------------------------------------------------------

_ARRAYS = Rule(
    "arrays of floats by name",
    lambda value, _: all(type(name) is str and own.dtype.kind == "f" for name, own in dict.items(value)),
)
_OPTIMIZER = Rule(
    "what an optimizer remembers, and of which parameters",
    lambda value, _: (
        value.keys() == {"state", "param_groups"}
        and all(map(is_whole, dict.keys(value["state"])))
        and all(_are_of_floats(own.values()) for own in value["state"].values())
    ),
)


def _are_of_floats(values: Iterable[Any]) -> bool:
    return all(value.dtype.kind == "f" for value in values if isinstance(value, np.ndarray))


PARTS: Rules = {
    "module": _ARRAYS,
    "criterion": _ARRAYS,
    "weighting": _ARRAYS,
    "optimizer": _OPTIMIZER,
    "sparse_optimizer": _OPTIMIZER.if_any(),
}
