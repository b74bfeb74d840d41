"""Who predicts in the accuracy benchmark: functions of labelled rows that give a prediction per task for others."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import _accuracy_peers as peers
import numpy as np
import pandas as pd
from _accuracy_peers import Answers, Kinds, Learn, grouped
from _bench import clocks
from sklearn.pipeline import Pipeline

from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline
from sklearn_mmoe.nn import MMoE

REGRESSIONS = ("regression",)
NUMBERS_AND_CLASSES = ("regression", "binary")


@dataclass(frozen=True)
class Contender:
    """How it learns, and what it needs."""

    learn: Learn
    package: str = ""  # which not everybody has installed
    per_task: str = ""  # the contender that does the same on sets where this one learns no tasks together

    @property
    def installed(self) -> bool:
        return not self.package or importlib.util.find_spec(self.package) is not None

    def twin(self, labels: pd.DataFrame, kinds: Kinds) -> str:
        """Whose answers these would be again: a contender that has to learn each task of these rows alone."""
        alone = all(len(tasks) == 1 for tasks in peers.groups(labels, kinds, REGRESSIONS))
        return self.per_task if alone else ""


# --------------------------------------------------------------------------------------------------------------------
# Ours


def _answers(model: Pipeline, X: pd.DataFrame, kinds: Kinds) -> Answers:
    answers = {name: np.asarray(column) for name, column in zip(kinds, model.predict(X).T, strict=True)}
    if "binary" in kinds.values():
        probabilities = model.predict_proba(X)
        answers.update({name: probabilities[name][:, 1] for name, kind in kinds.items() if kind == "binary"})
    return answers


def jointly(**parameters: Any) -> Learn:
    """One network for all tasks; a parameter may be a function of the training rows."""

    def learn(X, labels, X_test, kinds, seed):
        chosen = {name: value(X, labels, kinds) if callable(value) else value for name, value in parameters.items()}
        start = clocks()
        model = make_tabular_pipeline(MMoEMultiTask(tasks=kinds, random_state=seed, **chosen)).fit(X, labels)
        fitted = clocks()
        answers = _answers(model, X_test, kinds)
        return answers, np.array([fitted - start, clocks() - fitted])

    return learn


def one_by_one(X, labels, X_test, kinds, seed) -> tuple[Answers, np.ndarray]:
    """The same network for each task alone, on the rows that have its label."""
    answers: Answers = {}
    seconds = np.zeros((2, 2))
    for task, kind in kinds.items():
        there = labels[task].notna()
        answer, took = jointly()(X[there], labels.loc[there, [task]], X_test, {task: kind}, seed)
        answers |= answer
        seconds += took
    return answers, seconds


def equal_layer_sizes(X: pd.DataFrame, labels: pd.DataFrame, kinds: Kinds) -> tuple[int, ...]:
    """The layers of a single expert with which the network has as many parameters as the default one.

    With two layers or more that is narrower than all experts side by side, whose layers do not see each other.
    """
    defaults = MMoEMultiTask(tasks=kinds).get_params()
    features = make_tabular_pipeline(MMoEMultiTask(tasks=kinds))[:-1].fit_transform(X.head(10_000), labels.head(10_000))
    categories = features.select_dtypes(exclude="number").nunique().tolist()
    n_features = features.shape[1] - len(categories)
    widths = [labels[task].nunique() if kind == "multiclass" else 1 for task, kind in kinds.items()]

    def n_parameters(n_experts: int, sizes: tuple[int, ...]) -> int:
        towers = {name: defaults[name] for name in ("n_members", "gate_layer_sizes", "tower_layer_sizes")}
        module = MMoE(
            n_features,
            widths,
            numeric_embeddings="piecewise" if n_features <= 100 else "linear",  # as "auto"
            n_experts=n_experts,
            expert_layer_sizes=sizes,
            n_categories=categories,
            **towers,
        )
        return sum(parameter.numel() for parameter in module.parameters())

    wanted = n_parameters(defaults["n_experts"], defaults["expert_layer_sizes"])
    depth = len(defaults["expert_layer_sizes"])
    low, high = 1, defaults["n_experts"] * max(defaults["expert_layer_sizes"])
    while low < high:
        middle = (low + high) // 2
        if n_parameters(1, (middle,) * depth) < wanted:
            low = middle + 1
        else:
            high = middle
    return (low,) * depth


# --------------------------------------------------------------------------------------------------------------------
# All of them, the joint ones after those that learn task by task

OURS = "MMoE"
VARIANTS = ("MMoE-single", "shared-bottom", "OMoE")  # of ours: they take no part in the ranks
CONTENDERS: dict[str, Contender] = {
    OURS: Contender(jointly()),
    "MMoE-single": Contender(one_by_one),
    "shared-bottom": Contender(jointly(n_experts=1, expert_layer_sizes=equal_layer_sizes)),
    "OMoE": Contender(jointly(gating="shared")),
    "CatBoost": Contender(grouped(peers.catboost), "catboost"),
    "CatBoost-joint": Contender(grouped(peers.catboost, REGRESSIONS), "catboost", per_task="CatBoost"),
    "LightGBM": Contender(grouped(peers.lightgbm), "lightgbm"),
    "XGBoost": Contender(grouped(peers.xgboost), "xgboost"),
    "HGB": Contender(grouped(peers.boosting)),
    "forest": Contender(grouped(peers.forest, NUMBERS_AND_CLASSES)),
    "extra-trees": Contender(grouped(peers.extra_trees, NUMBERS_AND_CLASSES)),
    "RealMLP": Contender(grouped(peers.realmlp), "pytabkit"),
    "RealMLP-joint": Contender(grouped(peers.realmlp, REGRESSIONS), "pytabkit", per_task="RealMLP"),
    "TabM": Contender(grouped(peers.tabm), "pytabkit"),
    "MLP": Contender(grouped(peers.mlp, NUMBERS_AND_CLASSES)),
    "linear": Contender(grouped(peers.linear, REGRESSIONS)),
}
