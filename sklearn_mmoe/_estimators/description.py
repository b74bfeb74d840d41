"""What there is to say of a fitted model: its tasks, its size, its training; as numbers, and as a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack, _pop_mode
from torch.utils.flop_counter import flop_registry

from sklearn_mmoe._common.names import short_names
from sklearn_mmoe._common.surroundings import undisturbed_answer
from sklearn_mmoe._features.validation import Categories
from sklearn_mmoe.nn._layers import BatchedLinear
from sklearn_mmoe.nn._rows import CodedRows, apply_to
from sklearn_mmoe.tasks._fitted import Kind

NAME_LENGTH = 40  # characters of a task's name in the table
LISTED_MEMBERS = 8  # whose best epochs are named one by one
PARTS = {
    "embeddings": ("numeric_embeddings", "embeddings"),
    "experts": ("expert_layers", "task_expert_layers"),
    "gates": ("gate_input_layer", "gate_layers", "shared_gate_input_layer", "shared_gate_layers"),
    "further levels": ("levels",),
    "towers": ("tower_layers", "heads"),
}


@dataclass(frozen=True)
class TaskDescription:
    """One task, and the labels of it that `fit` was given."""

    name: str
    kind: Kind
    n_outputs: int
    n_labels: int
    n_missing: int
    loss: str
    weight: float  # NaN where gradients are combined in another way than by weights


@dataclass(frozen=True)
class Description:
    """A fitted model in numbers."""

    estimator: str
    tasks: tuple[TaskDescription, ...]
    n_rows: int
    n_features: int
    n_categorical: int
    n_members: int
    n_experts: int  # of each member, for all tasks
    n_task_experts: int  # of each member and task
    n_levels: int
    n_gates: int
    expert_layer_sizes: tuple[int, ...]
    tower_layer_sizes: tuple[int, ...]
    n_parameters: dict[str, int]  # by part; all members together
    flops: int
    device: str
    dtype: str
    n_epochs: int
    best_epochs: tuple[int, ...]  # of each member
    seconds: float  # NaN where the epochs were not timed
    linear_share: float  # of the answers of tasks that may have one


def description_of(model: Any) -> Description:
    """Describe a fitted estimator as it was fitted, whatever its parameters have been set to since."""
    module, categories, n_members = model.module_, model._categories, len(model.best_epochs_)
    n_task_experts = getattr(module, "n_task_experts", 0)
    return Description(
        estimator=type(model).__name__,
        tasks=tuple(
            TaskDescription(
                name=name,
                kind=task.kind,
                n_outputs=task.width,
                n_labels=n_labels,
                n_missing=model.n_samples_seen_ - n_labels,
                loss=task.loss_in_words,
                weight=weight,
            )
            for name, task, n_labels, weight in zip(
                model.task_names_,
                model._tasks,
                model.n_labels_seen_.tolist(),
                model.task_weights_.tolist(),
                strict=True,
            )
        ),
        n_rows=model.n_samples_seen_,
        n_features=model.n_features_in_,
        n_categorical=len(categories.known) if categories else 0,
        n_members=n_members,
        n_experts=model.expert_usage_.shape[1] // n_members - model.n_outputs_ * n_task_experts,
        n_task_experts=n_task_experts,
        n_levels=1 + len(getattr(module, "levels", None) or ()),
        n_gates=getattr(module, "n_gates", model.n_outputs_),  # a module of the user's own need not have our parts
        expert_layer_sizes=_units(getattr(module, "expert_layers", ())),
        tower_layer_sizes=_units(getattr(module, "tower_layers", ())),
        n_parameters=_parameters_by_part(module),
        flops=undisturbed_answer(_flops_per_row, module, model.n_features_in_, categories),
        device=str(model.net_.device),
        dtype=str(model.net_.dtype).removeprefix("torch."),
        n_epochs=len(model.history_),
        best_epochs=tuple(model.best_epochs_.tolist()),
        seconds=sum(row.get("dur", np.nan) for row in model.history_),  # a net without skorch's timer has none
        linear_share=getattr(model, "linear_share_", 0.0),  # classifiers have none, nor models of before
    )


def _units(layers: Iterable[nn.Module]) -> tuple[int, ...]:
    return tuple(layer.weight.shape[2] for layer in layers if isinstance(layer, BatchedLinear))


def _parameters_by_part(module: nn.Module) -> dict[str, int]:
    """Number of parameters of each part; "other" is what a module of the user's own has beside."""
    own = {name: sum(p.numel() for p in child.parameters()) for name, child in module.named_children()}
    counts = {part: sum(own.get(name, 0) for name in names) for part, names in PARTS.items()}
    total = sum(parameter.numel() for parameter in module.parameters())
    counts["other"] = total - sum(counts.values())
    return {part: n for part, n in counts.items() if n} | {"total": total}


def _flops_per_row(module: nn.Module, n_features: int, categories: Categories | None) -> int:
    """What torch counts while a row of zeros goes through the network: two for each multiply-add of its matmuls."""
    parameter = next(module.parameters())
    row: Any = parameter.new_zeros(1, n_features if categories is None else len(categories.numeric))
    if categories is not None:
        row = CodedRows(row, torch.zeros(1, len(categories.known), dtype=torch.int64, device=row.device))
    counter = _FlopCounter()
    try:
        with torch.inference_mode(), counter:
            apply_to(module.eval(), row)
    finally:
        while counter in _get_current_dispatch_mode_stack():  # an interrupt may come before the block has ended
            _pop_mode()
    return counter.total


class _FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what torch's own counter would, which listens to all modules of the process, in other threads, too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        flops_of = flop_registry.get(func.overloadpacket)
        if flops_of is None:
            with self:  # of an operator that is made of others, these are counted
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        made = func(*args, **kwargs)
        self.total += 0 if flops_of is None else int(flops_of(*args, **kwargs, out_val=made))
        return made


# --------------------------------------------------------------------------------------------------------------------
# As a text


def as_text(description: Description) -> str:
    """A table of tasks, one of parameters, one of the rest."""
    parameters = [["part", "parameters"], *([part, f"{n:,}"] for part, n in description.n_parameters.items())]
    facts = [
        ["FLOPs per row", f"{description.flops:,}"],
        ["device", f"{description.device}, {description.dtype}"],
        ["epochs", f"{description.n_epochs:,}"],
        ["best epoch", best_epoch(description)],
        ["seconds", f"{description.seconds:.3g}"],
    ]
    if description.linear_share:
        facts.append(["linear share", f"{description.linear_share:.3g}"])
    return "\n".join(
        [
            f"{description.estimator}: {counted(len(description.tasks), 'task')}, {network(description)}",
            f"fitted on {counted(description.n_rows, 'row')} of {features(description)}",
            "",
            *_aligned(task_table(description), "llrrrlr"),
            "",
            *_aligned(parameters, "lr"),
            "",
            *_aligned(facts, "ll"),
        ]
    )


def task_table(description: Description) -> list[list[str]]:
    """A header, and a row for each task."""
    names = short_names([" ".join(task.name.split()) for task in description.tasks], NAME_LENGTH)
    rows = [
        [
            name,
            task.kind,
            str(task.n_outputs),
            f"{task.n_labels:,}",
            f"{task.n_missing:,}",
            task.loss,
            "-" if np.isnan(task.weight) else f"{task.weight:.3g}",
        ]
        for name, task in zip(names, description.tasks, strict=True)
    ]
    return [["task", "kind", "outputs", "labels", "missing", "loss", "weight"], *rows]


def network(description: Description) -> str:
    """Members, experts and gates in words."""
    members = f"{description.n_members} members with " if description.n_members > 1 else ""
    gates = "one gate" if description.n_gates == 1 else "a gate for each task"
    own = f" and {description.n_task_experts:,} for each task" if description.n_task_experts else ""
    levels = f" in {description.n_levels:,} levels" if description.n_levels > 1 else ""
    return f"{members}{counted(description.n_experts, 'expert')}{' each' if members else ''}{own}{levels}, {gates}"


def features(description: Description) -> str:
    """The features in words."""
    categorical = f", {description.n_categorical:,} of them categorical" if description.n_categorical else ""
    return counted(description.n_features, "feature") + categorical


def best_epoch(description: Description) -> str:
    """The epoch whose weights were kept, or from which to which one these are, member by member."""
    first, last = min(description.best_epochs), max(description.best_epochs)
    if first == last:
        return f"{last:,}, the last" if last == description.n_epochs else f"{last:,}"
    each = ", ".join(map(str, description.best_epochs))
    return f"{first:,} to {last:,}, by member" + (f": {each}" if description.n_members <= LISTED_MEMBERS else "")


def counted(n: int, noun: str) -> str:
    """A number and what it counts."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Lines of a table, its columns flush left (l) or right (r)."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in rows
    ]
