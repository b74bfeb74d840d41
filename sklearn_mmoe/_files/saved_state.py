"""What a fitted estimator consists of where it is saved, and what each part must be.

The rules hold for all that a fit can leave. A file that breaks one is refused before a network is built of it, and a
model that breaks one is not saved: what was written can be opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from sklearn_mmoe._features.validation import Categories
from sklearn_mmoe._files.net_rules import NET_PARAMS, PARTS, may_be_skorchs
from sklearn_mmoe._files.rules import (
    NUMBER,
    NUMBER_FROM_0,
    Rule,
    Rules,
    are_counts,
    check_entries,
    is_array,
    is_whole,
    whole_from,
)
from sklearn_mmoe._files.task_rules import CATEGORIES, TASKS_OF
from sklearn_mmoe.tasks._declared import Task
from sklearn_mmoe.tasks._fitted import FittedTask

# What models of releases do that knew nothing of a parameter, where that is not its default
MEANT_BEFORE: dict[str, Any] = {"numeric_embeddings": None}


@dataclass
class SavedState:
    """The state of a fitted estimator, taken apart; types of torch and of the net's parts go by their names.

    Parameters
    ----------
    cls : type of estimator
    parameters, attributes : dict
        Of the estimator, without its net.
    net_params, parts, history : dict, dict, list
        Of the net: its parameters, the arrays of its module, criterion, weighting and optimizers, a dict per epoch.
    """

    cls: type
    parameters: dict[str, Any]
    attributes: dict[str, Any]
    net_params: dict[str, Any]
    parts: dict[str, Any]
    history: list[Any]

    def check(self) -> None:
        """Refuse what no fit leaves; the parameters are left to the estimator's own checks.

        Raises
        ------
        ValueError
            The message names what is wrong.
        """
        check_entries("", self.attributes, ATTRIBUTES, self, self._may_be_the_users)
        check_entries("net_: ", self.net_params, NET_PARAMS, self, may_be_skorchs)
        check_entries("net_: the state of its ", self.parts, PARTS, self)
        for epoch in self.history:
            check_entries("history_: ", epoch, EPOCH, self, lambda name, value: isinstance(name, str))

    def _may_be_the_users(self, name: str, value: Any) -> bool:
        """Whether somebody may have hung this on the estimator, where it takes the place of nothing."""
        return not name.startswith("_") and not hasattr(self.cls, name)

    # What the rules compare entries with

    @property
    def tasks(self) -> tuple[FittedTask, ...]:
        return tuple(self.attributes["_tasks"])

    @property
    def n_tasks(self) -> int:
        return len(self.tasks)

    @property
    def categories(self) -> Categories | None:
        categories: Categories | None = self.attributes["_categories"]
        return categories

    @property
    def n_features(self) -> int:
        return int(self.attributes["n_features_in_"])

    @property
    def n_numeric(self) -> int:
        return self.n_features if self.categories is None else len(self.categories.numeric)

    @property
    def n_members(self) -> int:
        return int(self.net_params.get("module__n_members", 1))

    @property
    def n_experts(self) -> int:
        """Of all members together."""
        of_tasks = self.n_tasks * int(self.net_params.get("module__n_task_experts", 0))
        return self.n_members * (int(self.net_params["module__n_experts"]) + of_tasks)

    @property
    def dtype(self) -> Any:
        """Of the network's numbers."""
        return self.net_params["dtype"].found()


# --------------------------------------------------------------------------------------------------------------------

ATTRIBUTES: Rules = {
    "_tasks": Rule(
        "a tuple of tasks of such an estimator",
        lambda value, state: (
            type(value) is tuple and value and all(TASKS_OF[state.cls.__name__].holds(task, state) for task in value)
        ),
    ),
    "_declarations": Rule(
        "what was declared of each task",
        lambda value, state: len(value) == state.n_tasks and all(isinstance(own, Task) for own in value),
    ),
    "_class_weights": Rule(
        "'balanced', or weights of the classes of each task",
        lambda value, state: (
            value == "balanced"
            or (
                isinstance(value, list | tuple)
                and len(value) == state.n_tasks
                and all(own in (None, "balanced") or isinstance(own, dict) for own in value)
            )
        ),
    )
    .or_none()
    .if_any(),
    "task_names_": Rule(
        "the names of the tasks", lambda value, state: value == [str(task.name) for task in state.tasks]
    ),
    "n_outputs_": Rule("the number of tasks", lambda value, state: is_whole(value) and value == state.n_tasks),
    "_y_is_1d": Rule(
        "True or, of several tasks, False",
        lambda value, state: type(value) is bool and (not value or state.n_tasks == 1),
    ),
    "_y_frame": Rule("the name of a library", lambda value, _: re.fullmatch(r"\w{1,20}", value)).or_none(),
    "n_features_in_": whole_from(1),
    "feature_names_in_": Rule(
        "the names of the features",
        lambda value, state: is_array(value, "O", state.n_features) and all(type(name) is str for name in value),
    ).if_any(),
    "_categories": Rule(
        "the categories of features",
        lambda value, state: CATEGORIES.holds(value, state) and value.n_columns == state.n_features,
    ).or_none(),
    "_seed": whole_from(0),
    "_n_runs": whole_from(0),
    "n_samples_seen_": whole_from(1),
    "n_labels_seen_": Rule("a number of labels for each task", lambda value, state: are_counts(value, state.n_tasks)),
    "n_iter_": Rule("the number of epochs", lambda value, state: is_whole(value) and value == len(state.history)),
    "best_epochs_": Rule(
        "an epoch for each member",
        lambda value, state: are_counts(value, state.n_members) and value.max() <= len(state.history),
    ),
    "task_weights_": Rule(
        "a number or NaN for each task",
        lambda value, state: is_array(value, "f", state.n_tasks) and not np.isinf(value).any(),
    ),
    "expert_usage_": Rule(
        "a share for each task and expert",
        lambda value, state: is_array(value, "f", state.n_tasks, state.n_experts) and (abs(value - 0.5) < 0.51).all(),
    ),
    "gate_entropy_": Rule(
        "a number for each task", lambda value, state: is_array(value, "f", state.n_tasks) and np.isfinite(value).all()
    ),
    "linear_share_": Rule("a share", lambda value, _: type(value) is float and 0 <= value <= 1).if_any(),
    "_metadata_request": Rule(
        "what metadata each method asks for",
        lambda value, _: (
            value.keys() <= vars(MetadataRequest(owner=None)).keys() - {"owner"}
            and all(type(name) is str for own in value.values() for name in dict.keys(own))
            and all(isinstance(alias, bool | str | None) for own in value.values() for alias in own.values())
        ),
    ).if_any(),
    "_skl_callbacks": Rule("no callbacks", lambda value, _: value == []).if_any(),
}
_BY_TASK = Rule(
    "a number for each task",
    lambda value, state: value.keys() == set(state.net_params["task_names"]) and all(map(_is_float, value.values())),
).if_any()
EPOCH: Rules = {
    "epoch": whole_from(1),
    "train_loss": NUMBER,
    "valid_score": NUMBER.if_any(),
    "dur": NUMBER_FROM_0.if_any(),
    "train_losses": _BY_TASK,
    "valid_losses": _BY_TASK,
    "task_weights": _BY_TASK,
}


def _is_float(value: Any) -> bool:
    """NaN is one, too: of a task without a label in an epoch."""
    return isinstance(value, float)
